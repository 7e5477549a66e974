"""Equal pictures in one source: in two splits, in grey and colour, with two labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ops.errors import UserError
from ops.sources.reading import hash_source, read_source
from ops.sources.spec import SourceSpec
from tests.sources import make_folder, make_truth


def test_a_grey_image_matches_its_colour_copy_in_another_split(tmp_path: Path) -> None:
    truth, colour = make_truth(grey=True), make_truth()
    grey = truth["train"][0][3]
    images = colour["test"][0].copy()
    images[5] = np.repeat(grey, 3, axis=2)
    make_folder(tmp_path, {**truth, "test": (images, colour["test"][1])})
    spec = SourceSpec.model_validate({"name": "x", "kind": "folder", "path": str(tmp_path), "licence": "M", "size": 32})
    with pytest.raises(
        UserError, match="1 of 12 images of train are in test too, e.g. .*003 'é'.png and .*005 'é'.png"
    ):
        read_source(spec)


def test_one_picture_with_two_labels_is_reported(tmp_path: Path) -> None:
    truth = make_truth()
    images, labels = truth["train"][0].copy(), truth["train"][1]
    images[4] = images[0]  # ant and bee
    images[6] = images[3]  # ant twice
    make_folder(tmp_path, {**truth, "train": (images, labels)})
    plain = {"name": "x", "kind": "folder", "path": str(tmp_path), "licence": "M"}
    refused = (
        "000 'é'.png as ant and .*004 'é'.png as bee; list them with `growset inspect x`, .* `allow_conflicts: true`"
    )
    with pytest.raises(UserError, match=f"source x: 1 picture of train has more than one label, e.g. .*{refused}"):
        read_source(SourceSpec.model_validate(plain))
    spec = SourceSpec.model_validate(plain | {"allow_conflicts": True})
    (dispute,) = read_source(spec).disputed
    assert (dispute.split, dispute.pictures) == ("train", 1)
    assert "source x: 1 picture of train has more than one label, e.g. " in dispute.sentence
    assert "000 'é'.png as ant and " in dispute.sentence and "004 'é'.png as bee; no classifier" in dispute.sentence
    assert hash_source(spec) == hash_source(SourceSpec.model_validate(plain))  # what is allowed changes no pixel
    make_folder(tmp_path, truth)
    assert read_source(spec).disputed == ()
