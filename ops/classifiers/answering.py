"""Ask a trained network about images, in batches that suit the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ops.classifiers.networks.classifier import normalise
from ops.machine.memory import keep_freed_memory
from ops.machine.parallel import count_threads, start_threads
from ops.machine.precision import compute_in, resolve_precision


def settle_undefined(logits: Tensor) -> Tensor:
    """Logits or features [n, K] with zeros in each row that is not finite: to a diverged network all is alike."""
    return logits.where(logits.isfinite().all(dim=1, keepdim=True), 0.0)


def predict(
    model: Callable[[Tensor], Tensor],
    images: Tensor,
    *,
    precision: str = "auto",
    batch_size: int | None = None,
    device: str = "cpu",
) -> Tensor:
    """Logits float32 [n, K] of uint8 images [n, C, H, W]; the model must be in evaluation mode.

    Any other function of normalised images, such as a network's features, is computed in the same way.
    """
    keep_freed_memory()
    resolved = resolve_precision(precision, device)

    def answer(batch: Tensor) -> Tensor:
        with torch.inference_mode(), compute_in(resolved, device):
            return model(normalise(batch.to(device))).float().cpu()

    # On a CPU larger batches are not faster, and smaller ones divide better among threads.
    batches = images.split(batch_size or (128 if device == "cpu" else 500))
    if device != "cpu" or len(batches) == 1 or count_threads() == 1:
        return torch.cat([answer(batch) for batch in batches])
    with start_threads() as pool:
        return torch.cat(list(pool.map(answer, batches)))


def ask_each(
    models: Sequence[Callable[[Tensor], Tensor]], images: Tensor, *, precision: str = "auto", device: str = "cpu"
) -> Tensor:
    """Logits float64 [S, n, K] of S models, as `predict` gives them, without undefined ones."""
    each = [settle_undefined(predict(model, images, precision=precision, device=device)) for model in models]
    return torch.stack(each).double()
