"""Open the parts of a checked pipeline folder: networks, tokenizer, schedules.

Only files that `folder` lists are read, and each network's class is named here and not by the folder. A weight that is
missing, or of another size, is an error: the libraries would draw it at random and go on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ops.errors import UserError
from ops.generators.diffusion.folder import CHECKER, KEY, PipelineFolder
from ops.pretrained.folder import ModelFolder, drop_loading_keys
from ops.pretrained.loading import load_network
from ops.pretrained.preprocessing import Preprocessing, read_preprocessing

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


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

    UserError for weights that do not fit the folder's own configuration.
    """
    import transformers

    dtype = TYPES[precision]
    tokenizer = transformers.CLIPTokenizer.from_pretrained(str(folder.path / "tokenizer"), local_files_only=True)
    unet = _open_diffusers(folder, "unet", "UNet2DConditionModel", dtype).to(device)
    vae = _open_diffusers(folder, "vae", "AutoencoderKL", dtype).to(device)
    text = _open_transformers(folder, "text_encoder", "CLIPTextModel").to(device, dtype)
    more: dict[str, Any] = {}
    if folder.kind == "unclip":
        from diffusers import DDPMScheduler

        statistics = _open_diffusers(folder, "image_normalizer", "StableUnCLIPImageNormalizer")
        more["embedder"] = Embedder(
            _open_seer(folder, "image_encoder", "CLIPVisionModelWithProjection", device),
            statistics.mean.detach().to(device),
            statistics.std.detach().to(device),
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


def _open_diffusers(folder: PipelineFolder, name: str, network: str, dtype: torch.dtype = torch.float32) -> Any:
    """A network of diffusers; UserError if a weight is missing or of another size."""
    import diffusers
    from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import StableUnCLIPImageNormalizer

    made: Any = getattr(diffusers, network, StableUnCLIPImageNormalizer)
    weights, variant = folder.weights[name], None
    if weights.count(".") > 1:
        variant = weights.split(".")[-2]
    with quiet():
        try:
            model, found = made.from_pretrained(
                str(folder.path / name),
                local_files_only=True,
                use_safetensors=True,
                variant=variant,
                low_cpu_mem_usage=False,
                ignore_mismatched_sizes=True,  # they are reported instead of raised, and refused below
                output_loading_info=True,
                torch_dtype=dtype,
            )
        except (AttributeError, KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
            line = (str(error).splitlines() or [type(error).__name__])[0]
            raise UserError(f"{KEY}.model: {folder.path / name} cannot be used: {line}") from error
    if missing := sorted(found["missing_keys"]):
        raise UserError(f"{KEY}.model: the weights in {folder.path / name} lack {missing[0]}{_more(missing)}")
    if others := sorted(found["mismatched_keys"]):
        place, stored, wanted = others[0]
        raise UserError(
            f"{KEY}.model: in {folder.path / name} the weights {place} are {list(stored)}, and its config.json needs"
            f" {list(wanted)}{_more(others)}"
        )
    return model


def _freeze(network: Any) -> Any:
    return network.eval().requires_grad_(False)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence progress bars and warnings of diffusers; what they tell is checked here."""
    from diffusers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)


def _more(names: Sized) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""
