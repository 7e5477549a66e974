"""The operations of adaptive discriminator augmentation, for a whole batch at once, differentiable in the pixels.

Karras et al. 2020b, appendix B: pixel blitting, geometry and colour, the three groups that helped there. All moves of
an image are one affine map and one bilinear resampling, all changes of colour one affine map of its channels.

Why drawn images are not augmented too (2020b, §2.2): made and real images pass the same operations, each with
probability p. A share of them passes unchanged, so the distribution of augmented images tells that of plain ones, and a
maker that matches the former matches the latter. At p = 1 this no longer holds: images turned by a random quarter say
nothing of how they stood.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

UNIFORM, NORMAL = 21, 7  # random numbers of an image, of each distribution
SHIFT = 0.125  # of a side: the most of a shift by whole pixels, and the standard deviation of any other
SCALE = 0.2 * math.log(2)  # standard deviation of the logarithm of a scale
BRIGHTNESS, CONTRAST, SATURATION = 0.2, 0.5 * math.log(2), math.log(2)  # the first of levels, the others of logarithms
HUE = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)  # turns about the grey axis


def draw_numbers(count: int, generator: torch.Generator) -> Tensor:
    """What `augment` follows from beside p, float [count, UNIFORM + NORMAL]; `generator` is on the CPU."""
    uniform = torch.rand(count, UNIFORM, generator=generator)
    return torch.cat([uniform, torch.randn(count, NORMAL, generator=generator)], dim=1)


def augment(images: Tensor, numbers: Tensor, p: float) -> Tensor:
    """Images float [n, C, H, W] in -1..1, of one channel or three, each changed by each operation with probability p.

    An image that no operation changes keeps its bits. Colours may leave -1..1: what clamping cuts, the critic would
    not miss. `numbers` are those of `draw_numbers`.
    """
    if p == 0.0:
        return images
    with torch.autocast(images.device.type, enabled=False):
        chance = Chance(numbers, p)
        place = find_place(chance, images.shape[2], images.shape[3])
        moved = (place != torch.eye(3, device=place.device)).flatten(1).any(dim=1)
        images = torch.where(moved[:, None, None, None], move(images, place), images)
        return recolour(images, chance)


class Chance:
    """Deals an image's random numbers out, in the order of the calls; every [n] below is one number an image."""

    def __init__(self, numbers: Tensor, p: float) -> None:
        self.p = p
        self.uniforms = iter(numbers[:, :UNIFORM].unbind(dim=1))
        self.normals = iter(numbers[:, UNIFORM:].unbind(dim=1))

    def happens(self, p: float) -> Tensor:
        """bool [n]."""
        return next(self.uniforms) < p

    def choose(self, ways: int) -> Tensor:
        """[n]: 0 where it does not happen, else any of 0..ways - 1."""
        return torch.where(self.happens(self.p), (next(self.uniforms) * ways).floor(), 0.0)

    def vary(self, spread: float) -> Tensor:
        """[n]: 0 where it does not happen, else normal."""
        return self.vary_all(spread)[0]

    def vary_all(self, *spreads: float) -> list[Tensor]:
        """The same of several numbers, to all of which it happens or to none."""
        happens = self.happens(self.p)
        return [torch.where(happens, next(self.normals) * spread, 0.0) for spread in spreads]

    def spread_all(self, *most: float) -> list[Tensor]:
        """Each [n]: 0 where it does not happen, to all or to none, else uniform in -most..most."""
        happens = self.happens(self.p)
        return [torch.where(happens, (2 * next(self.uniforms) - 1) * each, 0.0) for each in most]

    def turn(self, p: float) -> Tensor:
        """[n]: 0 where it does not happen, with a probability of its own, else any angle."""
        return torch.where(self.happens(p), (2 * next(self.uniforms) - 1) * math.pi, 0.0)


def find_place(chance: Chance, height: int, width: int) -> Tensor:
    """Where each place of a result lies in its image, in pixels from the centre: [n, 3, 3], homogeneous.

    The inverse of each operation joins on the right, in the order of the operations.
    """
    flip, quarters = chance.choose(2), chance.choose(4)
    quarter = quarters * (-math.pi / 2)
    place = _scale(1 - 2 * flip, torch.ones_like(flip)) @ _turn(quarter.cos().round(), quarter.sin().round())
    across, down = chance.spread_all(SHIFT * width, SHIFT * height)
    place = place @ _shift(across.round(), down.round())
    # Before and after the stretching an image is turned; together this happens with probability p.
    either = 1 - math.sqrt(1 - chance.p)
    size, before, stretch, after = (
        chance.vary(SCALE).exp(), chance.turn(either), chance.vary(SCALE).exp(), chance.turn(either)
    )  # fmt: skip
    place = place @ _scale(size, size) @ _turn(before.cos(), before.sin())
    place = place @ _scale(1 / stretch, stretch) @ _turn(after.cos(), after.sin())
    return place @ _shift(*chance.vary_all(SHIFT * width, SHIFT * height))


def move(images: Tensor, place: Tensor) -> Tensor:
    """Images resampled at `place`; what lies outside of the frame is its reflection."""
    height, width = images.shape[2:]
    sides = place.new_tensor([width / 2, height / 2, 1.0])  # affine_grid counts from -1 to 1 along each side
    theta = (place * sides / sides[:, None])[:, :2]
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def recolour(images: Tensor, chance: Chance) -> Tensor:
    """Brightness, contrast, inversion along the grey axis; with three channels also hue and saturation.

    x -> c (± a + s R) x ± c b: a projects on the grey axis, R turns what is across it.
    """
    channels = images.shape[1]
    brightness, contrast = chance.vary(BRIGHTNESS), chance.vary(CONTRAST).exp()
    sign = 1 - 2 * chance.choose(2)
    along = torch.full((channels, channels), 1 / channels, device=images.device)
    matrix = sign[:, None, None] * along
    changed = (brightness != 0) | (contrast != 1) | (sign != 1)
    if channels == 3:
        hue, saturation = chance.turn(chance.p), chance.vary(SATURATION).exp()
        turned = hue.cos()[:, None, None] * (torch.eye(3, device=images.device) - along)
        turned = turned + hue.sin()[:, None, None] * HUE.to(images.device)
        matrix = matrix + saturation[:, None, None] * turned
        changed = changed | (hue != 0) | (saturation != 1)
    coloured = ((contrast[:, None, None] * matrix) @ images.flatten(2)).view_as(images)
    coloured = coloured + (sign * contrast * brightness)[:, None, None, None]
    return torch.where(changed[:, None, None, None], coloured, images)


def _scale(across: Tensor, down: Tensor) -> Tensor:
    return torch.diag_embed(torch.stack([across, down, torch.ones_like(down)], dim=1))


def _turn(cosine: Tensor, sine: Tensor) -> Tensor:
    """A turn."""
    zero, one = torch.zeros_like(sine), torch.ones_like(sine)
    rows = [torch.stack(row, dim=1) for row in ([cosine, -sine, zero], [sine, cosine, zero], [zero, zero, one])]
    return torch.stack(rows, dim=1)


def _shift(across: Tensor, down: Tensor) -> Tensor:
    zero, one = torch.zeros_like(down), torch.ones_like(down)
    rows = [torch.stack(row, dim=1) for row in ([one, zero, across], [zero, one, down], [zero, zero, one])]
    return torch.stack(rows, dim=1)
