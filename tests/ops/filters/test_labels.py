"""Label scores by the definition."""

from __future__ import annotations

import numpy as np

from ops.filters.labels import score_labels


def test_margins_are_to_the_best_other_label() -> None:
    probabilities = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
    found = score_labels(probabilities, np.array([0, 1, 2]))
    np.testing.assert_allclose(found.probability, [0.5, 0.3, 0.2], rtol=1e-6)
    np.testing.assert_allclose(found.margin, [0.2, -0.2, -0.3], rtol=1e-6)
    assert found.predicted.tolist() == [0, 0, 0]
    assert probabilities[0, 0] == 0.5
    assert len(score_labels(np.empty((0, 4)), np.empty(0, np.int64)).margin) == 0
