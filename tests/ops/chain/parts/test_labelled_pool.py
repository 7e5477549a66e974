"""What is said and written of a labelled pool, without a chain around it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from ops.chain.generator import _join
from ops.chain.generator_onnx import _describe_training
from ops.chain.parts.labelled_pool import LabelledPool, _tell_lacking
from ops.files.outputs import PRIOR, PROBE, PSEUDO_LABELS, ROUNDS
from ops.files.storage import read_json, write_json
from ops.report.origin import find_origin
from ops.stages.seen import read_seen
from tests.workspaces import digit_splits

TRAIN = digit_splits()["train"]
TABLE = {"image_id": list("wxyz"), "label": [0, 0, 1, 1], "confidence": [0.5] * 4, "taken": [False] + [True] * 3}
POOL = LabelledPool(
    TRAIN.images[:3],
    np.array([0, 1, 1]),
    ["x", "y", "z"],
    pl.DataFrame(TABLE),
    {"pool": "others", "taken": {"zero": 1, "one": 2}, "validation": {"score": 0.75, "error": 0.1}},
)


def test_a_generator_learns_from_the_labelled_images_and_then_from_those_of_the_pool() -> None:
    images, labels, ids = _join(TRAIN, POOL)
    assert len(images) == len(TRAIN) + 3 and ids[-3:] == ["x", "y", "z"] and labels[-3:].tolist() == [0, 1, 1]
    assert ids[: len(TRAIN)] == TRAIN.rows["image_id"].to_list()
    images, labels, ids = _join(TRAIN, None)
    assert images is TRAIN.images and len(labels) == len(ids) == len(TRAIN)


def test_every_image_of_the_pool_is_recorded_and_equal_labels_give_equal_bytes(tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    POOL.write(tmp_path)
    POOL.write(tmp_path / "again")
    assert (tmp_path / PSEUDO_LABELS).read_bytes() == (tmp_path / "again" / PSEUDO_LABELS).read_bytes()
    assert pl.read_parquet(tmp_path / PSEUDO_LABELS)["taken"].to_list() == [False, True, True, True]
    assert read_json(tmp_path / PROBE)["taken"] == {"zero": 1, "one": 2}
    assert POOL.metrics == {
        "pseudo_labelled": 3, "pseudo_labelled_fewest": 1, "probe_accuracy": 0.75, "probe_error": 0.1
    }  # fmt: skip


def test_a_class_without_pseudo_labels_is_told_in_one_sentence() -> None:
    assert _tell_lacking({"pool": "others", "taken": {"zero": 1, "one": 2}}) is None
    assert _tell_lacking({"pool": "others", "taken": {"zero": 3, "one": 0}}) == (
        "the probe found no image of class 'one' in the pool 'others'; the generator learns such a class from its"
        " labelled images alone"
    )
    told = _tell_lacking({"pool": "others", "taken": dict.fromkeys("abc", 0)})
    assert told is not None and "no image of class 'a' in the pool 'others', nor of 2 more classes;" in told


def test_people_are_told_that_a_probe_labelled_the_pool(tmp_path: Path) -> None:
    write_json(tmp_path / PRIOR, {"kind": "flow", "pool": "others", "images": 1200, "licence": "CC0-1.0"})
    write_json(tmp_path / ROUNDS, {"rounds": []})
    plain = read_seen(tmp_path, tmp_path)
    assert plain == read_seen(tmp_path) and plain is not None and "pseudo_labels" not in plain.to_dict()
    write_json(tmp_path / ROUNDS, {"rounds": [], "pseudo_labelled": {"pool": "others", "images": 900}})
    seen = read_seen(tmp_path, tmp_path)
    assert seen is not None and seen.to_dict()["pseudo_labels"] is True
    assert (
        "come from a generator whose prior saw 1,200 unlabelled images of others, and that learnt from those that a"
        " probe labelled; the arms without generated images saw none of these"
    ) in seen.disclose(0)
    origin = find_origin(True, seen=seen)
    assert "of 1,200 images of others that a probe labelled" in origin["trained"] and "CC0-1.0" in origin["licence"]
    config = {"pseudo_labelled": {"pool": "others", "images": 900}}
    told = _describe_training(config, 640, has_graph=True)
    assert told == "640 draws from the real training images and from 900 images of others that a probe labelled"
