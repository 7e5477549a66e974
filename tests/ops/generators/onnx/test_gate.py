"""The gate's decision at and beyond its tolerance, with given distances."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from ops.generators.folder import find_sampler
from ops.generators.onnx.gate import MIN_IMAGES, accept_variant, draw_pairs

LABELS = np.arange(MIN_IMAGES) % 3
IMAGES = np.random.default_rng(0).integers(0, 250, (MIN_IMAGES, 4, 5, 3)).astype(np.uint8)


def decide(before: float, after: float, **changes: object):  # type: ignore[no-untyped-def]
    """A gate with these two distances; the variant's images are one grey level brighter."""
    distances = iter([before, after])
    arguments: dict[str, object] = {"reference": IMAGES, "variant": IMAGES + 1, "labels": LABELS, **changes}
    return accept_variant(frechet=lambda images, labels: next(distances), precision="int8", **arguments)


@pytest.mark.parametrize(
    ("before", "after", "accepted"),
    [
        (1.0, 1.0, True),
        (2.0, 2.1, True),
        (2.0, 2.1001, False),
        (2.0, 0.5, True),
        (0.0, 0.0, True),
        (0.0, 1e-9, False),
        (1.0, math.nan, False),
        (math.nan, 1.0, False),
        (1.0, math.inf, False),
        (math.inf, 1.0, False),
        (math.inf, math.inf, False),
    ],
)
def test_a_variant_is_accepted_within_five_per_cent_and_only_on_finite_distances(
    before: float, after: float, accepted: bool
) -> None:
    gate = decide(before, after)
    assert gate.accepted is accepted
    json.loads(json.dumps(gate.to_dict(), allow_nan=False))


def test_the_tolerance_can_be_set() -> None:
    assert not decide(1.0, 1.04, tolerance=0.01).accepted
    assert decide(1.0, 1.4, tolerance=0.5).accepted


def test_differences_are_counted_in_grey_levels() -> None:
    half = IMAGES.copy()
    half[::2] += 4
    gate = decide(1.0, 1.0, variant=half)
    assert gate.share_equal == 0.5
    assert gate.mean_difference == 2.0
    assert (gate.images, gate.precision, gate.ratio) == (MIN_IMAGES, "int8", 1.0)
    # Darker counts like brighter: uint8 must not wrap.
    assert decide(1.0, 1.0, reference=half, variant=IMAGES).mean_difference == 2.0


def test_the_distance_is_computed_from_each_samplers_images_and_labels() -> None:
    asked = []

    def frechet(images: np.ndarray, labels: np.ndarray) -> float:
        asked.append((images, labels))
        return float(images.mean())

    gate = accept_variant(IMAGES, IMAGES + 5, LABELS, frechet, precision="fp16")
    assert [images is expected for (images, _), expected in zip(asked, (IMAGES, None), strict=True)] == [True, False]
    assert all(labels is LABELS for _, labels in asked)
    assert gate.frechet - gate.reference == pytest.approx(5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variant": IMAGES[:, :, :, :1]}, "cannot be paired"),
        ({"labels": LABELS[:-1]}, "cannot be paired"),
        ({"reference": IMAGES[1:], "variant": IMAGES[1:], "labels": LABELS[1:]}, "1999 images are too few"),
        ({"variant": IMAGES.astype(np.float32)}, "must be uint8"),
    ],
)
def test_images_that_cannot_be_compared_are_refused(changes: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decide(1.0, 1.0, **changes)


def test_pairs_come_from_the_same_noise(generator_folder: Path) -> None:
    path = find_sampler(generator_folder)
    labels = np.arange(40) % 3
    one, other, parents = draw_pairs(path, path, labels, seed=3)
    assert parents is None
    assert one.dtype == np.uint8
    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(one, draw_pairs(path, path, labels, seed=4)[0])
