"""Non-leaking augmentation: training images are changed by a policy, and the network is told how each was changed.

A policy enlarges a small set, which delays memorisation. At conditions of 0 the network draws images that are not
changed (Karras et al. 2020, "Training generative adversarial networks with limited data", §2.2; Karras et al. 2022,
appendix F.2). Blur, noise and erasing of a policy are left out: what they take away, no condition gives back.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ops.recipe.arms import Policy

PLACE = 6  # conditions of the place: flip, shift x, shift y, log2 of the scale, 1 - cos and sin of the rotation


def count_conditions(channels: int) -> int:
    """Numbers that tell how an image was changed: its place, an offset, and the matrix of its channels less one."""
    return PLACE + 1 + channels**2


def augment(images: Tensor, policy: Policy, share: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Apply the operations of a policy, each to `share` of the images.

    Parameters
    ----------
    images : float [n, C, H, W] in -1..1.
    generator : a generator on the CPU, so that the draws do not depend on the device.

    Returns
    -------
    images : float [n, C, H, W] in -1..1; pixels from outside the frame repeat its edge.
    conditions : float [n, count_conditions(C)], all 0 for an image that is returned unchanged.
    """
    place = draw_moves(len(images), policy, share, generator).to(images)
    offset, matrix = (part.to(images) for part in _draw_colours(len(images), images.shape[1], policy, share, generator))
    identity = torch.eye(images.shape[1]).to(images)
    conditions = torch.cat([place, offset[:, None], (matrix - identity).flatten(1)], dim=1)
    result = move(images, place)
    coloured = conditions[:, PLACE:].ne(0).any(dim=1)
    if coloured.any():
        changed = (matrix[coloured] @ result[coloured].flatten(2)).view_as(result[coloured])
        result[coloured] = (changed + offset[coloured, None, None, None]).clamp(-1, 1)
    return result, conditions


def move(images: Tensor, place: Tensor) -> Tensor:
    """Images [n, C, H, W] moved as `place` [n, PLACE] says; 0 leaves an image as it is. Gradients pass through."""
    result = images.clone()
    moved = place.ne(0).any(dim=1)
    if moved.any():
        grid = F.affine_grid(_find_inverse(place[moved], images.shape), [*images[moved].shape], align_corners=False)
        result[moved] = F.grid_sample(images[moved], grid, padding_mode="border", align_corners=False)
    return result


def draw_moves(count: int, policy: Policy, share: float, generator: torch.Generator) -> Tensor:
    """float [count, PLACE]: what `move` does to each image, each operation to `share` of them.

    Shifts are in coordinates that run from -1 to 1, as `affine_grid` has them.
    """

    def uniform(most: float) -> Tensor:
        return most * (2 * torch.rand(count, generator=generator) - 1)

    flip = _choose(count, share * policy.flip, generator)
    shifted = 2 * policy.shift * _choose(count, share, generator)
    shift_x, shift_y = (shifted * uniform(1) for _ in "xy")
    scale = _choose(count, share, generator) * uniform(math.log2(1 + policy.scale))
    angle = _choose(count, share, generator) * uniform(math.radians(policy.rotation))
    return torch.stack([flip, shift_x, shift_y, scale, 1 - angle.cos(), angle.sin()], dim=1)


def _draw_colours(
    count: int, channels: int, policy: Policy, share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The offset, float [count], and the matrix that the channels are multiplied by, float [count, C, C]."""
    matrix = torch.eye(channels).repeat(count, 1, 1)
    if policy.channel_order and channels > 1:
        order = torch.rand(count, channels, generator=generator).argsort(dim=1)
        chosen = _choose(count, share * policy.channel_order, generator).bool()
        matrix = torch.where(chosen[:, None, None], torch.eye(channels)[order], matrix)
    if policy.grey and channels > 1:
        chosen = _choose(count, share * policy.grey, generator).bool()
        matrix = torch.where(chosen[:, None, None], torch.full_like(matrix, 1 / channels), matrix)
    spread = math.log1p(policy.gain) * (2 * torch.rand(count, generator=generator) - 1)
    gain = torch.exp(_choose(count, share, generator) * spread)
    sign = 1 - 2 * _choose(count, share * policy.inversion, generator)
    offset = 2 * policy.offset * (2 * torch.rand(count, generator=generator) - 1)  # of a range from -1 to 1
    return _choose(count, share, generator) * offset, matrix * (sign * gain)[:, None, None]


def _choose(count: int, probability: float, generator: torch.Generator) -> Tensor:
    """1.0 with this probability, else 0.0; float [count]."""
    return (torch.rand(count, generator=generator) < probability).float()


def _find_inverse(place: Tensor, shape: torch.Size) -> Tensor:
    """Where each new pixel lies in the old image, in coordinates of -1..1: float [n, 2, 3]."""
    flip, shift_x, shift_y, scale, versed, sine = place.unbind(dim=1)
    cosine, zoom, mirror, aspect = 1 - versed, 2.0**-scale, 1 - 2 * flip, shape[3] / shape[2]
    rows = [
        torch.stack([mirror * zoom * cosine, mirror * zoom * sine / aspect, -mirror * shift_x], dim=1),
        torch.stack([-zoom * sine * aspect, zoom * cosine, -shift_y], dim=1),
    ]
    return torch.stack(rows, dim=1)
