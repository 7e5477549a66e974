"""What arms are handed of a mixed dataset: the seed images of variants for placebos, turns for arms with a ratio."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ops.chain.parts import examples as module
from ops.chain.parts.examples import read_mixed_sets
from ops.classifiers.examples import Examples
from ops.datasets.pixels import ROW_SCHEMA, PixelDataset
from ops.files.outputs import ROUNDS
from ops.files.storage import write_json
from ops.recipe.arms import Arm

MIXED = pl.DataFrame(
    {
        "label": [0] * 4,
        "split": ["train"] * 4,
        "is_generated": [False, False, False, True],
        "image_id": ["a", "b", "c", "v"],
        "parent_id": [None, None, None, "b"],
        "round": [None, None, None, 0],
        "k": [None, None, None, 0],
        "weight": [2.0, 2.0, 2.0, 1.0],
    },
    schema=ROW_SCHEMA,
)


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    images = np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1).repeat(4, 1).repeat(4, 2)
    monkeypatch.setattr(module, "read_index", lambda folder: MIXED)
    monkeypatch.setattr(module, "read_mixed", lambda *_: PixelDataset(images, MIXED, ("one",)))
    monkeypatch.setattr(module, "count_generators", lambda folder: 1)
    return dict.fromkeys(("mixed_dataset", "real_images", "generated_images"), tmp_path)


def read(inputs: dict[str, Path], arm: Arm) -> Examples:
    (found,) = read_mixed_sets(inputs, {"mine": arm}, 0)
    return found


def test_placebos_are_told_which_images_variants_were_to_be_made_of(inputs: dict[str, Path]) -> None:
    write_json(inputs["generated_images"] / ROUNDS, {"parents": ["b"], "rounds": []})
    found = read(inputs, Arm.model_validate({"placebo": "mixed"}))
    assert found.is_seed is not None and found.is_seed.tolist() == [False, True, False, False]
    assert read(inputs, Arm()).is_seed is None  # nobody asks
    write_json(inputs["generated_images"] / ROUNDS, {"rounds": []})  # drawn by class
    assert read(inputs, Arm.model_validate({"placebo": "mixed"})).is_seed is None


def list_images(parents: str, ks: list[int]) -> pl.DataFrame:
    """Two real images a and b of class 0, two of class 1, c and d, and variants of `parents`; a dot has no parent."""
    labels = ["abcd".index(each) // 2 if each in "abcd" else 0 for each in parents]
    count = len(parents)
    return pl.DataFrame(
        {
            "label": [0, 0, 1, 1, *labels],
            "split": ["train"] * (4 + count),
            "is_generated": [False] * 4 + [True] * count,
            "image_id": [*"abcd", *(f"v{number}" for number in range(count))],
            "parent_id": [None] * 4 + [None if each == "." else each for each in parents],
            "round": [None] * 4 + [0] * count,
            "k": [None] * 4 + ks,
            "weight": [1.0] * (4 + count),
        },
        schema=ROW_SCHEMA,
    )


@pytest.mark.parametrize(
    ("parents", "ks", "places"),
    [
        ("aaabbb", [0, 1, 2, 0, 1, 2], [0, 2, 4, 1, 3, 5]),
        ("aabbcc", [3, 7, 0, 5, 1, 2], [0, 2, 1, 3, 0, 1]),  # some were rejected; a class counts by itself
        ("abba", [0, 0, 4, 3], [0, 1, 2, 3]),  # a later round drew b again before a
        ("....", [4, 0, 2, 1], [3, 0, 2, 1]),  # drawn by class
    ],
)
def test_generated_images_are_taken_by_turns_of_their_parents(parents: str, ks: list[int], places: list[int]) -> None:
    rows = list_images(parents, ks)
    data = PixelDataset(np.zeros((len(rows), 4, 4, 1), np.uint8), rows, ("zero", "one"))
    assert module._take_turns(data, None).tolist() == [-1] * 4 + places


def test_images_that_were_rejected_for_their_label_have_no_turn() -> None:
    rows = list_images("aabb", [0, 1, 0, 1])
    data = PixelDataset(np.zeros((8, 4, 4, 1), np.uint8), rows, ("zero", "one"))
    rejected = np.array([False] * 6 + [True, False])
    assert module._take_turns(data, rejected).tolist() == [-1] * 4 + [0, 2, -1, 1]


def test_turns_are_read_where_an_arm_has_a_ratio_of_its_own(inputs: dict[str, Path]) -> None:
    assert read(inputs, Arm()).turns is None
    found = read(inputs, Arm.model_validate({"ratio": 1.0}))
    assert found.turns is not None and found.turns.tolist() == [-1, -1, -1, 0]
