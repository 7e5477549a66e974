"""Open the parts of a checked pipeline folder: networks, tokenizer, schedules.

Only files that `folder` lists are read: the libraries get configurations and tensors, and no folder in which they
would look for other files first. Each network's class is named here and not by the folder. A weight that is missing, or
of another size, is an error: the libraries would draw it at random and go on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ops.errors import UserError
from ops.generators.diffusion.folder import CHECKER, KEY, PipelineFolder
from ops.generators.diffusion.tokens import open_tokenizer
from ops.pretrained.folder import ModelFolder, drop_loading_keys
from ops.pretrained.loading import load_network
from ops.pretrained.preprocessing import Preprocessing, read_preprocessing

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_turn = Lock()  # of the threads that enter and leave `quiet`
_found: list[tuple[int, int, bool]] = []  # what `quiet` restores, once for each thread that is in it


@dataclass(frozen=True, eq=False)
class Seer:
    """A network that looks at images, and how they are prepared for it. It computes in float32, whatever the others."""

    network: Any
    preprocessing: Preprocessing


@dataclass(frozen=True, eq=False)
class Embedder:
    """What unCLIP has beside the rest: its image encoder, the statistics of its embeddings [1, d], and the schedule of
    the noise on them."""

    encoder: Seer
    mean: Tensor
    deviation: Tensor
    noising: Any


@dataclass(frozen=True, eq=False)
class Parts:
    """The opened parts, on `device`, in evaluation mode and without gradients.

    schedule: the configuration of the scheduler. checker: of Stable Diffusion, where somebody looks. embedder: of
    unCLIP.
    """

    unet: Any
    vae: Any
    text_encoder: Any
    tokenizer: Any
    schedule: dict[str, Any]
    device: str
    precision: str
    checker: Seer | None = None
    embedder: Embedder | None = None

    @property
    def dtype(self) -> torch.dtype:
        return TYPES[self.precision]


def choose_precision(wanted: str, device: str) -> str:
    """The number format for `auto`: fp32 on a CPU, on a GPU bf16 where it has that, else fp16."""
    if wanted != "auto":
        return wanted
    if not device.startswith("cuda"):
        return "fp32"
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


def open_parts(folder: PipelineFolder, *, checked: bool, precision: str, device: str = "cpu") -> Parts:
    """The parts of a folder that `read_pipeline` found, in `precision` on `device`.

    With fp16 the autoencoder computes in fp32, because it overflows in fp16.
    UserError for weights that do not fit the folder's own configuration.
    """
    dtype = TYPES[precision]
    tokenizer = open_tokenizer(folder)
    unet = _open_diffusers(folder, "unet", "UNet2DConditionModel")
    vae = _open_diffusers(folder, "vae", "AutoencoderKL")
    with quiet():
        unet, vae = unet.to(device, dtype), vae.to(device, torch.float32 if precision == "fp16" else dtype)
    text = _open_transformers(folder, "text_encoder", "CLIPTextModel").to(device, dtype)
    more: dict[str, Any] = {}
    if folder.kind == "unclip":
        from diffusers import DDPMScheduler

        statistics = _open_diffusers(folder, "image_normalizer", "StableUnCLIPImageNormalizer")
        more["embedder"] = Embedder(
            _open_seer(folder, "image_encoder", "CLIPVisionModelWithProjection", device),
            statistics.mean.detach().to(device, torch.float32),
            statistics.std.detach().to(device, torch.float32),
            DDPMScheduler.from_config(folder.configs["image_noising_scheduler"]),
        )
    elif checked:
        more["checker"] = _open_seer(folder, CHECKER[0], None, device)
    schedule = dict(folder.configs["scheduler"])
    return Parts(_freeze(unet), _freeze(vae), _freeze(text), tokenizer, schedule, device, precision, **more)


def _open_seer(folder: PipelineFolder, name: str, network: str | None, device: str) -> Seer:
    """A network that looks at images; without a name, the safety checker, which is a class of diffusers."""
    model = _as_model(folder, name)
    if network is None:
        from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker

        opened = load_network(model, StableDiffusionSafetyChecker, KEY)
    else:
        opened = load_network(model, network, KEY)
    return Seer(_freeze(opened.to(device)), read_preprocessing(model, KEY))


def _open_transformers(folder: PipelineFolder, name: str, network: str) -> nn.Module:
    return load_network(_as_model(folder, name), network, KEY)


def _as_model(folder: PipelineFolder, name: str) -> ModelFolder:
    """A part as a folder of its own; images are prepared for it as for the whole pipeline."""
    prepared = folder.configs.get(CHECKER[1], {})
    config = {"model_type": "clip", **drop_loading_keys(folder.configs[name])}
    weights = folder.weights[name].partition("/")[2]
    return ModelFolder(folder.path / name, config, prepared, (weights,), (weights,))


def _open_diffusers(folder: PipelineFolder, name: str, network: str) -> Any:
    """A network of diffusers, with the numbers of its file; UserError if a weight is missing or of another size."""
    with quiet():
        import diffusers
        from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import StableUnCLIPImageNormalizer

        made: Any = getattr(diffusers, network, StableUnCLIPImageNormalizer)
        try:
            with torch.device("meta"):  # every weight comes from the file, so none is drawn or held twice
                model = made.from_config(folder.configs[name])
        except (AttributeError, KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
            line = (str(error).splitlines() or [type(error).__name__])[0]
            raise UserError(f"{KEY}.model: {folder.path / name} cannot be used: {line}") from error
    tensors = load_file(folder.path / folder.weights[name])
    model._fix_state_dict_keys_on_load(tensors)  # names of older versions
    wanted = model.state_dict()
    if missing := sorted(wanted.keys() - tensors.keys()):
        raise UserError(f"{KEY}.model: the weights in {folder.path / name} lack {missing[0]}{_more(missing)}")
    if others := sorted(place for place, value in wanted.items() if value.shape != tensors[place].shape):
        place = others[0]
        raise UserError(
            f"{KEY}.model: in {folder.path / name} the weights {place} are {list(tensors[place].shape)}, and its"
            f" config.json needs {list(wanted[place].shape)}{_more(others)}"
        )
    model.load_state_dict({place: tensors[place] for place in wanted}, assign=True)
    return model


def _freeze(network: Any) -> Any:
    return network.eval().requires_grad_(False)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence progress bars and warnings of diffusers and transformers; what they tell is checked here.

    These are settings of the process, so the last of several threads to leave restores what the first one found.
    """
    from diffusers.utils import logging
    from transformers.utils import logging as theirs

    with _turn:
        if not _found:
            _found.append((logging.get_verbosity(), theirs.get_verbosity(), logging.is_progress_bar_enabled()))
            logging.set_verbosity(logging.CRITICAL)
            theirs.set_verbosity_error()
            logging.disable_progress_bar()
        else:
            _found.append(_found[0])
    try:
        yield
    finally:
        with _turn:
            level, other, bars = _found.pop()
            if not _found:
                logging.set_verbosity(level)
                theirs.set_verbosity(other)
                if bars:
                    logging.enable_progress_bar()


def _more(names: Sized) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""
