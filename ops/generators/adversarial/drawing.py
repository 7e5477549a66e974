"""Images as the exported graph draws them, from noise and labels: the reference for it, and draws in training."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn

from ops.generators.adversarial.pair import Maker, take_latent
from ops.generators.feeds import LABEL, NOISE
from ops.generators.levels import to_pixels
from ops.machine.precision import compute_in

PART_IMAGES = 50  # images that a thread draws at a time during training


class Drawing(nn.Module):
    """The whole sampler: noise float [n, C, H, W] and label int64 [n] to uint8 [n, H, W, C]."""

    def __init__(self, maker: Maker, truncation: float | None = None) -> None:
        super().__init__()
        self.maker, self.truncation = maker, truncation

    def forward(self, noise: Tensor, label: Tensor) -> Tensor:
        z = take_latent(noise, self.maker.latent)
        return to_pixels(self.maker.draw(z, label, self.truncation).float())


def draw_in_threads(
    maker: Maker, feeds: Mapping[str, Tensor], device: str, precision: str, pool: ThreadPoolExecutor
) -> Tensor:
    """uint8 [n, H, W, C], PART_IMAGES at a time, so that no bit depends on the number of threads."""
    drawing = Drawing(maker)

    def draw(part: tuple[Tensor, Tensor]) -> Tensor:
        with torch.inference_mode(), compute_in(precision, device):
            noise, label = (tensor.to(device) for tensor in part)
            images: Tensor = drawing(noise, label)
            return images.cpu()

    parts = zip(feeds[NOISE].split(PART_IMAGES), feeds[LABEL].split(PART_IMAGES), strict=True)
    return torch.cat(list(pool.map(draw, parts)))
