"""The workspace of a rehearsal: which images it takes, and that it is made anew beside the real one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ops.chain.real_images import describe_source, read_real
from ops.datasets.pixels import PixelDataset, build_rows
from ops.errors import UserError
from ops.recipe.rehearsal import CLASSES, PER_CLASS
from ops.scaffold.rehearsal import LEAST, choose_images, create_rehearsal
from ops.workspaces.workspace import Workspace


def make_images(counts: list[int]) -> PixelDataset:
    labels = np.repeat(np.arange(len(counts)), counts)
    images = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1).repeat(4, axis=1).repeat(4, axis=2)
    rows = build_rows(labels, [f"{i:064d}" for i in range(len(labels))], split="train")
    return PixelDataset(images, rows, tuple(f"class {i}" for i in range(len(counts))))


def test_the_largest_classes_are_taken_with_few_images_each() -> None:
    chosen = choose_images(make_images([5, 9, *range(20, 20 + CLASSES)]))
    assert chosen.class_names == tuple(f"class {i}" for i in range(2, 2 + CLASSES))
    assert np.bincount(chosen.labels).tolist() == list(range(20, 20 + CLASSES))
    many = choose_images(make_images([PER_CLASS * 2, LEAST, LEAST - 1]))
    assert many.class_names == ("class 0", "class 1")
    assert np.bincount(many.labels).tolist() == [PER_CLASS, LEAST]
    assert len(set(many.rows["image_id"])) == len(many)


def test_too_few_images_are_refused() -> None:
    with pytest.raises(UserError, match="two classes with at least 8 training images each; there are 1"):
        choose_images(make_images([50, 7]))


def test_the_workspace_is_valid_apart_and_made_anew(fresh_workspace: Path) -> None:
    workspace = Workspace(fresh_workspace)
    recipe = workspace.load_recipe("digits")
    train = read_real(workspace, recipe).subset.splits["train"]
    spec = describe_source(workspace, recipe).model_copy(update={"allow_conflicts": True})
    before = {
        path: path.read_bytes() for path in fresh_workspace.rglob("*") if path.is_file() and ".git" not in path.parts
    }
    for _ in range(2):
        small, lines = create_rehearsal(workspace, "digits", train, spec, {"mix.real_weight": 7})
        assert small.root == workspace.rehearsal("digits") and not (small.root / "left").exists()
        (small.root / "left").touch()
    shrunk = small.load_recipe("digits-quick")
    assert describe_source(small, shrunk).allow_conflicts
    assert (shrunk.mix.real_weight, recipe.mix.real_weight) == (7, 4)
    assert "classifier.seeds: 2 -> 2" not in lines and [
        line for line in lines if line.startswith("verdict: ") and "'rehearsal': True" in line
    ]
    splits = read_real(small, shrunk).subset.splits
    ids = {split: set(dataset.rows["image_id"]) for split, dataset in splits.items()}
    assert {split: len(found) for split, found in ids.items()} == {"train": 16, "validation": 8, "test": 8}
    assert set.union(*ids.values()) == set(train.rows["image_id"]), "of the training images alone"
    assert {path: path.read_bytes() for path in before} == before
