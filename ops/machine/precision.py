"""The number format that a device computes fast in: bf16 only if the hardware can multiply it."""

from __future__ import annotations

import torch

from ops.errors import EnvironmentFault


def _has_cuda(device: str) -> bool:
    index = device.removeprefix("cuda").removeprefix(":") or "0"
    return index.isdigit() and int(index) < torch.cuda.device_count()


def check_device(device: str) -> None:
    """EnvironmentFault if torch cannot compute on `device` on this machine."""
    if device.startswith("cuda") and not _has_cuda(device):
        raise EnvironmentFault(
            f"device '{device}' cannot be used: torch finds {torch.cuda.device_count()} CUDA devices; use --device cpu"
        )


def resolve_precision(wanted: str, device: str = "cpu") -> str:
    """The format for `auto`, `fp32` or `bf16`: `auto` is bf16 with AMX, AVX512-BF16 or a CUDA device that has it."""
    if wanted != "auto":
        return wanted
    if device.startswith("cuda"):
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    # Without these instructions torch emulates bf16 and is slower than fp32.
    fast = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return "bf16" if fast else "fp32"


def compute_in(precision: str, device: str = "cpu") -> torch.autocast:
    """A context in which networks multiply in bf16 where `precision` is "bf16"; their weights stay float32.

    Casts of weights are not cached, since threads would share the cache.
    """
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bf16", cache_enabled=False)
