"""Planted faults are where they are reported, and their recall is counted against them."""

from __future__ import annotations

import numpy as np

from benchmarks.inspection import COPIED, INVERTED, WRONG, link_rows, measure_source, plant, share
from ops.inspection.inspection import Inspection
from tests.inspected import make_pictures, take_digits


def test_no_image_has_two_faults_and_copies_come_last() -> None:
    images, labels = take_digits(400)
    planted = plant(images, labels, seed=1)
    assert (len(planted.wrong), len(planted.inverted)) == (round(400 * WRONG), round(400 * INVERTED))
    assert len(planted.exact) == len(planted.altered) == round(400 * COPIED)
    touched = [*planted.wrong, *planted.inverted, *(row for row, _ in (*planted.exact, *planted.altered))]
    assert len(set(touched)) == len(touched)
    assert len(planted.images) == len(planted.labels) == 400 + len(planted.exact) + len(planted.altered)
    assert (planted.labels[planted.wrong] != labels[planted.wrong]).all()
    assert (planted.labels[:400] != labels).sum() == len(planted.wrong)
    assert (planted.images[planted.inverted] == 255 - images[planted.inverted]).all()
    for row, copy in planted.exact:
        assert (planted.images[copy] == images[row]).all() and planted.labels[copy] == labels[row]
    for row, copy in planted.altered:
        assert (planted.images[copy] != images[row]).any() and planted.labels[copy] == labels[row]


def test_shares_and_links_are_counted() -> None:
    assert share([1, 2, 3], [2, 9]) == 0.5
    assert share([], [1]) == 0 and share([1], []) == 0
    groups = [{"images": [{"row": row} for row in rows]} for rows in ([4, 1, 7], [2, 3])]
    found = Inspection({"duplicates": groups}, make_pictures(*take_digits(8)))
    assert sorted(link_rows(found)) == [(1, 4), (1, 7), (2, 3), (4, 7)]


def test_a_source_is_measured() -> None:
    images, labels = take_digits(300)
    rows = {row.name: row.value for row in measure_source("digits", images, labels, seed=0)}
    assert rows["digits: images"] == 300
    assert rows["digits: exact duplicates found"] == 1
    assert rows["digits: wrong labels found"] > 0.3
    assert rows["digits: … named among clean labels"] < 0.02
    assert np.isfinite(list(rows.values())).all()
