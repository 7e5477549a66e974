"""Images without labels, told to people: in the verdict and on the card."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ops.datasets.unlabelled import FOLDER
from ops.files.manifests import MANIFEST, describe_output, describe_part, read_manifest
from ops.files.storage import write_json
from ops.report.origin import find_origin
from ops.stages.without_labels import WithoutLabels, read_without_labels

FOUND = WithoutLabels("more_shoes", 2000, 100, 12)


def test_what_a_stage_has_stored_is_found_again(tmp_path: Path) -> None:
    identity = {"stage": "real_images", "version": 1, "fingerprint": "0f", "inputs": {}}
    settings = {"source": "shoes", "data": {"unlabelled": "more_shoes"}}
    write_json(tmp_path / MANIFEST, describe_output(tmp_path, {**identity, "settings": settings}, {}))
    assert read_without_labels(tmp_path) is None
    folder = tmp_path / FOLDER
    folder.mkdir()
    np.save(folder / "some.npy", np.arange(3))
    part = describe_part(folder, "real_images", {"unlabelled": 2000, "labelled": 100, "left_out": 12})
    write_json(folder / MANIFEST, part)
    assert read_without_labels(tmp_path) == FOUND
    assert read_manifest(folder)["fingerprint"] == part["content"] and "environment" not in part


def test_the_verdict_says_who_saw_what() -> None:
    assert FOUND.disclose() == (
        " The generator and the arms that learn without labels saw 2,000 images of more_shoes without labels and 100"
        " labelled ones; every other arm, and each probe, learnt from the 100 labelled images alone."
    )
    assert WithoutLabels("x", 1, 1, 0).told == "1 image of x without labels and 1 labelled one"


def test_the_card_says_what_the_last_class_stands_for_and_names_the_licence() -> None:
    origin = {key: " ".join(text.split()) for key, text in find_origin(True, without=(FOUND, "<theirs>")).items()}
    assert set(origin) == set(find_origin(True))
    assert origin["trained"] == (
        "trained on 2,000 images of more\\_shoes without labels and 100 labelled ones, and saw no label"
    )
    assert (
        "2,000 real images of `train` and all generated ones have none. Their class is `unlabelled`" in origin["seen"]
    )
    assert "images of more\\_shoes; their licence, as their owner states it: &lt;theirs&gt;." in origin["licence"]
