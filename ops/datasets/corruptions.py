"""Ten corruptions of small images, each in five severities, to ask a classifier about what it did not learn from.

They are meant as those of Hendrycks & Dietterich (ICLR 2019). Their numbers are those of CIFAR-10-C (make_cifar_c.py in
github.com/hendrycks/robustness), but for motion blur, pixelation and elastic distortion, whose numbers are our own.
Lengths are for a side of 32 pixels and grow with the shorter side. All code is our own, so no figure is comparable to a
published one.

A draw depends on (seed, kind, key of the image) only. So neither chunks nor order change a byte, and all severities
of an image have the same draws: the more severe one has more of the same noise, but for shot noise, whose counts are
drawn anew. The module knows neither labels nor
splits. Its pixels are those of one NumPy, Pillow and SciPy version.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from ops.datasets.keyed import draw_words

SEVERITIES = (1, 2, 3, 4, 5)
SIDE = 32  # pixels: of the images for which lengths are given
SMOOTH = 0.1  # of the shorter side: how far an elastic distortion reaches
Draws = Iterator[np.random.Generator]  # of one image after the other


@dataclass(frozen=True)
class Corruption:
    """apply: images float64 [n, H, W, C] in 0..1, how much, and the draws; the result may leave 0..1.

    amounts: of each severity.
    """

    apply: Callable[[np.ndarray, float, Draws], np.ndarray]
    amounts: tuple[float, float, float, float, float]


def corrupt(images: np.ndarray, keys: Sequence[str], kind: str, severity: int, *, seed: int) -> np.ndarray:
    """Images uint8 [n, H, W, C], C in {1, 3}, with a corruption of `CORRUPTIONS`; the same shape and type.

    keys: content id of each image. severity: 1 to 5. ValueError for others, for other shapes or types, and for an
    unknown kind.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise ValueError(f"images are {images.dtype} {list(images.shape)}; allowed: uint8 [n, H, W, 1 or 3]")
    if len(images) != len(keys):
        raise ValueError(f"there are {len(images)} images and {len(keys)} keys")
    if kind not in CORRUPTIONS:
        raise ValueError(f"the corruption is {kind}; allowed: {', '.join(CORRUPTIONS)}")
    if severity not in SEVERITIES:
        raise ValueError(f"the severity is {severity}; allowed: 1 to {SEVERITIES[-1]}")
    words = draw_words(keys, purpose=f"corruption {kind}", seed=seed, words=2)
    draws = (np.random.default_rng(own) for own in words.tolist())
    found = CORRUPTIONS[kind]
    changed = found.apply(images / 255.0, found.amounts[severity - 1], draws)
    return np.asarray((changed.clip(0, 1) * 255).round().astype(np.uint8))


def add_gaussian_noise(images: np.ndarray, amount: float, draws: Draws) -> np.ndarray:
    """amount: the standard deviation, as a share of the range."""
    noise = [rng.standard_normal(image.shape) for image, rng in zip(images, draws, strict=True)]
    return np.asarray(images + amount * np.stack(noise))


def add_shot_noise(images: np.ndarray, amount: float, draws: Draws) -> np.ndarray:
    """amount: of photons that make a pixel white; each pixel has a Poisson draw of its share of them."""
    return np.stack([rng.poisson(image * amount) / amount for image, rng in zip(images, draws, strict=True)])


def add_impulse_noise(images: np.ndarray, amount: float, draws: Draws) -> np.ndarray:
    """amount: share of the numbers that become 0 or 1, equally often."""
    changed = []
    for image, rng in zip(images, draws, strict=True):
        when, value = rng.random(image.shape), rng.random(image.shape)
        changed.append(np.where(when < amount, value.round(), image))
    return np.stack(changed)


def blur_gaussian(images: np.ndarray, amount: float, draws: Draws) -> np.ndarray:
    """amount: the standard deviation, in pixels of a side of SIDE; edges are repeated."""
    sigma = amount * scale(images)
    return np.asarray(ndimage.gaussian_filter(images, (0, sigma, sigma, 0), mode="nearest"))


def blur_motion(images: np.ndarray, amount: float, draws: Draws) -> np.ndarray:
    """amount: length of the line along which an image is averaged, in pixels of a side of SIDE; any direction."""
    length = amount * scale(images)
    return np.stack(
        [
            ndimage.convolve(image, draw_line(length, np.pi * rng.random())[:, :, None], mode="nearest")
            for image, rng in zip(images, draws, strict=True)
        ]
    )


