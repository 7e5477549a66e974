"""The benchmark of the metrics: made-up features have the stated shape, and the textbook's distance equals ours."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.metrics import FEATURES, make_features, measure_by_sqrtm
from ops.metrics.frechet import fit_gaussian, frechet_distance


def test_features_are_as_many_as_asked_for_and_the_textbook_agrees() -> None:
    held_out, train, generated = make_features(300)
    assert {side.shape for side in (held_out, train, generated)} == {(300, FEATURES)}
    assert min(side.min() for side in (held_out, train, generated)) == 0
    assert not np.array_equal(held_out, train)
    expected = measure_by_sqrtm(held_out, generated)
    assert frechet_distance(fit_gaussian(held_out), fit_gaussian(generated)) == pytest.approx(expected, rel=1e-6)
