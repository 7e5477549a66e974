"""Which data can be measured, and the labels that drawn images are measured with."""

from __future__ import annotations

import numpy as np

from ops.judging.expansion import share_labels


def test_drawn_labels_have_the_class_shares_of_the_others() -> None:
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    found = share_labels(labels, 1000)
    assert np.bincount(found).tolist() == [600, 300, 100]
    assert not np.array_equal(found, np.sort(found)) and np.array_equal(found, share_labels(labels, 1000))
    assert len(share_labels(labels, 7)) == 7 and len(share_labels(labels[:0], 7)) == 0
