"""A LoRA of a pipeline's network: low-rank matrices beside those of its attention (Hu et al. 2022), by peft.

The network's own weights do not change. The file is the one that diffusers writes and reads (`load_lora_weights`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ops.errors import DamagedData
from ops.files.storage import replace_file
from ops.generators.folder import WEIGHTS

TARGETS = ("to_k", "to_q", "to_v", "to_out.0")  # as diffusers' own script of DreamBooth does
PREFIX = "unet."


class Adapter(nn.Module):
    """The added weights of a network, by themselves: what is trained and what a checkpoint holds."""

    def __init__(self, unet: Any) -> None:
        super().__init__()
        added = [value for name, value in unet.named_parameters() if "lora_" in name]
        self.added = nn.ParameterList(added)  # the same objects, not copies


def add_adapter(unet: Any, rank: int, alpha: float | None) -> Adapter:
    """Add a LoRA in place, in float32, which changes no output yet; only its weights have gradients.

    They are drawn from torch's global generator.
    """
    from peft import LoraConfig

    unet.add_adapter(
        LoraConfig(
            r=rank,
            lora_alpha=rank if alpha is None else alpha,
            target_modules=list(TARGETS),
            init_lora_weights="gaussian",
        )
    )
    adapter = Adapter(unet)
    adapter.float().requires_grad_(True)
    return adapter


def save_adapter(folder: Path, unet: Any) -> None:
    """Write the added weights, and with them rank and alpha, by which diffusers scales them."""
    from diffusers.loaders.lora_base import LORA_ADAPTER_METADATA_KEY
    from peft.utils import get_peft_model_state_dict

    (config,) = unet.peft_config.values()
    kept = {key: config.to_dict()[key] for key in ("r", "lora_alpha", "target_modules")}
    told = {f"{PREFIX}{key}": sorted(value) if isinstance(value, set) else value for key, value in kept.items()}
    tensors = {f"{PREFIX}{name}": value.cpu().contiguous() for name, value in get_peft_model_state_dict(unet).items()}
    with replace_file(folder / WEIGHTS) as temporary:
        save_file(tensors, temporary, {"format": "pt", LORA_ADAPTER_METADATA_KEY: json.dumps(told, sort_keys=True)})


def load_adapter(folder: Path, unet: Any, rank: int, alpha: float | None) -> None:
    """Add the LoRA of a folder in place; DamagedData if its weights are missing or are not all of this network's."""
    from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict

    path = folder / WEIGHTS
    try:
        tensors = load_file(path)
    except FileNotFoundError:
        raise DamagedData(f"{folder} holds no {WEIGHTS}") from None
    except SafetensorError as error:
        raise DamagedData(f"{path} is not a valid safetensors file: {error}") from None
    add_adapter(unet, rank, alpha)
    wanted: dict[str, Tensor] = get_peft_model_state_dict(unet)
    found = {name.removeprefix(PREFIX): value for name, value in tensors.items()}
    if {name: value.shape for name, value in wanted.items()} != {name: value.shape for name, value in found.items()}:
        raise DamagedData(f"{path} does not fit the network that it was made for")
    set_peft_model_state_dict(unet, found)
    unet.requires_grad_(False)
