"""Copies and repeats: relative distances of known cases, independence of what else is measured, and odd sets."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.parts.disguises import turn
from benchmarks.parts.photographs import read_patches
from ops.likeness.copies import (
    Nearness,
    References,
    find_distinct,
    fit_references,
    measure_copies,
    measure_nearness,
    measure_parents,
)


def draw(count: int, shape: tuple[int, ...] = (1, 28, 28), seed: int = 0) -> Tensor:
    small = torch.rand(count, shape[0], 5, 5, generator=torch.Generator().manual_seed(seed))
    levels = F.interpolate(small, size=shape[1:], mode="bicubic", align_corners=False)
    return (40 + 160 * levels).clamp(20, 235).to(torch.uint8)


def measure_repeats(references: References, images: Tensor, labels: np.ndarray, **earlier: object) -> Nearness:
    return measure_nearness(images, labels, references, **earlier)[2]


def test_copies_are_at_0_changed_copies_near_and_strangers_about_1() -> None:
    train = draw(200)
    references = fit_references(train)
    assert len(references) == 200
    exact = measure_copies(references, train)
    assert (exact.distance == 0).all() and exact.exact.all()
    assert exact.nearest.tolist() == list(range(200))
    noise = torch.randn(train.shape, generator=torch.Generator().manual_seed(1))
    near = measure_copies(references, (train.float().flip(-1) * 0.9 + 5 * noise).clamp(0, 255).to(torch.uint8))
    assert near.distance.max() < 0.3
    assert near.nearest.tolist() == list(range(200))
    assert not near.exact.any()
    strangers = measure_copies(references, draw(200, seed=1))
    assert np.quantile(strangers.distance, 0.01) > 0.5
    assert 0.7 < np.median(strangers.distance) < 1.4
    assert strangers.distance.dtype == np.float32 and strangers.nearest.dtype == np.int64


def test_duplicates_do_not_change_spacings() -> None:
    train = draw(60)
    once, twice = fit_references(train), fit_references(torch.cat([train, train[:5].flip(-1), train[:5]]))
    np.testing.assert_allclose(twice.spacing[:60], once.spacing, rtol=0.25)
    assert measure_copies(twice, train[:5]).nearest.tolist() == [0, 1, 2, 3, 4]


def test_distances_to_one_real_image_to_none_and_to_blank_ones() -> None:
    one, strangers = draw(1), draw(3, seed=1)
    alone = measure_copies(fit_references(one), torch.cat([one.flip(-1), strangers]))
    assert alone.distance[0] < 1e-3
    assert (alone.distance[1:] > 0.1).all()
    none = measure_copies(fit_references(one[:0]), strangers)
    assert np.isinf(none.distance).all() and (none.nearest == -1).all() and not none.exact.any()
    blank = torch.zeros(4, 1, 28, 28, dtype=torch.uint8)
    assert (measure_copies(fit_references(blank), blank + 9).distance == 0).all()
    assert measure_copies(fit_references(blank), strangers).distance == pytest.approx(1, abs=1e-5)
    assert measure_copies(fit_references(draw(20)), blank).distance.min() > 1


def test_an_empty_set_has_no_distances() -> None:
    references, empty = fit_references(draw(5)), draw(2)[:0]
    assert len(measure_copies(references, empty).distance) == 0
    assert len(measure_repeats(references, empty, np.empty(0, np.int64)).distance) == 0


def test_images_of_another_type_or_shape_are_refused() -> None:
    references = fit_references(draw(5))
    for images in (draw(2, (3, 28, 28)), draw(2).float(), draw(2)[0]):
        with pytest.raises(ValueError, match="uint8"):
            measure_copies(references, images)
    with pytest.raises(ValueError, match="labels"):
        measure_repeats(references, draw(2), np.zeros(3, np.int64))


@pytest.fixture(scope="module")
def stream() -> tuple[Tensor, np.ndarray]:
    """Alternating labels; 50 repeats 10, 61 repeats 11 mirrored, and 72 repeats 13, which has the other label."""
    images, labels = draw(80, seed=2), np.arange(80) % 2
    images[50], images[61], images[72] = images[10], images[11].flip(-1), images[13]
    return images, labels


def test_a_repeat_is_of_an_earlier_image_of_its_label(stream: tuple[Tensor, np.ndarray]) -> None:
    images, labels = stream
    found = measure_repeats(fit_references(draw(60)), images, labels)
    assert np.flatnonzero(found.exact).tolist() == [50]
    assert np.flatnonzero(found.distance < 0.1).tolist() == [50, 61]
    assert found.nearest[[50, 61]].tolist() == [10, 11]
    assert np.isinf(found.distance[:2]).all() and (found.nearest[:2] == -1).all()
    later = np.arange(2, 80)
    assert (found.nearest[later] < later).all()
    assert (labels[found.nearest[later]] == labels[later]).all()


@pytest.mark.filterwarnings("error")
def test_among_few_images_distances_are_relative_to_the_spacing_of_the_real_ones() -> None:
    """A rough spacing needs five images; two classes of two have none."""
    train, drawn = draw(4), draw(3, seed=1)
    references = fit_references(train)
    images = torch.cat([drawn, drawn[1:2].flip(-1)])
    found = measure_repeats(references, images, np.zeros(4, np.int64))
    assert np.isinf(found.distance[0]) and (found.distance[1:3] > 0.5).all()
    assert found.distance[3] < 0.1 and found.nearest[3] == 1
    alone = measure_repeats(fit_references(train[:0]), images, np.zeros(4, np.int64))
    assert np.isinf(alone.distance[0]) and (alone.distance[1:3] > 0.5).all() and alone.distance[3] < 0.1


def test_repeats_depend_neither_on_later_images_nor_on_batches(stream: tuple[Tensor, np.ndarray]) -> None:
    images, labels = stream
    references = fit_references(draw(60))
    whole = measure_repeats(references, images, labels)
    first = measure_repeats(references, images[:55], labels[:55])
    rest = measure_repeats(references, images[55:], labels[55:], earlier=images[:55], earlier_labels=labels[:55])
    np.testing.assert_allclose(np.concatenate([first.distance, rest.distance]), whole.distance, atol=1e-4)
    np.testing.assert_array_equal(np.concatenate([first.nearest, rest.nearest]), whole.nearest)
    np.testing.assert_array_equal(np.concatenate([first.exact, rest.exact]), whole.exact)


def test_measuring_all_sets_at_once_equals_measuring_each_alone(stream: tuple[Tensor, np.ndarray]) -> None:
    images, labels = stream
    train, other = fit_references(torch.cat([draw(60), images[3:5]])), fit_references(draw(30, seed=5))
    copies, [leaks], _ = measure_nearness(images, labels, train, [other])
    for found, references in ((copies, train), (leaks, other)):
        alone = measure_copies(references, images)
        np.testing.assert_allclose(found.distance, alone.distance, atol=1e-4)
        np.testing.assert_array_equal(found.nearest, alone.nearest)
        np.testing.assert_array_equal(found.exact, alone.exact)
    assert np.flatnonzero(copies.exact).tolist() == [3, 4]


def test_the_batch_size_changes_no_distance(stream: tuple[Tensor, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = stream
    references = fit_references(draw(60))
    copies, repeats = measure_copies(references, images), measure_repeats(references, images, labels)
    monkeypatch.setattr("ops.likeness.copies.BATCH", 13)
    for once, again in (
        (copies, measure_copies(references, images)),
        (repeats, measure_repeats(references, images, labels)),
    ):
        np.testing.assert_allclose(again.distance, once.distance, atol=1e-4)
        np.testing.assert_array_equal(again.nearest, once.nearest)


def test_many_noisy_copies_of_one_picture_are_all_repeats() -> None:
    # Their neighbours are so near that only the real images give a meaningful spacing.
    noise = torch.randn(30, 1, 28, 28, generator=torch.Generator().manual_seed(3))
    crowd = (draw(1, seed=9).float() + 4 * noise).clamp(0, 255).to(torch.uint8)
    found = measure_repeats(fit_references(draw(60)), crowd, np.zeros(30, np.int64))
    assert found.distance[1:].max() < 0.4


def test_distances_of_repeats_mean_the_same_among_few_and_among_many() -> None:
    images = draw(1_200, seed=4)
    found = measure_repeats(fit_references(draw(50)), images, np.zeros(1_200, np.int64))
    early, late = np.median(found.distance[50:200]), np.median(found.distance[800:])
    assert late == pytest.approx(early, rel=0.1)


def test_a_variant_is_measured_to_its_own_parent_apart_from_all_others() -> None:
    """Row i is a slight change of image i, which is its parent; the last one is its parent's very pixels."""
    train = draw(120)
    references = fit_references(train)
    noise = torch.randn(train[:6].shape, generator=torch.Generator().manual_seed(1))
    variants = torch.cat([(train[:6].float() + 5 * noise).clamp(0, 255).to(torch.uint8), train[6:7]])
    own = np.arange(7)
    near = measure_copies(references, variants)
    assert near.nearest.tolist() == own.tolist() and near.distance.max() < 0.3
    others = measure_copies(references, variants, other_than=own)
    assert (others.distance[:6] > 0.3).all() and not (others.nearest[:6] == own[:6]).any()
    assert (others.distance[6], others.nearest[6], others.exact[6]) == (0, 6, True)
    to_parent = measure_parents(references, variants, own)
    np.testing.assert_allclose(to_parent, near.distance, atol=1e-5)
    strangers = measure_parents(references, variants, own + 50)
    assert (strangers > 0.3).all() and np.isfinite(strangers).all()
    copies, _, _ = measure_nearness(variants, np.zeros(7, int), references, other_than=own)
    for name in ("distance", "nearest", "exact"):
        np.testing.assert_array_equal(getattr(copies, name), getattr(others, name))
    none = measure_copies(references, variants, other_than=np.full(7, -1))
    np.testing.assert_array_equal(none.distance, near.distance)
    assert len(measure_parents(references, variants[:0], own[:0])) == 0


