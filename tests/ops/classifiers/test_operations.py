"""RandAugment's operations beside Pillow's, which its authors use, and what an amount does to them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor

from ops.classifiers.augmentations.operations import OPERATIONS, operate
from ops.classifiers.augmentations.randaugment import RandomOperations
from ops.recipe.arms import RandAugment

NAMES = tuple(OPERATIONS)
WITHOUT_AMOUNT = {"identity", "auto_contrast", "equalize"}
SIDE = 24


def draw_levels(count: int, channels: int) -> np.ndarray:
    """uint8 [n, C, H, W] of smooth images that leave out the darkest and brightest levels."""
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.random((count, channels, 5, 5)))
    smooth = torch.nn.functional.interpolate(coarse, (SIDE, SIDE), mode="bilinear").numpy()
    return np.asarray((20 + 200 * smooth).round(), np.uint8)


def change(images: np.ndarray, name: str, amount: float) -> np.ndarray:
    """float64 [n, C, H, W] in 0..255."""
    count = len(images)
    chosen, amounts = torch.full((count,), NAMES.index(name)), torch.full((count,), amount)
    return operate(torch.from_numpy(images).float() / 255, chosen, amounts).double().numpy() * 255


def to_pillow(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))


def from_pillow(image: Image.Image) -> np.ndarray:
    found = np.asarray(image, np.float64)
    return found[None] if found.ndim == 2 else found.transpose(2, 0, 1)


PILLOW: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    "identity": lambda image, amount: image,
    "auto_contrast": lambda image, amount: ImageOps.autocontrast(image),
    "equalize": lambda image, amount: ImageOps.equalize(image),
    "solarize": lambda image, amount: ImageOps.solarize(image, int(255 * (1 - abs(amount))) + 1),
    "posterize": lambda image, amount: ImageOps.posterize(image, 8 - round(4 * abs(amount))),
    "colour": lambda image, amount: ImageEnhance.Color(image).enhance(1 + 0.9 * amount),
    "contrast": lambda image, amount: ImageEnhance.Contrast(image).enhance(1 + 0.9 * amount),
    "brightness": lambda image, amount: ImageEnhance.Brightness(image).enhance(1 + 0.9 * amount),
    "sharpness": lambda image, amount: ImageEnhance.Sharpness(image).enhance(1 + 0.9 * amount),
}


@pytest.mark.parametrize("amount", [-1.0, -0.4, 0.1, 0.73])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", PILLOW)
def test_levels_are_those_of_pillow(name: str, channels: int, amount: float) -> None:
    images = draw_levels(4, channels)
    found = change(images, name, amount)
    for image, ours in zip(images, found, strict=True):
        theirs = from_pillow(PILLOW[name](to_pillow(image), amount))
        assert np.abs(ours - theirs).max() <= 2.0  # Pillow rounds means and steps to whole levels


@pytest.mark.parametrize("amount", [-0.6, 0.3])
def test_places_are_those_of_pillow(amount: float) -> None:
    """Inside the image; Pillow's affine takes the input place of each output place, in pixels from the corner."""
    image, middle = draw_levels(1, 1), SIDE / 2
    angle, shear, moved = np.radians(30 * amount), 0.3 * amount, 150 / 331 * SIDE * amount
    cos, sin = np.cos(angle), np.sin(angle)
    maps = {
        "rotate": (cos, -sin, middle * (1 - cos + sin), sin, cos, middle * (1 - sin - cos)),
        "shear_x": (1, shear, -shear * middle, 0, 1, 0),
        "shear_y": (1, 0, 0, shear, 1, -shear * middle),
        "translate_x": (1, 0, moved, 0, 1, 0),
        "translate_y": (1, 0, 0, 0, 1, moved),
    }
    assert {*maps, *PILLOW} == set(NAMES)
    for name, data in maps.items():
        theirs = to_pillow(image[0]).transform(
            (SIDE, SIDE), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR, fillcolor=0
        )
        inside = from_pillow(theirs)[0] > 0  # no level of the image is 0
        gap = np.abs(change(image, name, amount)[0, 0] - from_pillow(theirs)[0])[inside]
        assert inside.sum() > SIDE**2 / 2 and np.median(gap) <= 0.6 and np.quantile(gap, 0.9) <= 1.0  # Pillow cuts


def measure_change(name: str, level: float) -> float:
    """The mean change of a level in 0..255."""
    images = draw_levels(6, 3)
    return float(np.mean([np.abs(change(images, name, sign * level) - images).mean() for sign in (-1, 1)]))


@pytest.mark.parametrize("name", sorted(set(NAMES) - WITHOUT_AMOUNT))
def test_a_lower_level_changes_less_and_none_changes_nothing(name: str) -> None:
    found = [measure_change(name, level) for level in (0.0, 0.2, 0.5, 1.0)]
    assert found[0] <= 1e-3 and found[1] <= found[2] + 1e-6 < found[3]


def draw(strength: float, images: Tensor, rounds: int = 40, operations: int = 2) -> Tensor:
    settings = RandAugment(strength=strength, operations=operations, flip=0.0, shift=0.0)
    change = RandomOperations(settings, (SIDE, SIDE))
    torch.manual_seed(0)
    return torch.stack([change(images) for _ in range(rounds)])


def test_a_weaker_randaugment_is_weaker() -> None:
    images = torch.from_numpy(draw_levels(32, 3)).float() / 127.5 - 1
    changes = [float((draw(m, images) - images).abs().mean()) for m in (0.1, 3.0, 10.0, 29.0)]
    assert changes == sorted(changes) and changes[0] < 0.6 * changes[2]


def test_every_image_of_a_batch_has_its_own_operations() -> None:
    image = torch.from_numpy(draw_levels(1, 1)).float() / 127.5 - 1
    once = draw(15.0, image.expand(200, -1, -1, -1), rounds=1, operations=1)[0]
    distinct = {row.numpy().tobytes() for row in once}
    # Of the 11 operations with an amount two kinds do the same at either sign, and colour does nothing to a grey image.
    assert len(distinct) >= 16
    more = draw(15.0, image.expand(200, -1, -1, -1), rounds=1, operations=2)[0]
    assert len({row.numpy().tobytes() for row in more}) > 80


def test_operations_follow_one_another_n_times(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def note(images: Tensor, chosen: Tensor, amounts: Tensor) -> Tensor:
        seen.append((len(chosen), sorted(set(amounts.abs().tolist()))))
        return images

    monkeypatch.setattr("ops.classifiers.augmentations.randaugment.operate", note)
    draw(12.0, torch.zeros(5, 1, SIDE, SIDE), rounds=1, operations=3)
    assert [count for count, _ in seen] == [5, 5, 5]
    assert all(amounts == pytest.approx([0.4]) for _, amounts in seen)


def test_degenerate_images_stay_finite() -> None:
    for value in (0.0, 0.5, 1.0):
        for shape in ((1, 8, 8), (3, 2, 5)):
            flat = torch.full((len(NAMES), *shape), value)
            found = operate(flat, torch.arange(len(NAMES)), torch.full((len(NAMES),), 0.7))
            assert torch.isfinite(found).all() and float(found.min()) >= 0 and float(found.max()) <= 1
