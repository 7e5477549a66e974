"""Preparing with gradients: Pillow's own pixels, and the gradient of the two linear passes. Needs no `transformers`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from ops.pretrained.differentiable import prepare, weigh
from ops.pretrained.preprocessing import Preprocessing

PILLOW = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def resize(size: tuple[int, int], mode: str, mean: float = 0.0, std: float = 1 / 255) -> Preprocessing:
    return Preprocessing(size, mode, None, 1 / 255, (mean,) * 3, (std,) * 3)


@pytest.mark.parametrize("mode", PILLOW)
@pytest.mark.parametrize(("shape", "size"), [((28, 28), (45, 45)), ((64, 64), (30, 30)), ((40, 36), (37, 33))])
def test_levels_are_those_of_pillow(mode: str, shape: tuple[int, int], size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    theirs = np.asarray(Image.fromarray(pixels).resize(size[::-1], PILLOW[mode]), np.float32)
    images = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    np.testing.assert_allclose(prepare(images, resize(size, mode))[0].permute(1, 2, 0), theirs, atol=1e-3)


def test_the_gradient_is_that_of_the_passes_without_rounding() -> None:
    images = (0.2 + 0.6 * torch.rand(2, 1, 12, 10, generator=torch.Generator().manual_seed(0))).requires_grad_()
    pull = torch.randn(2, 3, 17, 15, generator=torch.Generator().manual_seed(1))
    prepared = prepare(images, resize((17, 15), "bicubic", 0.3, 0.2))
    (found,) = torch.autograd.grad((prepared * pull).sum(), images)
    rows, columns = weigh(12, 17, "bicubic").float(), weigh(10, 15, "bicubic").float()
    torch.testing.assert_close(found, rows.T @ (pull.sum(1, keepdim=True) / 0.2) @ columns, rtol=1e-4, atol=1e-4)


def test_levels_beyond_the_range_have_no_gradient_and_statistics_replace_those_of_the_folder() -> None:
    images = torch.tensor([[[[-0.5, 0.5], [1.5, 0.25]]]], requires_grad=True)
    told = prepare(images, resize((2, 2), "bicubic"), (0.5,), (0.25,))
    assert torch.autograd.grad(told.sum(), images)[0].tolist() == [[[[0.0, 12.0], [0.0, 12.0]]]]
    np.testing.assert_allclose(
        told[0, 0].detach(), [[-2.0, 4 * (128 / 255 - 0.5)], [2.0, 4 * (64 / 255 - 0.5)]], atol=1e-6
    )
    with pytest.raises(ValueError, match=r"allowed: float \[n, 1 or 3, H, W\]"):
        prepare(torch.zeros(1, 1, 2, 2, dtype=torch.uint8), resize((2, 2), "bicubic"))
