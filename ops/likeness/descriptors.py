"""Descriptors of an image, stored so that it can be found again: pixels, spectrum, contrasts and signature.

All are of the image averaged down and blurred a little. A query has its spectrum in several poses and its signature in
several windows as well. Images are not compared here.

Symbols: n images, C channels, h x w pixels after averaging, f frequencies, x pixels, X = x times waves the spectrum.
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
    find_blur_reach,
    find_partners,
    make_blur,
    make_centres,
    make_fold,
    make_posed_centres,
    make_waves,
    make_weights,
    make_windows,
    measure_radii,
)
from ops.likeness.registration import MIN_CONTRAST

SIDE = 32  # images of more than SIDE x SIDE pixels are averaged down to about that size
BLOCK = 256  # images described at once


@dataclass(frozen=True, eq=False)
class ImageDescriptors:
    """The descriptors of n images; 2.3 KB for each of 28x28x1.

    pixels: float16 [n, C, h, w], blurred, mean 0. spectrum: float16 [n, C * f * 2], of those pixels.
    contrasts: float16 [n, shifts], standard deviations within the centre after each shift. signatures: float16
    [n, C * f], of unit norm.
    """

    pixels: Tensor
    spectrum: Tensor
    contrasts: Tensor
    signatures: Tensor

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, rows: slice) -> ImageDescriptors:
        return ImageDescriptors(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True, eq=False)
class Queries:
    """A batch of n images to search for.

    pixels: float16 [2n, C, h, w], of the images and then of their mirror images. centres: complex64 [n, 2, poses,
    C * f], the spectra of the centres of both in every pose. window_signatures: float32 [n, windows, C * f], the
    images' signatures in every window; those of the mirror images follow from them.
    """

    pixels: Tensor
    centres: Tensor
    window_signatures: Tensor

    def __len__(self) -> int:
        return len(self.centres)


def describe(images: Tensor) -> ImageDescriptors:
    """The descriptors of uint8 images [n, C, H, W]; each depends on its own image only."""
    parts = [_describe(part) for part in (images.split(BLOCK) if len(images) else [images])]
    return ImageDescriptors(
        *(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(ImageDescriptors))
    )


def prepare(descriptors: ImageDescriptors) -> Queries:
    """Queries of a batch, for any number of sets of references: about 20 KB for an image of 28x28x1."""
    pixels = descriptors.pixels.float()
    shape = pixels.shape[2], pixels.shape[3]
    centres = _pose_centres(pixels)
    centres = as_complex(torch.stack([centres, _mirror(centres[:, MIRRORED], shape)], dim=1))
    both = torch.cat([descriptors.pixels, descriptors.pixels.flip(-1)])
    return Queries(both, centres, sign(pixels, make_windows(*shape)))


def shrink_sides(height: int, width: int) -> tuple[int, int]:
    """The sides h and w at which images are compared: about SIDE x SIDE pixels at most, proportions kept."""
    factor = min(1.0, SIDE / math.sqrt(height * width))
    return max(1, round(height * factor)), max(1, round(width * factor))


def _describe(images: Tensor) -> ImageDescriptors:
    height, width = shrink_sides(images.shape[2], images.shape[3])
    reach = find_blur_reach(height, width)
    # Average down, blur both ways, and take out the mean: x.
    levels = images.float() / 255
    if (height, width) != tuple(images.shape[2:]):
        levels = F.adaptive_avg_pool2d(levels, (height, width))
    blurred = make_blur(height, reach) @ levels @ make_blur(width, reach).T
    centred = blurred - blurred.mean(dim=(1, 2, 3), keepdim=True)
    spectrum = _spectra(centred)
    return ImageDescriptors(
        centred.half(),
        spectrum.half(),
        _contrasts(spectrum, (height, width)).half(),
        sign(centred, make_windows(height, width)[:, : spectrum.shape[1] // centred.shape[1]])[:, 0].half(),
    )


def _spectra(pixels: Tensor) -> Tensor:
    """float32 [n, C * f * 2] of pixels [n, C, h, w]: real and imaginary parts side by side."""
    return (pixels.flatten(2) @ make_waves(*pixels.shape[2:])).flatten(1)


def _contrasts(spectrum: Tensor, shape: tuple[int, int]) -> Tensor:
    """Standard deviation float32 [n, shifts] of the low frequencies within the centre, after each shift."""
    waves, centres = make_waves(*shape), make_centres(*shape)
    # Back to pixels with the low frequencies alone; then the root of E[low^2] - E[low]^2 over the moved centre.
    low = spectrum.unflatten(1, (-1, waves.shape[1])) * make_weights(*shape) @ waves.T
    means = (low @ centres).mean(1)
    return ((low.square() @ centres).mean(1) - means.square()).clamp(min=0).sqrt()


def _pose_centres(pixels: Tensor) -> Tensor:
    """The spectra float32 [n, poses, C * f * 2] of the centre alone in each pose, mean 0 and unit norm; 0 if flat."""
    inside, waves = make_posed_centres(*pixels.shape[2:])
    flat, count = pixels.flatten(2), inside.sum(0) * pixels.shape[1]  # count: pixels of the centre, all channels
    # |x - mean|^2 = sum(x^2) - count mean^2, within the centre.
    mean = (flat @ inside).sum(1) / count
    squares = (flat.square() @ inside).sum(1)
    norm = (squares - count * mean.square()).clamp(min=0).sqrt()
    # The spectrum of x - mean is that of x less mean times that of 1.
    spectra = (flat @ waves).unflatten(2, (len(POSES), -1)).transpose(1, 2)
    spectra = spectra - mean[:, :, None, None] * waves.sum(0).view(len(POSES), 1, -1)
    scale = norm.clamp(min=MIN_CONTRAST * count.sqrt()) * count.sqrt()
    return (spectra / scale[:, :, None, None]).flatten(2)


def sign(pixels: Tensor, windows: Tensor) -> Tensor:
    """Magnitudes of low frequencies in windows [h * w, windows * 2 f], as signatures float32 [n, windows, C * f].

    They have unit norm. Magnitudes fall with the frequency; square roots and the radius factor boost the high
    frequencies, which distinguish pictures.
    """
    height, width = pixels.shape[2:]
    radii = measure_radii(height, width)
    # |X|^2 of every window, and from it sqrt(|X| radius).
    spectra = (pixels.flatten(2) @ windows).unflatten(2, (-1, len(radii), 2))
    powers = spectra.square_().sum(4).transpose(1, 2)
    flat = powers.sum((2, 3)) < (MIN_CONTRAST * height * width) ** 2 / 4
    powers = (powers.sqrt() * radii).sqrt_()
    # Flat pictures get one fixed signature, opposite to all others.
    powers[flat] = -1
    # Unit norm; then even coordinates first, so that the mirror image has the others negated.
    fold, even = make_fold(height, width)
    folded = F.normalize(powers.flatten(2), dim=2).view_as(powers) @ fold
    return torch.cat([folded[..., :even].flatten(2), folded[..., even:].flatten(2)], dim=2)


def count_even(descriptors: ImageDescriptors) -> int:
    """How many coordinates of a signature, the first ones, are equal in the mirror image; the others are negated."""
    channels, height, width = descriptors.pixels.shape[1:]
    return int(channels * make_fold(height, width)[1])


def as_complex(spectrum: Tensor) -> Tensor:
    """complex64 [..., f] of real and imaginary parts side by side, [..., 2 f]."""
    return torch.view_as_complex(spectrum.unflatten(-1, (-1, 2)))


def _mirror(spectrum: Tensor, shape: tuple[int, int]) -> Tensor:
    """The spectra float32 [..., C * f * 2] of the mirror images."""
    partner, conjugated = find_partners(*shape)
    moved = spectrum.unflatten(-1, (-1, len(partner), 2))[..., partner, :]
    signs = torch.stack([torch.ones(len(partner)), 1 - 2 * conjugated.float()], dim=1)
    return (moved * signs).flatten(-3)
