"""Label scores by the definition."""

from __future__ import annotations

import numpy as np

from ops.filters.labels import measure_skill, score_labels


def test_margins_are_to_the_best_other_label() -> None:
    probabilities = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
    found = score_labels(probabilities, np.array([0, 1, 2]))
    np.testing.assert_allclose(found.probability, [0.5, 0.3, 0.2], rtol=1e-6)
    np.testing.assert_allclose(found.margin, [0.2, -0.2, -0.3], rtol=1e-6)
    assert found.predicted.tolist() == [0, 0, 0]
    assert probabilities[0, 0] == 0.5
    assert len(score_labels(np.empty((0, 4)), np.empty(0, np.int64)).margin) == 0


def test_a_scorer_near_chance_gives_a_warning() -> None:
    labels = np.repeat([0, 1, 2, 3], [70, 10, 10, 10])
    known = measure_skill(labels, labels, 4)
    assert known is not None and known.accuracy == 1 and known.doubt is None
    # It always predicts the largest class: 70 % of images, a quarter of the classes.
    largest = measure_skill(np.zeros(100, int), labels, 4)
    assert largest is not None and largest.accuracy == largest.chance == 0.25
    assert largest.doubt is not None and "25 % of held-out real images" in largest.doubt
    assert measure_skill(labels[:0], labels[:0], 4) is None
