"""The choices of the benchmarks about filters: alike in number, class by class, and taken in order."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.filters import join, take_in_order
from benchmarks.parts.fashion import CLASS_NAMES, LabelledImages
from benchmarks.selection import draw_alike


def test_the_random_choice_has_as_many_of_each_class_as_were_kept() -> None:
    labels, keep = np.repeat([0, 1, 2], 50), np.arange(150) % 5 == 0
    keep[100:] = False
    rows = draw_alike(labels, keep, seed=3)
    assert np.bincount(labels[rows], minlength=3).tolist() == [10, 10, 0]
    assert (np.diff(rows) > 0).all()
    assert not keep[rows].all(), "it chooses among all of them"
    assert rows.tolist() == draw_alike(labels, keep, seed=3).tolist() != draw_alike(labels, keep, seed=4).tolist()


def test_images_are_taken_class_by_class() -> None:
    labels = np.tile(np.arange(len(CLASS_NAMES)), 4)
    images = LabelledImages(torch.arange(40, dtype=torch.uint8)[:, None, None, None], labels)
    taken = take_in_order(images, 20)
    assert taken.labels.tolist() == sorted(labels.tolist()[:20])
    assert len(join(taken, images)) == 60
