"""Format `fiftyone`, by the rules of FiftyOne's importer: what it opens, which fields it makes, what it would refuse.

FiftyOne is not installed here, and nothing of it runs. `load` follows the rules that its importer of datasets without a
`version` states: paths relative to the folder, `_cls` names a kind of label, every other value is a field.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from ops.exports.exporting import export_dataset
from ops.exports.fiftyone import collect_scores
from tests.filtering import make_held_out, make_index
from tests.publications import Case

RESERVED = {"id", "metadata", "created_at", "last_modified_at", "frames"}  # fields that FiftyOne fills itself
KINDS = (bool, int, float, str)  # of fields; a list is one of strings


def load(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The metadata and the samples, with absolute paths; an error where FiftyOne would refuse."""
    metadata = json.loads((folder / "metadata.json").read_text(encoding="utf-8"))
    assert "version" not in metadata  # FiftyOne would read its other layout
    assert metadata["media_type"] == "image"
    assert isinstance(metadata["info"]["default_classes"], list)
    samples = json.loads((folder / "samples.json").read_text(encoding="utf-8"))["samples"]
    types: dict[str, type] = {}
    for sample in samples:
        sample["filepath"] = folder / sample["filepath"]
        assert all(isinstance(tag, str) for tag in sample["tags"])
        for name, value in sample.items():
            assert not name.startswith("_") and "$" not in name and "." not in name and name not in RESERVED
            if name in ("filepath", "tags"):
                continue
            if isinstance(value, dict):
                assert value.keys() == {"_cls", "label"} and value["_cls"] == "Classification"
                assert isinstance(value["label"], str)
            else:
                assert type(value) in KINDS
            assert types.setdefault(name, type(value)) is type(value), name  # one field, one type
    return metadata, samples


@pytest.mark.parametrize("name", ["grey", "odd"])
def test_every_image_is_a_sample_with_its_facts(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    case: Case = request.getfixturevalue(name)
    done = export_dataset(case.folder, tmp_path / "out", "fiftyone")
    metadata, samples = load(tmp_path / "out")
    assert metadata["info"]["default_classes"] == list(case.class_names)
    assert sum(done.splits.values()) == len(samples) == len({sample["filepath"] for sample in samples})
    at = 0
    for split, expected in case.splits.items():
        part = samples[at : at + len(expected)]
        at += len(expected)
        images = []
        for sample in part:
            with Image.open(sample["filepath"]) as image:
                images.append(np.asarray(image))
        np.testing.assert_array_equal(np.stack(images).reshape(expected.images.shape), expected.images)
        rows = expected.rows
        names = [case.class_names[label] for label in rows["label"]]
        assert [sample["ground_truth"]["label"] for sample in part] == names
        assert Counter(tuple(sample["tags"]) for sample in part) == Counter(
            (split, "generated" if generated else "real") for generated in rows["is_generated"]
        )
        for column in ("split", "is_generated", "image_id", "parent_id", "round", "k", "weight"):
            assert [sample.get(column) for sample in part] == rows[column].to_list(), column


def test_scores_are_those_of_each_image_and_say_nothing_of_test_images(grey: Case, tmp_path: Path) -> None:
    generated = grey.splits["train"].rows.filter("is_generated")
    count = len(generated)
    index = make_index([[]] * count, generated["label"].to_list()).with_columns(
        image_id=generated["image_id"], held_out_distance=pl.lit(0.5, pl.Float32)
    )
    index = index.with_columns(label_margin=pl.lit(1.0, pl.Float32), typicality=pl.lit(float("inf"), pl.Float32))
    validation = grey.splits["validation"].rows
    held_out = make_held_out(validation["label"].to_list()).with_columns(image_id=validation["image_id"])
    scores = collect_scores(index.reverse(), held_out)
    export_dataset(grey.folder, tmp_path / "out", "fiftyone", scores=scores)
    _, samples = load(tmp_path / "out")
    found = {sample["image_id"]: sample for sample in samples}
    for row in index.iter_rows(named=True):
        sample = found[row["image_id"]]
        assert sample["train_distance"] == pytest.approx(row["train_distance"])
        assert sample["label_margin"] == 1.0 and isinstance(sample["label_margin"], float)
        assert sample["scorer"]["label"] == grey.class_names[row["predicted"]]
        assert "typicality" not in sample and "clip_agreement" not in sample  # infinite; never measured
    for row in held_out.iter_rows(named=True):
        assert found[row["image_id"]]["train_distance"] == pytest.approx(row["train_distance"])
    assert not any("held_out_distance" in sample for sample in samples)
    for sample in samples:
        if sample["split"] == "test" or sample["tags"] == ["train", "real"]:
            assert not {"train_distance", "scorer"} & sample.keys()


def test_generated_images_alone(odd: Case, tmp_path: Path) -> None:
    export_dataset(odd.folder, tmp_path / "out", "fiftyone", only="generated")
    _, samples = load(tmp_path / "out")
    assert {tuple(sample["tags"]) for sample in samples} == {("train", "generated")}
    assert len(samples) == odd.splits["train"].rows["is_generated"].sum()