def draw_line(length: float, angle: float) -> np.ndarray:
    """A line through the middle of a kernel, in pixels and radians: float64 [k, k] with the sum 1, k odd."""
    reach = int(np.ceil(length / 2)) + 1
    along = ((np.arange(8 * reach) + 0.5) / (8 * reach) - 0.5) * length
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    rows, columns = reach + along * np.sin(angle), reach + along * np.cos(angle)
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    for down in (0, 1):  # each point is shared by the four pixels around it
        for right in (0, 1):
            shares = np.abs(1 - down - (rows - top)) * np.abs(1 - right - (columns - left))
            np.add.at(kernel, (np.minimum(top + down, 2 * reach), np.minimum(left + right, 2 * reach)), shares)
    return kernel / kernel.sum()


def brighten(images: np.ndarray, amount: float, draws: Draws) -> np.ndarray:
    """amount: by how much the value of HSV, the largest channel, grows; hue and saturation stay."""
    value = images.max(axis=3, keepdims=True)
    wanted = (value + amount).clip(max=1)
    return np.where(value > 0, images * wanted / np.where(value > 0, value, 1), wanted)


def lower_contrast(images: np.ndarray, amount: float, draws: Draws) -> np.ndarray:
    """amount: what is left of each channel's distance to its mean over the image."""
    mean = images.mean(axis=(1, 2), keepdims=True)
    return np.asarray((images - mean) * amount + mean)


def pixelate(images: np.ndarray, amount: float, draws: Draws) -> np.ndarray:
    """amount: share of the pixels along each side that are left; each is the mean over its area."""
    count, height, width = images.shape[:3]
    rows = (mean_cells(height, amount) @ images.reshape(count, height, -1)).reshape(images.shape)
    return np.asarray(mean_cells(width, amount) @ rows)


def mean_cells(length: int, share: float) -> np.ndarray:
    """Along a side of so many pixels, cells take the place of pixels, fewer by `share`: float64 [length, length].

    A pixel of the result is the mean of the cells that it lies in, and a cell that of the pixels in it, by area.
    """
    ends = np.linspace(0, length, max(1, round(length * share)) + 1)
    pixels = np.arange(length)[:, None]
    overlap = (np.minimum(pixels + 1, ends[1:]) - np.maximum(pixels, ends[:-1])).clip(min=0)
    return np.asarray(overlap @ (overlap / overlap.sum(axis=0)).T)


def compress(images: np.ndarray, amount: float, draws: Draws) -> np.ndarray:
    """amount: the quality of a JPEG file."""
    found = np.empty_like(images)
    for number, pixels in enumerate((images * 255).round().astype(np.uint8)):
        file = io.BytesIO()
        Image.fromarray(pixels[:, :, 0] if images.shape[3] == 1 else pixels).save(file, "JPEG", quality=int(amount))
        found[number] = np.asarray(Image.open(file)).reshape(images.shape[1:]) / 255
    return found


def distort(images: np.ndarray, amount: float, draws: Draws) -> np.ndarray:
    """amount: by how many pixels of a side of SIDE pixels move, as a root of the mean square; neighbours move alike."""
    height, width, channels = images.shape[1:]
    sigma, places = SMOOTH * min(height, width), np.mgrid[:height, :width].astype(float)
    changed = np.empty_like(images)
    for number, rng in zip(range(len(images)), draws, strict=True):
        moves = ndimage.gaussian_filter(rng.uniform(-1, 1, (2, height, width)), (0, sigma, sigma), mode="reflect")
        moves *= amount * scale(images) / np.sqrt((moves**2).sum(axis=0).mean())
        for channel in range(channels):
            changed[number, :, :, channel] = ndimage.map_coordinates(
                images[number, :, :, channel], places + moves, order=1, mode="nearest"
            )
    return changed


def scale(images: np.ndarray) -> float:
    """What a pixel of a side of SIDE is here, in pixels."""
    return min(images.shape[1:3]) / SIDE


CORRUPTIONS: dict[str, Corruption] = {
    "gaussian_noise": Corruption(add_gaussian_noise, (0.04, 0.06, 0.08, 0.09, 0.10)),
    "shot_noise": Corruption(add_shot_noise, (500, 250, 100, 75, 50)),
    "impulse_noise": Corruption(add_impulse_noise, (0.01, 0.02, 0.03, 0.05, 0.07)),
    "gaussian_blur": Corruption(blur_gaussian, (0.4, 0.6, 0.7, 0.8, 1.0)),
    "motion_blur": Corruption(blur_motion, (2.0, 3.0, 4.0, 5.5, 7.0)),
    "brightness": Corruption(brighten, (0.05, 0.1, 0.15, 0.2, 0.3)),
    "contrast": Corruption(lower_contrast, (0.75, 0.5, 0.4, 0.3, 0.15)),
    "pixelate": Corruption(pixelate, (0.9, 0.8, 0.7, 0.6, 0.5)),
    "jpeg": Corruption(compress, (80, 65, 58, 50, 40)),
    "elastic": Corruption(distort, (0.5, 0.75, 1.0, 1.25, 1.5)),
}
