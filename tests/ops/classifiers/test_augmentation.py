"""Augmentations: every flipped crop against the list of all possible ones, shapes, ranges and seeds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ops.classifiers.augmentations import AUGMENTATIONS
from ops.classifiers.augmentations.randaugment import RandomOperations
from ops.classifiers.ingredients import Augmentation
from ops.recipe import arms
from ops.recipe.arms import FlipCrop, RandAugment
from ops.settings.kinds import Kind

NAMES = sorted(AUGMENTATIONS)


def build_augmentation(name: str, side: tuple[int, ...], **keys: float) -> Augmentation:
    height, width = side
    return AUGMENTATIONS[name](read_settings(name, **keys), (height, width))


def read_settings(name: str, **keys: float) -> Kind:
    return arms.AUGMENTATIONS[name].model_validate({"kind": name, **keys})


def draw_images(count: int, channels: int, height: int, width: int) -> Tensor:
    return torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1


def seed(value: int) -> None:
    torch.manual_seed(value)


def list_flipped_crops(image: np.ndarray, padding: int) -> dict[bytes, tuple[bool, int, int]]:
    """All images that a flip, replicated padding and a crop can make of [C, H, W], by their bytes."""
    _, height, width = image.shape
    crops = {}
    for flipped in (False, True):
        source = image[:, :, ::-1] if flipped else image
        padded = np.pad(source, ((0, 0), (padding, padding), (padding, padding)), mode="edge")
        for top in range(2 * padding + 1):
            for left in range(2 * padding + 1):
                crop = np.ascontiguousarray(padded[:, top : top + height, left : left + width])
                crops[crop.tobytes()] = (flipped, top, left)
    return crops


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 16, 21)])
def test_shape_type_and_range_are_kept(name: str, shape: tuple[int, int, int]) -> None:
    images = draw_images(6, *shape)
    before = images.clone()
    augment = build_augmentation(name, shape[1:])
    for value in range(20):
        seed(value)
        out = augment(images)
        assert out.shape == images.shape
        assert out.dtype == torch.float32
        assert torch.isfinite(out).all()
        assert float(out.min()) >= -1
        assert float(out.max()) <= 1
    assert torch.equal(images, before)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_same_seeds_give_the_same_images(name: str, channels: int) -> None:
    images, augment = draw_images(8, channels, 16, 16), build_augmentation(name, (16, 16))
    for value in range(5):
        outputs = []
        for _ in range(2):
            seed(value)
            outputs.append(augment(images))
        assert torch.equal(*outputs)
    # A freshly built augmentation has no state of its own either.
    seed(4)
    assert torch.equal(build_augmentation(name, (16, 16))(images), outputs[0])


@pytest.mark.parametrize("name", ["flip_crop", "randaugment"])
def test_other_seeds_give_other_images(name: str) -> None:
    images, augment = draw_images(8, 3, 16, 16), build_augmentation(name, (16, 16))
    outputs = []
    for value in (0, 1):
        seed(value)
        outputs.append(augment(images))
    assert not torch.equal(*outputs)


def test_none_returns_the_images_themselves() -> None:
    images = draw_images(4, 1, 8, 8)
    assert build_augmentation("none", (8, 8))(images) is images


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 9, 14)])
def test_every_flipped_crop_is_one_of_the_possible_ones_and_all_of_those_occur(shape: tuple[int, int, int]) -> None:
    padding = max(1, round(min(shape[1:]) / 14))
    images = draw_images(50, *shape)
    possible = [list_flipped_crops(image, padding) for image in images.numpy()]
    augment = build_augmentation("flip_crop", shape[1:])
    seed(0)
    met = []
    for _ in range(12):
        for image, crops in zip(augment(images).numpy(), possible, strict=True):
            met.append(crops[np.ascontiguousarray(image).tobytes()])  # KeyError: no crop of this very image
    choices = (2 * padding + 1) ** 2
    flips, positions = np.array([f for f, _, _ in met]), {(top, left) for _, top, left in met}
    assert abs(flips.mean() - 0.5) < 4 * 0.5 / np.sqrt(len(met))
    assert len(positions) == choices
    assert len(set(met)) > choices  # flips and crops are drawn apart


def test_randaugment_changes_colours_as_well_as_places() -> None:
    levels = torch.linspace(-0.5, 0.5, 5)
    images = levels[torch.randint(0, 5, (8, 3, 16, 16), generator=torch.Generator().manual_seed(0))]
    shares = {}
    for name in ("flip_crop", "randaugment"):
        augment = build_augmentation(name, (16, 16))
        seed(0)
        outputs = torch.cat([augment(images) for _ in range(20)])
        shares[name] = float(((outputs[..., None] - levels).abs().amin(-1) < 1e-6).float().mean())
    assert shares["flip_crop"] == 1
    assert shares["randaugment"] < 0.6


def test_augmentations_that_show_mirror_images_declare_it() -> None:
    slope = torch.linspace(-0.9, 0.9, 16).expand(64, 1, 16, 16)
    for name, keys in (("none", {}), ("flip_crop", {}), ("policy", {"shift": 0.1}), ("policy", {"flip": 0.5})):
        seed(0)
        outputs = build_augmentation(name, (16, 16), **keys)(slope.clone())
        fell = (outputs[..., -1] < outputs[..., 0]).all(dim=(1, 2))
        assert bool(fell.any()) == AUGMENTATIONS[name].mirrors(read_settings(name, **keys))


def test_a_recipe_may_name_exactly_these_kinds() -> None:
    assert set(AUGMENTATIONS) == set(arms.AUGMENTATIONS) - {"auto"}  # which a chosen policy replaces


@pytest.mark.parametrize(("strength", "shift"), [(0.0, 0), (0.01, 1), (1 / 14, 2), (0.25, 7), (0.45, 13)])
def test_strength_sets_the_largest_shift(strength: float, shift: int) -> None:
    images = torch.linspace(-1, 1, 28).expand(200, 1, 40, 28)  # the shorter side is 28
    seed(0)
    moved = build_augmentation("flip_crop", (40, 28), strength=strength)(images.clone())
    middle = moved[:, 0, 20, 14]
    steps = torch.minimum((middle - images[0, 0, 0, 14]).abs(), (middle - images[0, 0, 0, 13]).abs()) * 27 / 2
    assert round(float(steps.max())) == shift
    assert FlipCrop().strength == 1 / 14


def test_randaugment_mirrors_unless_its_flip_is_off() -> None:
    assert RandomOperations.mirrors(RandAugment()) and not RandomOperations.mirrors(RandAugment(flip=0))
