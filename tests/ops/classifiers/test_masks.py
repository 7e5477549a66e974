"""Cutout and GridMask: every hidden pixel against the published description, drawn again pixel by pixel."""

from __future__ import annotations

import math
from collections import Counter
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from ops.classifiers.augmentations import gridmask
from ops.classifiers.augmentations.cutout import HiddenSquare
from ops.classifiers.augmentations.flip_crop import flip_and_shift
from ops.classifiers.augmentations.gridmask import HiddenGrid, place_grid
from ops.classifiers.data import TrainingSet, Views
from ops.classifiers.ingredients import Augmentation
from ops.recipe.arms import Arm
from ops.recipe.grid import GridSettings
from ops.recipe.ingredients.hiding import Cutout, GridMask

ALWAYS = {"probability": 1.0, "ramp": 0.0}
SIDE = (16, 16)


def apply(augment: Augmentation, images: Tensor, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    return augment(images)


def draw(count: int, channels: int, height: int, width: int) -> Tensor:
    return torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(1)) * 1.8 - 0.9


def cut_by_hand(height: int, width: int, side: int, row: int, column: int) -> bytes:
    """What a square of an even side around a pixel hides, as the published code slices it."""
    mask = np.zeros((height, width), bool)
    half = side // 2
    mask[max(0, row - half) : max(0, row + half), max(0, column - half) : max(0, column + half)] = True
    return mask.tobytes()


def grid_by_hand(height: int, width: int, period: int, ratio: float, down: int, across: int) -> np.ndarray:
    """Bands of int(r d + 1/2) pixels stay visible, every d pixels; what no band covers is hidden."""
    band = int(period * ratio + 0.5)
    hidden = np.ones((height, width), bool)
    for start in range(-period, max(height, width) + 2 * period, period):
        hidden[max(0, start - down) : max(0, start - down + band), :] = False
        hidden[:, max(0, start - across) : max(0, start - across + band)] = False
    return hidden


def test_cutout_hides_one_square_around_any_pixel_and_the_border_cuts_it() -> None:
    height, width, count = 6, 9, 54 * 60
    augment = HiddenSquare(Cutout(size=2 / 3, fill=0.0), (height, width))
    hidden = (apply(augment, torch.ones(count, 2, height, width)) == -1).numpy()
    assert (hidden[:, 0] == hidden[:, 1]).all(), "all channels of a pixel"
    possible = {cut_by_hand(height, width, 4, row, column): (row, column) for row, column in np.ndindex(height, width)}
    met = Counter(possible[mask.tobytes()] for mask in hidden[:, 0])  # KeyError: no square of this side
    assert len(possible) == len(met) == height * width
    assert sum((number - 60) ** 2 / 60 for number in met.values()) < 53 + 4 * math.sqrt(2 * 53)  # all equally likely
    assert min(hidden[:, 0].sum(axis=(1, 2))) == 4 and max(hidden[:, 0].sum(axis=(1, 2))) == 16


