"""Naturalness: noise, blobs and blur lie beyond what real images show, without anything learnt but real distances."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ops.filters.naturalness import fit_naturalness, hold_out, measure_naturalness
from ops.filters.texture import describe_texture


def draw(count: int, channels: int = 3, side: int = 32, seed: int = 0) -> Tensor:
    """Boxes, discs and lines in any two colours: sharp edges and plain faces."""
    rng, images = np.random.default_rng(seed), []
    for _ in range(count):
        picture = Image.new("RGB", (4 * side, 4 * side), tuple(rng.integers(0, 100, 3).tolist()))
        pen = ImageDraw.Draw(picture)
        for _ in range(3):
            x, y, wide, high = (rng.uniform(0.1, 0.5, 4) * 4 * side).tolist()
            shape = (pen.rectangle, pen.ellipse)[rng.integers(2)]
            shape((x, y, x + wide, y + high), fill=tuple(rng.integers(90, 256, 3).tolist()))
        levels = np.asarray(picture.resize((side, side), Image.Resampling.BOX)).transpose(2, 0, 1)
        images.append(levels if channels == 3 else levels.mean(0, keepdims=True).round().astype(np.uint8))
    return torch.from_numpy(np.stack(images).copy())


@pytest.mark.parametrize(("channels", "side"), [(1, 28), (3, 32), (3, 64)])
def test_what_is_no_picture_lies_beyond_all_real_images(channels: int, side: int) -> None:
    real = fit_naturalness(draw(195, channels, side))
    usual = measure_naturalness(real, draw(100, channels, side, seed=1))
    assert usual.dtype == np.float32 and usual.max() <= 0
    edge, random = np.quantile(usual, 0.02), torch.Generator().manual_seed(0)
    shape, means = (50, channels, side, side), draw(50, channels, side).float().mean(0)
    blobs = torch.nn.functional.interpolate(
        torch.rand(50, channels, 4, 4, generator=random) * 255, (side, side), mode="bicubic"
    )
    blurred = torch.nn.functional.avg_pool2d(draw(50, channels, side, seed=2).float(), 7, 1, 3)
    for nothing in (
        128 + 60 * torch.randn(shape, generator=random), 255 * torch.rand(shape, generator=random),
        means + 40 * torch.randn(shape, generator=random), blobs, means.expand(shape),
    ):  # fmt: skip
        found = measure_naturalness(real, nothing.round().clamp(0, 255).to(torch.uint8))
        assert (found < edge).mean() >= 0.95
    distances = [
        real.measure(describe_texture(part.to(torch.uint8))) for part in (draw(100, channels, side, 1), blurred)
    ]
    assert (distances[1] > np.quantile(distances[0], 0.98)).mean() >= 0.95


def test_a_real_image_lies_at_0_and_a_batch_changes_nothing() -> None:
    images = draw(30)
    real = fit_naturalness(images)
    assert measure_naturalness(real, images) == pytest.approx(0, abs=1e-3)
    others = draw(9, seed=1)
    alone = np.concatenate([measure_naturalness(real, part) for part in others.split(2)])
    np.testing.assert_allclose(alone, measure_naturalness(real, others), atol=1e-4)
    assert len(measure_naturalness(real, images[:0])) == 0


def test_flat_graphics_with_a_little_noise_are_usual_and_noise_is_not() -> None:
    def print_letters(seed: int) -> Tensor:
        """Bars in exactly two colours: no anti-aliasing, no gradient, no noise."""
        rng = np.random.default_rng(seed)
        images = np.empty((150, 3, 32, 32), np.uint8)
        for image in images:
            background, ink = rng.integers(0, 256, (2, 3, 1, 1))
            x, y = rng.integers(4, 14, 2)
            image[:] = background
            image[:, y : y + 12, x : x + 4] = image[:, y : y + 3, x : x + 12] = ink
        return torch.from_numpy(images)

    real, further = fit_naturalness(print_letters(0)), print_letters(1)
    random = torch.Generator().manual_seed(0)
    noisy = [(further + sd * torch.randn(further.shape, generator=random)).clamp(0, 255) for sd in (3, 60)]
    drawn, noise = (measure_naturalness(real, levels.round().to(torch.uint8)) for levels in noisy)
    assert (drawn == 0).mean() > 0.95
    assert (noise < 0).mean() > 0.95


def test_brightness_and_contrast_are_no_texture() -> None:
    images = draw(20, 1)
    darker = (images.float() * 0.5 + 30).round().to(torch.uint8)
    np.testing.assert_allclose(describe_texture(darker)[:, 1:4], describe_texture(images)[:, 1:4], atol=0.15)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 5, 9), (1, 3, 3), (4, 40, 17), (1, 1, 1), (3, 2, 1), (2, 4, 4)])
def test_odd_shapes_blank_and_few_images(shape: tuple[int, ...]) -> None:
    images = torch.randint(0, 256, (6, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images[0] = 7
    assert np.isfinite(describe_texture(images)).all()
    assert np.isfinite(measure_naturalness(fit_naturalness(images[:2]), images)).all()
    with pytest.raises(ValueError, match="1 training images"):
        fit_naturalness(images[:1])
    assert len(hold_out(np.zeros((3, 2)), np.zeros(2))) == 0


def test_colours_that_agree_in_nothing_are_no_picture_however_smooth() -> None:
    def blur(count: int, colours: int, seed: int) -> Tensor:
        """Smooth blobs of so many mixtures of three colours."""
        random = torch.Generator().manual_seed(seed)
        coarse = torch.randn(count, colours, 16, generator=random)
        mixtures = torch.linalg.qr(torch.randn(count, 3, 3, generator=random))[0][:, :, :colours]
        blobs = (mixtures @ coarse).view(count, 3, 4, 4)
        wide = torch.nn.functional.interpolate(128 + 40 * blobs, (32, 32), mode="bicubic")
        return wide.round().clamp(0, 255).to(torch.uint8)

    real = fit_naturalness(blur(200, 2, 0))
    usual = measure_naturalness(real, blur(100, 2, 1))
    assert (measure_naturalness(real, blur(100, 3, 2)) < np.quantile(usual, 0.01)).mean() > 0.9
