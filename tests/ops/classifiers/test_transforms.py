"""Transforms: each variant follows from seed, key and number alone, and stored ones equal drawn ones bit by bit."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from ops.classifiers.examples import Examples
from ops.classifiers.variants.drawn import Drawn
from ops.classifiers.variants.oracle import Oracle
from ops.classifiers.variants.randomised import Randomised
from ops.classifiers.variants.stored import Stored
from ops.classifiers.variants.transform import UNLIMITED, Composition, Transform
from ops.datasets.axes import to_nchw
from ops.datasets.nuisances import FRESH, NUISANCES
from ops.generators.feeds import make_feeds
from ops.generators.onnx.engine import OnnxFile
from ops.generators.units import Run, Unit
from ops.recipe.arms import Arm
from tests.perturb import build_perturb, draw_seeds, perturb

SHAPE, LABELS = (1, 12, 12), [0, 0, 1]
SEEDS = draw_seeds(SHAPE, LABELS)
KEYS = list(SEEDS.ids)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> OnnxFile:
    path = tmp_path_factory.mktemp("perturb") / "sampler.onnx"
    onnx.save(build_perturb(SHAPE, ["a", "b"]), str(path))
    return OnnxFile(path)


def draw_each(key: str, numbers: list[int], seed: int = 7) -> np.ndarray:
    """Draws of one seed image, as the chain makes them."""
    unit = Unit(key, LABELS[KEYS.index(key)], key)
    feeds = make_feeds(("image", "noise", "label"), SHAPE, [Run(unit, k) for k in numbers], seed=seed, seeds=SEEDS)
    return perturb(feeds)


def apply(transform: Transform, keys: list[str], ks: list[int]) -> np.ndarray:
    images = SEEDS.images[[KEYS.index(key) for key in keys]]
    return transform.apply(images, keys, np.array(ks, np.int64))


def test_stored_variants_equal_drawn_ones_and_begin_again_where_drawn_ones_go_on(spec: OnnxFile) -> None:
    """Draw 1 of s0 was rejected; s1 was drawn in two rounds; s2 has none."""
    accepted, totals = {"s0": [0, 2], "s1": [0, 1, 2, 3]}, {"s0": 3, "s1": 5, "s2": 4}
    pool = np.concatenate([draw_each("s0", [0, 2]), draw_each("s1", [0, 1, 2, 3])])
    stored = Stored(pool, ["s0"] * 2 + ["s1"] * 4)
    drawn = Drawn(spec, 7, dict(zip(KEYS, LABELS, strict=True)), accepted, totals)
    assert stored.count(KEYS).tolist() == [2, 4, 0]
    assert drawn.count(KEYS).tolist() == [UNLIMITED, UNLIMITED, 0]
    keys, ks = ["s1", "s0", "s1", "s0", "s1", "s1", "s1"], [0, 1, 2, 0, 1, 3, 2]
    np.testing.assert_array_equal(apply(stored, keys, ks), apply(drawn, keys, ks))
    np.testing.assert_array_equal(apply(stored, ["s0"] * 3, [2, 3, 5]), draw_each("s0", [0, 2, 2]))
    fresh = np.concatenate([draw_each("s0", [4]), draw_each("s1", [5])])
    np.testing.assert_array_equal(apply(drawn, ["s0", "s1"], [3, 4]), fresh)
    again = copy.copy(drawn)  # as for another process
    assert "drawer" in vars(drawn) and "drawer" not in vars(again)
    np.testing.assert_array_equal(apply(again, keys, ks), apply(stored, keys, ks))
    for transform in (stored, drawn):
        with pytest.raises(KeyError, match="no variant of s2"):
            apply(transform, ["s2"], [0])


def make_makers() -> dict[str, Transform]:
    rotate = Oracle("rotation", SEEDS.images, KEYS, 3)
    background = Oracle("background", np.zeros_like(SEEDS.images), KEYS, 3)
    return {
        "oracle": background,
        "randaugment": Randomised(8.0, 2, 3),
        "both": Composition((rotate, Randomised(8.0, 2, 3))),
    }


@pytest.mark.parametrize("name", list(make_makers()))
def test_a_variant_depends_on_its_own_key_and_number_alone(name: str) -> None:
    maker = make_makers()[name]
    keys, ks = ["s0", "s1", "s0", "s2", "s0"], [0, 0, 5, 1, 0]
    together = apply(maker, keys, ks)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    alone = np.concatenate([apply(maker, [key], [k]) for key, k in zip(keys[::-1], ks[::-1], strict=True)])[::-1]
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(together, alone)
    assert together.dtype == np.uint8 and together.shape == (5, 12, 12, 1)
    np.testing.assert_array_equal(together[0], together[4])
    assert len({image.tobytes() for image in together}) == 4
    assert (maker.count(KEYS) == UNLIMITED).all()


def test_the_oracle_draws_on_clean_images_and_never_the_frozen_draw() -> None:
    frozen, _ = NUISANCES["background"](SEEDS.images * 0, KEYS, seed=3)
    drawn = apply(Oracle("background", SEEDS.images * 0, KEYS, 3), ["s0"] * 500, list(range(500)))
    levels = drawn[:, 0, 0, 0]
    assert levels.max() <= 99 and len(np.unique(levels)) > 90
    expected, _ = NUISANCES["background"](SEEDS.images[:1] * 0, ["s0"], seed=3, ks=[FRESH + 2])
    np.testing.assert_array_equal(drawn[2], expected[0])
    assert (levels != frozen[0, 0, 0, 0]).mean() > 0.9
    strokes = Oracle("strokes", SEEDS.images, KEYS, 3)
    same = [np.array_equal(image, SEEDS.images[0]) for image in apply(strokes, ["s0"] * 400, list(range(400)))]
    assert 0.13 < np.mean(same) < 0.27  # a side of 1 changes nothing: 20 %
    assert Oracle("strokes", SEEDS.images, KEYS, 3).count(["s0", "unknown"]).tolist() == [UNLIMITED, 0]


def make_mixed() -> Examples:
    """Three real images and the accepted variants of two; one more was rejected for its label."""
    pool = np.concatenate([draw_each("s0", [0, 1]), draw_each("s2", [0]), draw_each("s1", [0])])
    images = to_nchw(np.concatenate([SEEDS.images, pool]))
    marks, rejected = np.arange(7) >= 3, np.arange(7) == 6
    labels = np.array([*LABELS, 0, 0, 1, 0])
    ids = [*KEYS, "g0", "g1", "g2", "g3"]
    parents = np.array([-1, -1, -1, 0, 0, 2, 1])
    weights = np.where(marks, 1.0, 10.0)
    return Examples(images, labels, weights, marks, rejected, ids, parents)


def vary(**keys: Any) -> Arm:
    others = {key: keys.pop(key) for key in ("placebo",) if key in keys}
    return Arm.model_validate({**others, "variants": {"kind": "git", **keys}})


def test_generated_images_are_variants_and_no_images_of_the_set() -> None:
    found = make_mixed().build_set(vary(), 2, 0)
    np.testing.assert_array_equal(found.images.numpy(), to_nchw(SEEDS.images))
    assert found.weights.tolist() == [1, 1, 1], "as the images of a baseline, whose batches it shares"
    assert found.counts.tolist() == [2, 1] and found.is_generated is None
    assert [sizes.tolist() for sizes in make_mixed().list_sizes(vary())] == [[2, 1]]
    assert found.variants is not None and found.variants.keys == KEYS
    assert found.variants.transform.count(KEYS).tolist() == [2, 0, 1]
    np.testing.assert_array_equal(apply(found.variants.transform, ["s0", "s2"], [3, 0]),
                                  np.concatenate([draw_each("s0", [1]), draw_each("s2", [0])]))  # fmt: skip
    assert make_mixed().build_set(Arm(), 2, 0).variants is None


def test_a_placebo_has_the_places_of_the_variants() -> None:
    mixed = make_mixed()
    plain, placebo = (mixed.build_set(vary(**keys), 2, 0) for keys in ({}, {"placebo": "augmented"}))
    assert plain.variants is not None and placebo.variants is not None
    assert torch.equal(plain.images, placebo.images)
    counts = [found.variants.transform.count(KEYS).tolist() for found in (plain, placebo) if found.variants]
    assert counts[0] == counts[1]
    one, other = (apply(found.variants.transform, ["s0"], [0]) for found in (plain, placebo) if found.variants)
    assert not np.array_equal(one, other)


def test_randaugment_follows_the_generator() -> None:
    found = make_mixed().build_set(vary(by=["generator", "randaugment"], strength=5.0), 2, 4)
    assert found.variants is not None
    after = Randomised(5.0, 2, 4).apply(draw_each("s0", [1]), ["s0"], np.array([1]))
    np.testing.assert_array_equal(apply(found.variants.transform, ["s0"], [1]), after)
    assert found.variants.transform.count(KEYS).tolist() == [2, 0, 1]
