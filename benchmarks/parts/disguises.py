"""Hard cases for the filters: disguised copies, and contentless images. Made from uint8 images with a seed.

As in `benchmarks.parts.planting`, the strengths are defined here only; `ops.filters` does not know them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter, map_coordinates
from torch import Tensor

from benchmarks.parts.fashion import LabelledImages

Disguise = Callable[[Tensor, np.random.Generator], Tensor]
TURNED = ("turned 5", "turned 10", "scaled 0.9", "scaled 1.1", "mirrored, turned 10", "mirrored, scaled 0.9",
          "mirrored, scaled 1.1")  # fmt: skip


def turn(
    images: Tensor, rng: np.random.Generator, degrees: float = 0.0, scale: float = 1.0, move: float = 0.0
) -> Tensor:
    """Turn left or right, scale, and move by up to `move` pixels each way; border pixels are repeated; bicubic."""
    count, _, height, width = images.shape
    angle = np.deg2rad(degrees) * rng.choice([-1, 1], count)
    cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
    moved = rng.uniform(-move, move, (2, count))
    rows = [[cos, -sin * height / width, 2 * moved[0] / width], [sin * width / height, cos, 2 * moved[1] / height]]
    theta = torch.from_numpy(np.array(rows, dtype=np.float32)).permute(2, 0, 1)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    drawn = F.grid_sample(images.float(), grid, mode="bicubic", padding_mode="border", align_corners=False)
    return to_levels(drawn)


def bend(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Move every place by a smooth random field with a standard deviation of a fortieth of the side."""
    height, width = images.shape[2:]
    places = np.mgrid[:height, :width]
    drawn = np.empty(images.shape, np.float32)
    for i, image in enumerate(images.numpy().astype(np.float32)):
        field = gaussian_filter(rng.normal(size=(2, height, width)), (0, height / 7, width / 7))
        field *= height / 40 / field.std(axis=(1, 2), keepdims=True)
        drawn[i] = [map_coordinates(channel, places + field, order=1, mode="nearest") for channel in image]
    return to_levels(torch.from_numpy(drawn))


def occlude(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Cover a tenth of the image by a square of one grey level."""
    side = round((0.1 * images.shape[2] * images.shape[3]) ** 0.5)
    covered = images.clone()
    for image in covered:
        top, left = (int(rng.integers(size - side + 1)) for size in images.shape[2:])
        image[:, top : top + side, left : left + side] = int(rng.integers(256))
    return covered


def make_noise(images: Tensor, rng: np.random.Generator, strength: float) -> Tensor:
    return to_levels(images.float() + torch.from_numpy(rng.normal(0, strength, images.shape)))


def bend_levels(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Gamma 0.7 or 1.4."""
    gamma = torch.from_numpy(rng.choice([0.7, 1.4], len(images)))[:, None, None, None]
    return to_levels(255 * (images.double() / 255) ** gamma)


DISGUISES: dict[str, Disguise] = {
    "turned 5": lambda x, rng: turn(x, rng, 5),
    "turned 10": lambda x, rng: turn(x, rng, 10),
    "scaled 0.9": lambda x, rng: turn(x, rng, scale=0.9),
    "scaled 1.1": lambda x, rng: turn(x, rng, scale=1.1),
    "mirrored, turned 10": lambda x, rng: turn(x.flip(-1), rng, 10),
    "mirrored, scaled 0.9": lambda x, rng: turn(x.flip(-1), rng, scale=0.9),
    "mirrored, scaled 1.1": lambda x, rng: turn(x.flip(-1), rng, scale=1.1),
    "turned 10, moved 1": lambda x, rng: turn(x, rng, 10, move=1),
    "scaled 0.9, moved 1": lambda x, rng: turn(x, rng, scale=0.9, move=1),
    "scaled 1.1, moved 1": lambda x, rng: turn(x, rng, scale=1.1, move=1),
    "bent": bend,
    "a tenth covered": occlude,
    "gamma": bend_levels,
    "noise 15": lambda x, rng: make_noise(x, rng, 15),
    "noise 25": lambda x, rng: make_noise(x, rng, 25),
}


def make_nothings(train: LabelledImages, real: LabelledImages, rng: np.random.Generator) -> dict[str, LabelledImages]:
    """Contentless images by name, each kind as many as `real` has; some kinds are made from `real`.

    Images that show no class get random labels; means are those of the training images.
    """
    shape, any_label = tuple(real.images.shape), rng.choice(np.unique(train.labels), len(real))
    count, height, width = shape[0], shape[2], shape[3]
    means = torch.stack([train.images[torch.from_numpy(train.labels == label)].float().mean(0) for label in any_label])
    coarse = torch.from_numpy(rng.normal(128, 64, (count, shape[1], 4, 4)))
    levels = real.images.numpy().astype(np.float64)
    phases = np.angle(np.fft.fft2(rng.normal(size=(count, 1, height, width))))
    phases[..., 0, 0] = 0  # the mean stays
    scrambled = np.fft.ifft2(np.abs(np.fft.fft2(levels)) * np.exp(1j * phases)).real
    blurred = gaussian_filter(levels, (0, 0, height / 14, width / 14), mode="nearest")
    return {
        "noise, Gaussian": LabelledImages(to_levels(torch.from_numpy(rng.normal(128, 64, shape))), any_label),
        "noise, uniform": LabelledImages(to_levels(torch.from_numpy(rng.uniform(0, 255, shape))), any_label),
        "noise around the class's mean": LabelledImages(make_noise(means, rng, 40), any_label),
        "blobs": LabelledImages(to_levels(F.interpolate(coarse, (height, width), mode="bicubic")), any_label),
        "the class's mean": LabelledImages(to_levels(means), any_label),
        "real, blurred": LabelledImages(to_levels(torch.from_numpy(blurred)), real.labels),
        "real, phases scrambled": LabelledImages(to_levels(torch.from_numpy(scrambled)), real.labels),
    }


def to_levels(values: Tensor) -> Tensor:
    return values.round().clamp(0, 255).to(torch.uint8)
