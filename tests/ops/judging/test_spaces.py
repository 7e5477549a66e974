"""Distances in several feature spaces, and positions between empty and real images, on pictures of known quality."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from torch import Tensor

from ops.judging.scorer import Scorer, assign_folds
from ops.judging.spaces import MIN_HELD_OUT, RANDOM, SCORER, TEXTURE, FeatureSpaces
from ops.judging.usability import Position, Scale, find_mean
from ops.metrics.emptiness import add_noise, make_floor, shuffle_pieces
from ops.training.state import is_clearly_better
from tests.networks import untrained_scorer
from tests.shapes import draw_shapes

TRAIN, LABELS = draw_shapes(120, seed=1)
HELD_OUT = draw_shapes(40, seed=2)[0]
OTHERS = draw_shapes(300, seed=3)[0]


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return untrained_scorer(channels=3, classes=2, folds=2)


@pytest.fixture(scope="module")
def spaces(scorer: Scorer) -> FeatureSpaces:
    return FeatureSpaces(TRAIN, HELD_OUT, scorer=scorer, folds=assign_folds(LABELS, 2, 0))


@pytest.fixture(scope="module")
def scale(spaces: FeatureSpaces) -> Scale:
    return Scale(spaces, TRAIN, LABELS)


def test_other_real_images_lie_at_1_and_every_sort_of_empty_image_at_0_or_below(scale: Scale) -> None:
    for name, real in scale.place(OTHERS).items():
        assert real.position == pytest.approx(1, abs=0.05 + 3 * real.error), name
    for sort, images in make_floor(TRAIN, LABELS, 200, torch.Generator().manual_seed(5)).items():
        for name, empty in scale.place(images).items():
            assert empty.position < 0.05 + 3 * empty.error, (sort, name)


def test_the_better_the_images_the_higher_they_lie(scale: Scale) -> None:
    random = torch.Generator().manual_seed(0)
    for worse in (
        lambda strength: add_noise(OTHERS.float(), strength, random),
        lambda strength: torch.from_numpy(gaussian_filter(OTHERS.numpy(), (0, 0, strength / 25, strength / 25))),
    ):
        found = [scale.place(worse(strength)) for strength in (15.0, 45.0, 90.0)]
        for name in (RANDOM, TEXTURE):
            positions = [places[name].position for places in found]
            assert positions == sorted(positions, reverse=True), name


def test_a_set_of_one_picture_lies_low(scale: Scale) -> None:
    mean = find_mean(scale.place(OTHERS[:1].repeat(200, 1, 1, 1)))
    assert mean is not None
    assert mean < 0.3


def test_shuffled_pieces_are_the_images_in_another_order() -> None:
    images = OTHERS[:6]
    shuffled = shuffle_pieces(images, torch.Generator().manual_seed(0))
    assert not torch.equal(shuffled, images)
    for image, new in zip(images, shuffled, strict=True):
        assert torch.equal(image.flatten().sort().values, new.flatten().sort().values)
    tiny = images[:, :, :3, :3]  # too small to be cut
    assert torch.equal(shuffle_pieces(tiny, torch.Generator()), tiny)


def test_a_single_space_neither_passes_nor_blocks() -> None:
    def at(position: float) -> Position:
        return Position(position, 0.1, 1.0, 0.1, 2.0, "noise", 0.0)

    assert find_mean({SCORER: at(1.3), RANDOM: at(-0.2), TEXTURE: at(-3.0)}) == pytest.approx(1 / 3)
    assert find_mean({SCORER: at(0.9), RANDOM: at(0.9), TEXTURE: at(-3.0)}) == pytest.approx(0.6)
    assert find_mean({RANDOM: at(0.8), TEXTURE: at(0.2)}) == pytest.approx(0.5)


@pytest.mark.parametrize("seed", range(3))
def test_noise_never_wins_against_pictures_however_bad_the_scorer(seed: int) -> None:
    scorer, random = untrained_scorer(channels=3, classes=2, folds=2, seed=seed), torch.Generator().manual_seed(seed)
    spaces = FeatureSpaces(TRAIN, HELD_OUT, scorer=scorer, folds=assign_folds(LABELS, 2, 0))

    def observe(images: Tensor) -> dict[str, tuple[float, float]]:
        return {name: (found.value, found.error) for name, found in spaces.measure(images).items()}

    sorts = make_floor(TRAIN, LABELS, 200, random)
    nothing = [observe(images) for sort, images in sorts.items() if sort != "shuffled pieces of real images"]
    blurred = torch.from_numpy(gaussian_filter(OTHERS.numpy(), (0, 0, 1, 1)))
    for pictures in (add_noise(OTHERS.float(), 40.0, random), blurred, add_noise(blurred.float(), 20.0, random)):
        for empty in nothing:
            assert not is_clearly_better(empty, observe(pictures))


def test_real_images_have_distance_0_and_the_same_images_the_same_numbers(spaces: FeatureSpaces) -> None:
    assert spaces.names == (SCORER, RANDOM, TEXTURE)
    for name, found in spaces.measure_real().items():
        assert abs(found.value) < 4 * found.error + 0.05, name
    once, again = (spaces.measure(OTHERS) for _ in range(2))
    assert {name: found.value for name, found in once.items()} == {name: found.value for name, found in again.items()}


def test_a_variant_is_judged_by_the_network_that_did_not_see_its_parent(scorer: Scorer) -> None:
    folds = assign_folds(LABELS, 2, 0)
    spaces = FeatureSpaces(TRAIN, HELD_OUT, scorer=scorer, folds=folds)
    parents = np.arange(len(TRAIN))
    whole = spaces.measure(TRAIN, parents)
    changed = TRAIN.clone()
    changed[torch.from_numpy(folds == 0)] = 0  # only network 0 may notice
    one = spaces.measure(changed, parents)
    assert one[SCORER].value != whole[SCORER].value
    assert spaces.measure(TRAIN)[SCORER].value != whole[SCORER].value
    only = spaces.measure(TRAIN[torch.from_numpy(folds == 1)], parents[folds == 1])[SCORER].value
    assert np.isfinite(only)


def test_beside_a_fold_too_small_for_a_space_the_others_still_judge_their_own_variants(scorer: Scorer) -> None:
    folds, parents = np.ones(len(TRAIN), np.int64), np.arange(len(TRAIN))
    folds[:5] = 0
    spaces = FeatureSpaces(TRAIN, HELD_OUT, scorer=scorer, folds=folds)
    whole = spaces.measure(TRAIN, parents)[SCORER].value
    changed = TRAIN.clone()
    changed[:5] = 0  # of the fold without a space, which nobody judges
    assert spaces.measure(changed, parents)[SCORER].value == whole
    changed[5:] = 0
    assert spaces.measure(changed, parents)[SCORER].value != whole


def test_with_few_held_out_images_the_training_images_are_compared_with_and_the_scorer_is_silent(
    scorer: Scorer,
) -> None:
    folds = assign_folds(LABELS, 2, 0)
    spaces = FeatureSpaces(TRAIN, HELD_OUT[: MIN_HELD_OUT - 1], scorer=scorer, folds=folds)
    assert spaces.names == (RANDOM, TEXTURE)
    placed = Scale(spaces, TRAIN, LABELS).place(OTHERS)
    assert all(place.position > 0.8 for place in placed.values())


@pytest.mark.parametrize(("side", "names"), [(4, (TEXTURE,)), (2, ())])
def test_small_pictures_have_fewer_spaces(side: int, names: tuple[str, ...]) -> None:
    images = torch.randint(0, 256, (60, 1, side, side), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    spaces = FeatureSpaces(images[:30], images[30:])
    assert spaces.names == names
    assert set(spaces.measure(images)) == set(names)


def test_where_real_images_are_noise_noise_is_as_good_as_real() -> None:
    noise = (128 + 30 * torch.randn(200, 1, 8, 8, generator=torch.Generator().manual_seed(0))).clamp(0, 255).byte()
    placed = Scale(FeatureSpaces(noise[:100], noise[100:150]), noise[:100], np.zeros(100, np.int64)).place(noise[150:])
    assert all(place.position > 0.8 for place in placed.values())


def test_flat_images_are_as_good_as_flat_real_ones() -> None:
    flat = torch.full((90, 1, 8, 8), 77, dtype=torch.uint8)
    placed = Scale(FeatureSpaces(flat[:40], flat[40:]), flat[:40], np.zeros(40, np.int64)).place(flat[:20])
    assert find_mean(placed) == pytest.approx(1, abs=0.05)
    assert find_mean({}) is None  # no space could tell


@given(st.permutations(range(60)))
@settings(max_examples=10, deadline=None)
def test_the_order_of_the_images_does_not_matter(order: list[int]) -> None:
    spaces = FeatureSpaces(TRAIN, HELD_OUT)
    shuffled: Tensor = OTHERS[:60][torch.tensor(order)]
    for name, found in spaces.measure(shuffled).items():
        assert found.value == pytest.approx(spaces.measure(OTHERS[:60])[name].value, abs=1e-4)
