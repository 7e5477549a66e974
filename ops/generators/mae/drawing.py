"""Draw variants in torch: the reference for the exported sampler, and the draws during training.

Two things vary an image. A share of its patches is hidden, another share and others for each variant. And its latent f
becomes

    f' = sqrt(1 - s²) · f + s · g,    g ~ N(0, 1),

where s is the strength. g has one number for each number of a token and is the same for all tokens, as perturbations of
tokens are in guided imagination; what is hidden stays hidden.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn

from ops.generators.feeds import IMAGE, NOISE
from ops.generators.levels import to_float, to_pixels
from ops.generators.mae.chance import take_chance
from ops.generators.mae.learning import PART_IMAGES
from ops.generators.mae.masking import find_hidden
from ops.generators.mae.network import Mae
from ops.machine.precision import compute_in

Shares = tuple[float, float]


def vary(mae: Mae, x: Tensor, noise: Tensor, hidden: Shares, strength: float) -> Tensor:
    """A latent [n, 1 + L, D] of one variant of each image [n, C, H, W] in -1..1, by noise [n, C, H, W].

    hidden : the least and the most share of patches that is hidden.
    """
    scores, share, shift = take_chance(noise, mae.places, mae.mean.shape[1])
    if not hidden[1]:
        return _mix(mae.encode(x), shift, strength)
    covered = find_hidden(scores, hidden[0] + (hidden[1] - hidden[0]) * share)
    latent = mae.encode(x, covered)
    moved = _mix(latent, shift, strength)
    return torch.cat([moved[:, :1], torch.where(covered[:, :, None], latent[:, 1:], moved[:, 1:])], dim=1)


def _mix(latent: Tensor, shift: Tensor, strength: float) -> Tensor:
    return latent * math.sqrt(1 - strength**2) + shift[:, None] * strength


class Variation(nn.Module):
    """The whole sampler: image uint8 [n, H, W, C] and noise [n, C, H, W] to variant uint8 [n, H, W, C]."""

    def __init__(self, mae: Mae, hidden: Shares, strength: float) -> None:
        super().__init__()
        self.mae, self.hidden, self.strength = mae, hidden, strength

    def forward(self, noise: Tensor, image: Tensor) -> Tensor:
        latent = vary(self.mae, to_float(image), noise, self.hidden, self.strength)
        return to_pixels(self.mae.decode(latent).float())


def draw_in_threads(
    variation: Variation, feeds: Mapping[str, Tensor], device: str, precision: str, pool: ThreadPoolExecutor
) -> Tensor:
    """uint8 [n, H, W, C], PART_IMAGES at a time, so that no bit depends on the number of threads."""

    def draw_some(part: tuple[Tensor, Tensor]) -> Tensor:
        noise, image = (tensor.to(device) for tensor in part)
        with torch.inference_mode(), compute_in(precision, device):
            drawn: Tensor = variation(noise, image)
            return drawn.cpu()

    parts = zip(feeds[NOISE].split(PART_IMAGES), feeds[IMAGE].split(PART_IMAGES), strict=True)
    return torch.cat(list(pool.map(draw_some, parts)))
