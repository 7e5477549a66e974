"""The random network: the same weights everywhere, and distances that grow with the damage done to real images."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from ops.datasets.pixels import read_split
from ops.metrics.frechet import fit_gaussian, frechet_distance
from ops.metrics.kernel import estimate_kernel_distance, fit_kernel
from ops.metrics.random_network import FEATURES, embed_images, make_filters

FASHION = Path(__file__).parents[3] / "examples" / "fashion-mnist"


def draw(count: int, channels: int, height: int, width: int) -> Tensor:
    shape = (count, channels, height, width)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("channels", "expected"), [(1, "def9b975312b2437"), (3, "8f753694076c4874")])
def test_weights_are_the_same_to_the_byte_everywhere(channels: int, expected: str) -> None:
    digest = sha256(b"".join(weight.numpy().tobytes() for weight in make_filters(channels)))
    assert digest.hexdigest()[:16] == expected


def test_filters_have_no_mean_and_keep_the_size_of_activations() -> None:
    for stage, weight in enumerate(make_filters(3)):
        flat = weight.flatten(1).double()
        np.testing.assert_allclose(flat.sum(1), 0, atol=1e-5)
        np.testing.assert_allclose(flat.square().sum(1), 32 if stage == 0 else 2, rtol=1e-5)
    assert not torch.equal(make_filters(1, seed=1)[0], make_filters(1, seed=2)[0])


@pytest.mark.parametrize("shape", [(3, 1, 8, 8), (2, 3, 17, 32), (5, 4, 64, 64), (0, 1, 28, 28), (251, 1, 8, 9)])
def test_images_of_any_size_have_as_many_features(shape: tuple[int, int, int, int]) -> None:
    found = embed_images(draw(*shape))
    assert found.shape == (shape[0], FEATURES) == (shape[0], 128)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


def test_features_of_an_image_do_not_depend_on_the_others() -> None:
    images = draw(300, 1, 28, 28)
    np.testing.assert_allclose(embed_images(images)[290:], embed_images(images[290:]), rtol=1e-4, atol=1e-5)


def test_an_image_of_one_level_has_features_of_0_also_at_its_border() -> None:
    still = torch.full((1, 1, 28, 28), 200, dtype=torch.uint8)
    assert np.abs(embed_images(still)).max() < 1e-5 * np.abs(embed_images(draw(1, 1, 28, 28))).max()


def test_damage_of_growing_strength_is_ranked_by_strength() -> None:
    train, held_out = (read_split(FASHION, split) for split in ("train", "validation"))
    reference = embed_images(_to_tensor(held_out.images))
    noise = np.random.default_rng(0).normal(size=train.images.shape)
    rare_last = np.argsort(train.labels, kind="stable")
    ladders = {
        "blur": [ndimage.gaussian_filter(train.images, (0, width, width, 0)) for width in (0.5, 1, 2)],
        "noise": [np.clip(train.images + width * noise, 0, 255).astype(np.uint8) for width in (20, 40, 80)],
        "modes": [np.resize(train.images[rare_last[:kept]], train.images.shape) for kept in (700, 400, 100)],
        "repeats": [np.resize(train.images[:kept], train.images.shape) for kept in (200, 50, 10)],
    }
    whole = embed_images(_to_tensor(train.images))
    for name, ladder in ladders.items():
        steps = [whole] + [embed_images(_to_tensor(images)) for images in ladder]
        for distance in (_frechet, _kernel):
            found = [distance(reference, step) for step in steps]
            assert found == sorted(found), (name, distance.__name__, found)
            assert found[-1] > 3 * abs(found[0])


@pytest.mark.parametrize(
    "images", [torch.zeros(1, 1, 7, 28, dtype=torch.uint8), torch.zeros(2, 1, 28, 28), torch.zeros(1, 28, 28)]
)
def test_images_of_another_type_or_shape_are_refused(images: Tensor) -> None:
    with pytest.raises(ValueError, match="at least 8"):
        embed_images(images)


def _to_tensor(images: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def _frechet(a: np.ndarray, b: np.ndarray) -> float:
    return frechet_distance(fit_gaussian(a), fit_gaussian(b))


def _kernel(a: np.ndarray, b: np.ndarray) -> float:
    return estimate_kernel_distance(fit_kernel(a), fit_kernel(b)).value
