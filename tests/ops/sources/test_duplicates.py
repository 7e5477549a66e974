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


def test_copies_are_left_out_of_the_earlier_split_where_the_source_allows_that(tmp_path: Path) -> None:
    truth = {split: (images.copy(), labels) for split, (images, labels) in make_truth().items()}
    train, validation, test = (truth[split][0] for split in ("train", "validation", "test"))
    train[0], train[5] = test[1], validation[2]  # under other classes, too
    validation[3] = train[7] = test[4]
    make_folder(tmp_path, truth)
    plain = {"name": "x", "kind": "folder", "path": str(tmp_path), "licence": "M"}
    with pytest.raises(UserError, match="2 of 12 images of train are in validation too, .* or set `skip_copies: true`"):
        read_source(SourceSpec.model_validate(plain))
    spec = SourceSpec.model_validate(plain | {"skip_copies": True})
    source = read_source(spec)
    found = {split: {image.tobytes() for image in part.images} for split, part in source.splits.items()}
    kept = {"train": (0, 5, 7), "validation": (3,), "test": ()}
    for split, left_out in kept.items():
        images = truth[split][0]
        assert found[split] == {image.tobytes() for i, image in enumerate(images) if i not in left_out}
    assert source.conversions == {"skipped, because a later split has them": 4}
    assert hash_source(spec) != hash_source(SourceSpec.model_validate(plain))  # other images are used
    make_folder(tmp_path, make_truth())
    whole = read_source(spec)
    assert whole.conversions == {} and [len(part) for part in whole.splits.values()] == [12, 12, 12]


def test_a_class_that_has_nothing_but_copies_is_named(tmp_path: Path) -> None:
    truth = {split: (images.copy(), labels) for split, (images, labels) in make_truth(per_class=1).items()}
    truth["train"][0][1] = truth["test"][0][0]
    make_folder(tmp_path, truth)
    keys = {"name": "x", "kind": "folder", "path": str(tmp_path), "licence": "M", "skip_copies": True}
    with pytest.raises(UserError, match="^source x: class bee has no images in train$"):
        read_source(SourceSpec.model_validate(keys))
