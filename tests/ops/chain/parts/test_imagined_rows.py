"""What is stored of a perturbation: all of a short one, of a long one only beside an image that takes as much room."""

from __future__ import annotations

import pytest
import torch

from ops.chain.parts.imagined_rows import list_columns
from ops.generators.units import Unit
from ops.imagination.blocks import Block
from ops.imagination.criteria import Scores
from ops.imagination.imagined import Imagined
from ops.imagination.perturbation import Perturbation
from ops.imagination.protocols import Answer


def make(numbers: int, side: int) -> Block:
    """Two variants whose z and b have so many numbers, of images of this side."""
    one, scores = torch.ones(2), Scores(*torch.zeros(4, 2))
    start, end = Perturbation(*torch.zeros(2, 2, numbers)), Perturbation(*torch.ones(2, 2, numbers))
    images, answer, flagged = torch.zeros(2, 3, side, side), Answer(one[:, None], one[:, None]), one > 0
    found = Imagined(
        Unit("a", 1, "a"), 1, start.z, images, start, end, scores, scores, answer, flagged, clamped=one, slope=one
    )
    return Block(found, torch.tensor([4, 7]))


@pytest.mark.parametrize(
    ("numbers", "side", "stored"), [(64, 8, True), (65, 8, False), (1024, 73, False), (1024, 74, True)]
)
def test_a_long_perturbation_is_stored_beside_a_large_image(numbers: int, side: int, stored: bool) -> None:
    columns = list_columns(make(numbers, side), "a", 2, "guided")
    assert ("z_before" in columns, "b_after" in columns) == (stored, stored)
    assert columns["z_moved"].tolist() == pytest.approx([numbers**0.5] * 2)
    assert columns["k"].tolist() == [2, 3] and columns["draw"].tolist() == [4, 7]


def test_prompts_and_flags_are_columns_only_where_there_are_some() -> None:
    plain = list_columns(make(4, 8), "a", 0, "prior")
    assert not {"prompt", "flagged"} & set(plain)
    told = list_columns(make(4, 8), "a", 0, "prior", ["one", "another"], checked=True)
    assert told["prompt"].tolist() == ["one", "another"] and told["flagged"].tolist() == [True, True]
    assert list(told)[: len(plain)] == list(plain)
