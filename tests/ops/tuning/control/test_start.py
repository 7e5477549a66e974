"""Where races begin: AdaInf's four points, what quality does to them, and what always races."""

from __future__ import annotations

import itertools
import math

import pytest

from ops.recipe.strength import find_strength, weaken_views
from ops.tuning.control.start import (
    BEST_CROPS,
    Choice,
    Quality,
    find_crop,
    find_start,
    list_inflated,
    list_real,
    list_strengths,
)


@pytest.mark.parametrize(("images", "crop"), [(25_000, 0.02), (50_000, 0.08), (150_000, 0.20), (1_050_000, 0.30)])
def test_the_published_points_are_met(images: int, crop: float) -> None:
    assert find_crop(images) == pytest.approx(crop)


def test_between_them_the_crop_is_linear_in_the_logarithm_and_outside_it_stays() -> None:
    for (few, low), (many, high) in itertools.pairwise(BEST_CROPS):
        assert find_crop(math.sqrt(few * many)) == pytest.approx((low + high) / 2)
    assert find_crop(1) == 0.02 and find_crop(1e9) == 0.30
    with pytest.raises(ValueError, match="a training set has some images, not 0"):
        find_crop(0)


@pytest.mark.parametrize("standard", ["standard", "weak", "asymmetric"])
def test_a_crop_has_the_strength_that_shows_it(standard: str) -> None:
    for strength in (0.0, 0.1, 0.374, 0.5, 0.7, 1.0):
        crop = weaken_views(strength, standard)["crop"]
        assert find_strength(crop) == pytest.approx(strength)
    assert find_strength(0.02) == 1.0
    for crop in (0.0, 1.1):
        with pytest.raises(ValueError, match="a smallest crop must be in"):
            find_strength(crop)


def test_published_sizes_start_where_the_sweep_was_best() -> None:
    assert find_start(50_000).strength == 1.0 and find_start(50_000).real_weight is None
    inflated = find_start(50_000, 100_000)
    assert (inflated.crop, inflated.strength, inflated.real_weight) == pytest.approx((0.20, 0.5, 10.0))
    assert find_start(50_000, 1_000_000).strength == pytest.approx(math.log(0.3) / math.log(0.2) / 2)
    assert find_start(1_000, 10_000) == find_start(1_000, 10_000, Quality())


def test_worse_images_count_as_fewer_and_weigh_less() -> None:
    told, far = Quality(accuracy=0.7, variation=0.4), Quality(frechet=8.0, reference=2.0)
    assert told.worth == pytest.approx(0.6) and far.worth == 0.25
    assert Quality(0.9, 0.5, 8.0, 2.0).worth == 0.25 and Quality(0.9, 0.9, 4.0, 2.0).worth == pytest.approx(0.1)
    assert Quality(1.0, 1.0, 4.0, 0.0).worth == 0.05 and Quality(0.5, 0.0, 1.0, 2.0).worth == 1.0
    starts = [find_start(40_000, 60_000, quality) for quality in (Quality(), told, far)]
    assert [start.images for start in starts] == [100_000, pytest.approx(76_000), 55_000]
    assert starts[0].strength < starts[1].strength < starts[2].strength <= 1
    assert [start.real_weight for start in starts] == pytest.approx([10, 10 / math.sqrt(0.6), 20])


@pytest.mark.parametrize("start", [0.0, 0.18, 0.374, 0.45, 0.5, 0.6, 0.93, 1.0])
@pytest.mark.parametrize("count", [2, 4])
def test_real_images_always_race_at_the_start_and_weakly_augmented(start: float, count: int) -> None:
    found = list_strengths(start, count)
    assert found[0] == start and len(found) == count
    assert min(abs(each - 0.5) for each in found) < 0.1  # AdaInf's weaker augmentation
    assert all(abs(one - other) >= 0.1 - 1e-9 for one, other in itertools.combinations(found, 2))
    assert all(0 <= each <= 1 for each in found)


def test_both_sides_try_equally_many_settings_of_what_is_open() -> None:
    start = find_start(1_000, 10_000, Quality(0.6, 0.19, 2.0, 1.0))
    for count in (2, 4):
        real = list_real(find_start(1_000), count)
        both = list_inflated(start, count, strength=True, real_weight=True)
        weights = list_inflated(start, count, strength=False, real_weight=True)
        strengths = list_inflated(start, count, strength=True, real_weight=False)
        assert {len(set(each)) for each in (real, both, weights, strengths)} == {count}
        assert all(each.real_weight is None for each in (*real, *strengths))
        assert all(each.strength is None for each in weights)
        assert both[0] == Choice(1.0, 14.1) and {each.strength for each in both} == {1.0, 0.5}
    assert [each.real_weight for each in weights] == [14.1, 44.7, 4.47, 1.41]
    assert both[3].name == "strength 0.5, N 4.47" and weights[0].name == "N 14.1"
