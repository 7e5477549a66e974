"""What is stored of an image so that it can be found again: pixels, spectrum, contrasts and signature.

All are of the image averaged down and blurred a little. A query has them in several poses and views as well. What is
like what is not known here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from ops.likeness.gratings import (
    MIRRORED,
    POSES,
    find_partners,
    find_reach,
    make_blur,
    make_centres,
    make_fold,
    make_posed_centres,
    make_waves,
    make_weights,
    make_windows,
    measure_radii,
)
from ops.likeness.registration import FLAT

SIDE = 32  # images of more than SIDE x SIDE pixels are averaged down to about so many
BLOCK = 256  # images described at once


@dataclass(frozen=True, eq=False)
class Likenesses:
    """What comparisons need of n images; 2.3 KB for each of 28x28x1.

    pixels: float16 [n, C, h, w], blurred, mean 0. spectrum: float16 [n, C * f * 2], of those pixels.
    contrasts: float16 [n, shifts], of the centre of the picture moved by each shift. signatures: float16 [n, C * f].
    """

    pixels: Tensor
    spectrum: Tensor
    contrasts: Tensor
    signatures: Tensor

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, rows: slice) -> Likenesses:
        return Likenesses(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True, eq=False)
class Queries:
    """A batch of n images, ready to be looked for.

    pixels: float16 [2n, C, h, w], of the images and then of their mirror images. centres: complex64 [n, 2, poses,
    C * f], the spectra of the centres of both in every pose. views: float32 [n, views, C * f], the images' signatures
    in every view; those of the mirror images follow from them.
    """

    pixels: Tensor
    centres: Tensor
    views: Tensor

    def __len__(self) -> int:
        return len(self.centres)


def describe(images: Tensor) -> Likenesses:
    """Likenesses of uint8 images [n, C, H, W]; each depends on its own image only."""
    parts = [_describe(part) for part in (images.split(BLOCK) if len(images) else [images])]
    return Likenesses(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(Likenesses)))


def prepare(likenesses: Likenesses) -> Queries:
    """Queries of a batch, for any number of sets of references: about 20 KB for an image of 28x28x1."""
    pixels = likenesses.pixels.float()
    shape = pixels.shape[2], pixels.shape[3]
    centres = _pose_centres(pixels)
    centres = as_complex(torch.stack([centres, _mirror(centres[:, MIRRORED], shape)], dim=1))
    both = torch.cat([likenesses.pixels, likenesses.pixels.flip(-1)])
    return Queries(both, centres, sign(pixels, make_windows(*shape)))


def shrink_sides(height: int, width: int) -> tuple[int, int]:
    """The sides at which images are compared: at most about SIDE x SIDE pixels, in the proportion of the image."""
    factor = min(1.0, SIDE / math.sqrt(height * width))
    return max(1, round(height * factor)), max(1, round(width * factor))


def _describe(images: Tensor) -> Likenesses:
    height, width = shrink_sides(images.shape[2], images.shape[3])
    reach = find_reach(height, width)
    levels = images.float() / 255
    if (height, width) != tuple(images.shape[2:]):
        levels = F.adaptive_avg_pool2d(levels, (height, width))
    blurred = make_blur(height, reach) @ levels @ make_blur(width, reach).T
    centred = blurred - blurred.mean(dim=(1, 2, 3), keepdim=True)
    spectrum = _spectra(centred)
    return Likenesses(
        centred.half(),
        spectrum.half(),
        _contrasts(spectrum, (height, width)).half(),
        sign(centred, make_windows(height, width)[:, : spectrum.shape[1] // centred.shape[1]])[:, 0].half(),
    )


def _spectra(pixels: Tensor) -> Tensor:
    """float32 [n, C * f * 2] of pixels [n, C, h, w]: real and imaginary parts side by side."""
    return (pixels.flatten(2) @ make_waves(*pixels.shape[2:])).flatten(1)


def _contrasts(spectrum: Tensor, shape: tuple[int, int]) -> Tensor:
    """Standard deviation float32 [n, shifts] of the low frequencies in the centre, moved by each shift."""
    waves, centres = make_waves(*shape), make_centres(*shape)
    low = spectrum.unflatten(1, (-1, waves.shape[1])) * make_weights(*shape) @ waves.T
    means = (low @ centres).mean(1)
    return ((low.square() @ centres).mean(1) - means.square()).clamp(min=0).sqrt()


def _pose_centres(pixels: Tensor) -> Tensor:
    """The spectra float32 [n, poses, C * f * 2] of the centre alone in each pose, mean 0 and unit norm; 0 if flat."""
    inside, waves = make_posed_centres(*pixels.shape[2:])
    flat, count = pixels.flatten(2), inside.sum(0) * pixels.shape[1]
    mean = (flat @ inside).sum(1) / count
    squares = (flat.square() @ inside).sum(1)
    norm = (squares - count * mean.square()).clamp(min=0).sqrt()
    spectra = (flat @ waves).unflatten(2, (len(POSES), -1)).transpose(1, 2)
    spectra = spectra - mean[:, :, None, None] * waves.sum(0).view(len(POSES), 1, -1)
    scale = norm.clamp(min=FLAT * count.sqrt()) * count.sqrt()
    return (spectra / scale[:, :, None, None]).flatten(2)


def sign(pixels: Tensor, windows: Tensor) -> Tensor:
    """Signatures float32 [n, w, C * f] in windows [h * w, w * 2 f], of unit norm: magnitudes of low frequencies.

    Magnitudes fall with the frequency; the roots and the factor let the small ones speak that tell pictures apart.
    """
    height, width = pixels.shape[2:]
    radii = measure_radii(height, width)
    spectra = (pixels.flatten(2) @ windows).unflatten(2, (-1, len(radii), 2))
    powers = spectra.square_().sum(4).transpose(1, 2)
    flat = powers.sum((2, 3)) < (FLAT * height * width) ** 2 / 4
    powers = (powers.sqrt() * radii).sqrt_()
    # Flat pictures are alike, and on the other side of everything else.
    powers[flat] = -1
    fold, even = make_fold(height, width)
    folded = F.normalize(powers.flatten(2), dim=2).view_as(powers) @ fold
    return torch.cat([folded[..., :even].flatten(2), folded[..., even:].flatten(2)], dim=2)


def count_even(likenesses: Likenesses) -> int:
    """How many coordinates of a signature the mirror image shares; the others it has negated."""
    channels, height, width = likenesses.pixels.shape[1:]
    return int(channels * make_fold(height, width)[1])


def as_complex(spectrum: Tensor) -> Tensor:
    return torch.view_as_complex(spectrum.unflatten(-1, (-1, 2)))


def _mirror(spectrum: Tensor, shape: tuple[int, int]) -> Tensor:
    """The spectra float32 [..., C * f * 2] of the mirror images."""
    partner, conjugated = find_partners(*shape)
    moved = spectrum.unflatten(-1, (-1, len(partner), 2))[..., partner, :]
    signs = torch.stack([torch.ones(len(partner)), 1 - 2 * conjugated.float()], dim=1)
    return (moved * signs).flatten(-3)