@pytest.mark.parametrize(("size", "side"), [(0.01, 1), (0.25, 7), (0.5, 14), (1.0, 28)])
def test_the_size_of_cutout_is_a_share_of_the_shorter_side(size: float, side: int) -> None:
    augment = HiddenSquare(Cutout(size=size, fill=1.0), (40, 28))
    hidden = apply(augment, torch.zeros(600, 1, 40, 28))[:, 0] == 1
    assert augment.side == side
    assert int(hidden.sum(dim=(1, 2)).max()) <= side * side
    # Expected: of a square with its centre anywhere, cut at both ends of both axes.
    mean = np.prod([sum(min(c - side // 2 + side, n) - max(c - side // 2, 0) for c in range(n)) / n for n in (40, 28)])
    assert float(hidden.float().sum(dim=(1, 2)).mean()) == pytest.approx(mean, rel=0.08)


@pytest.mark.parametrize("augment", [HiddenSquare(Cutout(fill=0.2), SIDE), HiddenGrid(GridMask(fill=0.2), SIDE)])
def test_what_is_not_hidden_is_mirrored_and_moved_as_by_flip_crop(augment: Augmentation) -> None:
    images = draw(40, 3, *SIDE)
    out = apply(augment, images)
    torch.manual_seed(0)
    moved = flip_and_shift(images, 1)
    hidden = out == 2 * 0.2 - 1
    assert 0.05 < float(hidden.float().mean()) < 0.4
    assert torch.equal(out[~hidden], moved[~hidden])


@pytest.mark.parametrize("settings", [{"kind": "cutout"}, {"kind": "gridmask", **ALWAYS}])
def test_labels_stay_as_they_are(settings: dict[str, Any]) -> None:
    arm = Arm.model_validate({"augmentation": settings})
    kind = {"cutout": HiddenSquare, "gridmask": HiddenGrid}[arm.augmentation.kind]
    images = torch.randint(0, 256, (12, 1, 8, 8), dtype=torch.uint8)
    labels = torch.arange(12) % 3
    views = Views(TrainingSet(images, labels, np.ones(12), 3), kind(arm.augmentation, (8, 8)), "cpu")
    rows = np.array([5, 0, 7, 7])
    seen, targets = views.look(rows)
    assert seen.shape == (4, 1, 8, 8)
    assert torch.equal(targets.argmax(dim=1), labels[rows])
    assert torch.equal(targets.sum(dim=1), torch.ones(4))


@pytest.mark.parametrize("ratio", [0.0, 0.4, 0.6, 0.95])
@pytest.mark.parametrize("side", [(12, 12), (7, 11)])
def test_an_unturned_grid_is_that_of_the_published_description(ratio: float, side: tuple[int, int]) -> None:
    cases = list(product([3, 5, 8], range(3), range(3)))
    period, down, across = (torch.tensor(each) for each in zip(*cases, strict=True))
    found = place_grid(side, period, ratio, torch.stack([down, across]), torch.zeros(len(cases)))
    for mask, (d, top, left) in zip(found.numpy(), cases, strict=True):
        kept = min(max(1, int(d * ratio + 0.5)), d - 1) / d  # no grid hides nothing, or all
        np.testing.assert_array_equal(mask, grid_by_hand(*side, d, kept, top, left))


@pytest.mark.parametrize(("period", "visible"), [(4, 2), (6, 4), (12, 7)])
def test_the_hidden_area_is_exact_where_periods_fill_the_image(period: int, visible: int) -> None:
    offsets = torch.randint(0, period, (2, 50), generator=torch.Generator().manual_seed(0))
    found = place_grid((24, 36), torch.full((50,), period), 0.6, offsets, torch.zeros(50))
    periods = 24 * 36 // period**2
    assert found.sum(dim=(1, 2)).tolist() == [periods * (period - visible) ** 2] * 50


def test_a_turned_grid_hides_the_same_share_and_a_quarter_turn_is_exact() -> None:
    period, offset = torch.full((3,), 5), torch.tensor([[0, 1, 4], [2, 0, 3]])
    flat = place_grid((15, 15), period, 0.6, offset, torch.zeros(3))
    turned = place_grid((15, 15), period, 0.6, offset, torch.full((3,), math.pi / 2))
    assert torch.equal(turned, flat.flip(1).transpose(1, 2))
    angles = torch.linspace(0, 2 * math.pi, 90)
    many = place_grid((60, 60), torch.full((90,), 10), 0.6, torch.zeros(2, 90, dtype=torch.int64), angles)
    shares = many.float().mean(dim=(1, 2))
    assert (shares - 0.16).abs().max() < 0.02


def test_period_offset_and_angle_are_drawn_for_each_image_from_their_whole_ranges(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def note(side: tuple[int, int], period: Tensor, ratio: float, offset: Tensor, angle: Tensor) -> Tensor:
        asked.append((side, period, ratio, offset, angle))
        return place_grid(side, period, ratio, offset, angle)

    monkeypatch.setattr(gridmask, "place_grid", note)
    augment = HiddenGrid(GridMask(least=0.25, most=0.5, ratio=0.4, rotation=90.0), (20, 16))
    apply(augment, draw(2000, 1, 20, 16))
    ((side, period, ratio, offset, angle),) = asked
    assert (side, ratio) == ((20, 16), 0.4)
    assert set(period.tolist()) == {4, 5, 6, 7, 8}
    for own in offset:
        assert (own < period).all() and set(own[period == 8].tolist()) == set(range(8))
    assert 0 <= float(angle.min()) < 0.05 and math.pi / 2 - 0.05 < float(angle.max()) <= math.pi / 2
    assert abs(float(angle.mean()) - math.pi / 4) < 0.05
    apply(HiddenGrid(GridMask(least=0.01, most=0.02, rotation=0.0), (20, 16)), draw(9, 1, 20, 16))
    assert set(asked[1][1].tolist()) == {2} and float(asked[1][4].max()) == 0


def test_the_probability_rises_over_the_first_share_of_the_steps() -> None:
    images = draw(3000, 1, 8, 8)

    def find_share(augment: HiddenGrid) -> float:
        out = apply(augment, images)
        torch.manual_seed(0)
        return float((out != flip_and_shift(images, 1)).flatten(1).any(dim=1).float().mean())

    augment = HiddenGrid(GridMask(least=0.5, most=0.5, probability=0.8, ramp=0.5), (8, 8))
    assert find_share(augment) == pytest.approx(0.8, abs=0.03), "who takes no steps has the full probability"
    for done, share in ((0.0, 0.0), (0.25, 0.4), (0.5, 0.8), (0.9, 0.8)):
        augment.advance(done)
        assert find_share(augment) == pytest.approx(share, abs=0.03)
    without = HiddenGrid(GridMask(least=0.5, most=0.5, **ALWAYS), (8, 8))
    without.advance(0.0)
    assert find_share(without) == 1.0


def test_mirrored_images_are_declared_and_numbers_may_be_tried() -> None:
    for kind, section in ((HiddenSquare, Cutout), (HiddenGrid, GridMask)):
        assert kind.mirrors(section()) and not kind.mirrors(section(flip=0.0))
    grid = GridSettings.model_validate({"augmentation.cutout.size": [0.25, 0.5], "augmentation.ratio": [0.4, 0.6]})
    tried = {
        kind: len(grid.list_settings(Arm.model_validate({"augmentation": kind}), is_expanded=False))
        for kind in ("cutout", "gridmask", "flip_crop")
    }
    assert tried == {"cutout": 2, "gridmask": 2, "flip_crop": 1}
    with pytest.raises(ValidationError, match=r"least is 0\.5 and most 0\.3; least must not be above it"):
        GridMask(least=0.5, most=0.3)