def test_mirrored_and_shifted_variants_lie_near_their_parent() -> None:
    train = draw(60)
    moved = torch.cat([train[:5].flip(-1), train[5:10].roll(1, dims=-1)])
    assert measure_parents(fit_references(train), moved, np.arange(10)).max() < 0.3


def test_find_distinct_finds_duplicates() -> None:
    train = draw(4)
    rows, places = find_distinct(torch.cat([train, train[[2, 0]], draw(1, seed=9), train[:1]]))
    assert rows.tolist() == [0, 1, 2, 3, 6]
    assert places.tolist() == [0, 1, 2, 3, 2, 0, 4, 0]


@pytest.mark.parametrize("how", [{"scale": 1.1}, {"degrees": 10}], ids=["scaled", "turned"])
def test_copies_of_smooth_photographs_are_found_too(how: dict[str, float]) -> None:
    # Sky and blurred leaves correlate at every shift; a copy must still be aligned correctly.
    train, held_out = read_patches((60, 60), seed=2)
    references = fit_references(train.images)
    limit = np.quantile(measure_copies(references, held_out.images).distance, 0.01)
    copies = turn(train.images, np.random.default_rng(0), **how)
    assert (measure_copies(references, copies).distance < limit).mean() >= 0.95


def test_sides_of_a_pixel_or_two_are_measured() -> None:
    for shape in ((1, 1, 1), (3, 2, 1), (1, 2, 2), (1, 1, 30)):
        images = torch.randint(0, 256, (9, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        references = fit_references(images[:5])
        copies, _, repeats = measure_nearness(images, np.zeros(9, np.int64), references)
        assert (copies.distance[:5] == 0).all() and copies.exact[:5].all()
        assert np.isfinite(copies.distance).all() and np.isfinite(repeats.distance[1:]).all()


@pytest.mark.parametrize("shape", [(1, 16, 16), (1, 28, 28), (3, 32, 32)])
def test_noise_is_not_a_copy(shape: tuple[int, ...]) -> None:
    train, random = draw(60, shape), torch.Generator().manual_seed(2)
    references = fit_references(train)
    limit = np.quantile(measure_copies(references, draw(100, shape, seed=1)).distance, 0.01)
    noise = torch.randn(60, *shape, generator=random)
    for images in (128 + 60 * noise, train.float().mean(0) + 60 * noise, train[:1].float() * 0.05 + 100 + 40 * noise):
        found = measure_copies(references, images.round().clamp(0, 255).to(torch.uint8))
        assert (found.distance > limit).all()
        repeats = measure_repeats(references, images.round().clamp(0, 255).to(torch.uint8), np.zeros(60, np.int64))
        assert np.median(repeats.distance) > limit
