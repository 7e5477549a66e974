"""Build a pretrained network of `transformers` from a checked folder, and run images through it.

Only the files that `ops.pretrained.folder` checks and hashes are read. The library gets config and tensors, not the
folder, so it opens no other file, fetches nothing and runs no code from the folder. A missing weight is an error,
because the library would initialise it at random and go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sized
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ops.errors import UserError

if TYPE_CHECKING:
    from ops.pretrained.folder import ModelFolder
    from ops.pretrained.preprocessing import Preprocessing

BATCH = 64


def load_network(folder: ModelFolder, name: str | type, key: str, **options: Any) -> nn.Module:
    """The network of class `name` of `transformers`, in float32 and evaluation mode; `options` go to its constructor.

    In place of a name it may be a class that derives from the library's.
    UserError, with the recipe's section `key`, if the config is not valid or the weights do not fit it.
    """
    import transformers

    network: Any = getattr(transformers, name) if isinstance(name, str) else name
    tensors = {place: value for part in folder.weights for place, value in load_file(folder.path / part).items()}
    with _quiet():
        try:
            model, found = network.from_pretrained(
                None,
                config=network.config_class.from_dict(folder.config),
                state_dict=tensors,
                dtype=torch.float32,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                ignore_mismatched_sizes=True,  # they are reported instead of raised, and refused below
                output_loading_info=True,
                **options,
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UserError(f"{key}.model: {folder.path}/config.json cannot be used: {_first_line(error)}") from error
    if missing := sorted(found["missing_keys"]):
        raise UserError(f"{key}.model: the weights in {folder.path} lack {missing[0]}" + _more(missing))
    if others := sorted(found["mismatched_keys"]):
        place, stored, wanted = others[0]
        raise UserError(
            f"{key}.model: in {folder.path} the weights {place} are {list(stored)}, and its config.json needs"
            f" {list(wanted)}" + _more(others)
        )
    return model.eval()


@torch.inference_mode()
def run_batches(network: Callable[[Tensor], Tensor], images: Tensor, preprocessing: Preprocessing) -> Tensor:
    """The output of `network` for uint8 images [n, C, H, W], prepared in batches: float32 [n, ...].

    ValueError as `Preprocessing.apply`.
    """
    if len(images) == 0:
        shape = network(preprocessing.apply(images.new_zeros(1, *images.shape[1:]))).shape
        return torch.empty(0, *shape[1:])
    return torch.cat([network(preprocessing.apply(batch)).float() for batch in images.split(BATCH)])


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence progress bars and the table of weights; `load_network` checks the weights itself."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _more(names: Sized) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""
