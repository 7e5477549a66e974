"""What arms are handed of a mixed dataset: for placebos, the real images that variants were to be made of."""

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
