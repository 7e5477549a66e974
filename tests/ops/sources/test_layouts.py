"""Every layout, on files as they are published: pixel by pixel, label by label, split by split."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ops.planning.counting import count_source
from ops.recipe.data import DataSettings
from ops.sources.layouts import LAYOUTS
from ops.sources.reading import hash_source, read_source
from ops.sources.sketch import find_kind, sketch_source
from ops.sources.spec import SourceSpec
from tests.sources import (
    CLASSES,
    Maker,
    Truth,
    make_cifar,
    make_cifar100,
    make_folder,
    make_gtsrb,
    make_idx,
    make_kuzushiji,
    make_metadata,
    make_npz,
    make_parquet,
    make_tiny_imagenet,
    make_truth,
    make_webdataset,
    make_zip,
)

WHOLE: dict[str, Maker] = {
    "folder": make_folder,
    "metadata.csv": make_metadata,
    "metadata.jsonl": partial(make_metadata, kind="jsonl"),
    "metadata.parquet": partial(make_metadata, kind="parquet"),
    "parquet": make_parquet,
    "webdataset": make_webdataset,
    "zip": make_zip,
    "medmnist": make_npz,
}
TWO_SPLITS: dict[str, Maker] = {
    "kuzushiji": make_kuzushiji,
    "idx.gz": make_idx,
    "idx": partial(make_idx, packed=False),
    "cifar-10": make_cifar,
    "cifar-100": make_cifar100,
    "gtsrb": make_gtsrb,
    "tiny-imagenet": make_tiny_imagenet,
}
GREY = ("kuzushiji", "idx", "idx.gz")
NAMES = {"kuzushiji": ("0", "1", "2"), "cifar-10": ("ant", "bee", "wild_cat"), "cifar-100": ("ant", "bee", "wild_cat")}


def make_spec(keys: dict[str, Any], **more: Any) -> SourceSpec:
    base = {"name": "insects", "licence": "CC0"}
    return SourceSpec.model_validate({**base, **keys, "path": str(keys["path"]), **more})


def as_set(images: np.ndarray, labels: np.ndarray) -> set[tuple[bytes, int]]:
    return {(image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True)}


def check(truth: Truth, spec: SourceSpec, names: tuple[str, ...] = CLASSES) -> None:
    real = read_source(spec)
    assert real.conversions == ({"named .jpeg, but PNG": 24} if spec.kind == "tiny-imagenet" else {})
    for split, (images, labels) in truth.items():
        dataset = real.splits[split]
        assert dataset.class_names == names
        assert as_set(dataset.images, dataset.labels) == as_set(images, labels)
        assert len(dataset) == len(images) and dataset.images.shape[1:] == images.shape[1:]


@pytest.mark.parametrize("layout", WHOLE)
def test_a_published_layout_gives_its_images_labels_and_splits(tmp_path: Path, layout: str) -> None:
    truth = make_truth()
    keys = WHOLE[layout](tmp_path / "source", truth)
    check(truth, make_spec(keys))


@pytest.mark.parametrize("layout", TWO_SPLITS)
def test_validation_is_drawn_if_a_layout_has_none(tmp_path: Path, layout: str) -> None:
    truth = make_truth(grey=layout in GREY)
    keys = TWO_SPLITS[layout](tmp_path / "source", truth)
    names = NAMES.get(layout, CLASSES)
    spec = make_spec(keys, split={"validation": 0.25})
    splits = read_source(spec).splits
    assert np.bincount(splits["validation"].labels).tolist() == ([2, 2, 2] if layout == "gtsrb" else [1, 1, 1])
    both = {part for split in ("train", "validation") for part in as_set(splits[split].images, splits[split].labels)}
    assert both == as_set(*truth["train"])
    assert as_set(splits["test"].images, splits["test"].labels) == as_set(*truth["test"])
    assert splits["train"].class_names == names


@pytest.mark.parametrize("stable", [False, True])
def test_validation_is_drawn_from_test_if_the_source_says_so(tmp_path: Path, stable: bool) -> None:
    truth = make_truth(per_class=40)
    keys = make_cifar(tmp_path / "source", truth)
    spec = make_spec(keys, split={"validation": 0.2, "validation_from": "test", "stable": stable})
    splits = read_source(spec).splits
    assert as_set(splits["train"].images, splits["train"].labels) == as_set(*truth["train"]), "train keeps its images"
    parts = [as_set(splits[split].images, splits[split].labels) for split in ("validation", "test")]
    assert parts[0] | parts[1] == as_set(*truth["test"]) and not parts[0] & parts[1]
    if not stable:
        assert np.bincount(splits["validation"].labels).tolist() == [8, 8, 8]
        counted = count_source(spec, DataSettings(), 0)
        for split, dataset in splits.items():
            assert np.bincount(dataset.labels).tolist() == counted.images[split].tolist()
    capped = read_source(spec, per_class=3).splits
    assert [np.bincount(capped[split].labels).tolist() for split in ("train", "validation")] == [[3] * 3] * 2
    assert len(capped["test"]) == len(splits["test"])


@pytest.mark.parametrize("layout", [*WHOLE, *TWO_SPLITS])
def test_init_recognises_the_layout_and_the_hash_covers_every_file(tmp_path: Path, layout: str) -> None:
    maker = {**WHOLE, **TWO_SPLITS}[layout]
    truth = make_truth(grey=layout in GREY)
    keys = maker(tmp_path / "source", truth)
    path = Path(keys["path"])
    assert find_kind(path) == keys["kind"]
    sketch = sketch_source(path, "insects", "CC0")
    assert len(sketch.counts) == 3 and sketch.shape == truth["train"][0].shape[1:]
    assert (sketch.spec.split is None) == (layout in WHOLE)
    spec = make_spec(keys)
    before = hash_source(spec)
    largest = max(LAYOUTS[spec.kind].list_files(spec), key=lambda file: file.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)
    assert hash_source(spec) != before, "a changed file under an unchanged name"


def test_cifar_100_has_two_kinds_of_labels(tmp_path: Path) -> None:
    truth = make_truth()
    keys = make_cifar100(tmp_path, truth)
    coarse = read_source(make_spec(keys, label="coarse", split={"validation": 0.25})).splits["test"]
    assert coarse.class_names == ("insects", "cats")
    assert as_set(coarse.images, coarse.labels) == as_set(truth["test"][0], truth["test"][1] // 2)


def test_a_folder_of_classes_alone_is_all_training(tmp_path: Path) -> None:
    truth = make_truth(per_class=20)
    make_folder(tmp_path / "all", {"train": truth["train"]})
    spec = make_spec({"kind": "folder", "path": tmp_path / "all" / "train"}, split={"validation": 0.2, "test": 0.3})
    splits = read_source(spec).splits
    assert {name: np.bincount(part.labels).tolist() for name, part in splits.items()} == {
        "train": [10, 10, 10], "validation": [4, 4, 4], "test": [6, 6, 6],
    }  # fmt: skip
    assert splits["train"].rows["split"].unique().to_list() == ["train"]
    capped = read_source(spec, per_class=3).splits
    assert [len(part) for part in capped.values()] == [9, 9, 18]
    assert set(capped["train"].rows["image_id"]) < set(splits["train"].rows["image_id"])
    assert capped["test"].rows["image_id"].to_list() == splits["test"].rows["image_id"].to_list()
    other = read_source(spec.model_copy(update={"split": spec.split.model_copy(update={"seed": 1})})).splits
    assert set(other["test"].rows["image_id"]) != set(splits["test"].rows["image_id"])


def test_drawn_splits_do_not_depend_on_names_and_order_of_files(tmp_path: Path) -> None:
    images, labels = make_truth(per_class=20)["train"]
    ids = []
    for name, order in (("one", np.arange(60)), ("two", np.random.default_rng(0).permutation(60))):
        make_folder(tmp_path / name, {"train": (images[order], labels[order])})
        spec = make_spec({"kind": "folder", "path": tmp_path / name}, split={"validation": 0.2, "test": 0.3})
        ids.append({split: set(part.rows["image_id"]) for split, part in read_source(spec).splits.items()})
    assert ids[0] == ids[1]


@pytest.mark.parametrize("make", [make_metadata, make_parquet, make_webdataset])
def test_groups_stay_whole_in_drawn_splits(tmp_path: Path, make: Maker) -> None:
    images, labels = make_truth(per_class=20)["train"]
    keys = make(tmp_path, {"train": (images, labels)})
    spec = make_spec(keys, split={"validation": 0.2, "test": 0.3}, group="patient")
    source = read_source(spec)
    splits = source.splits
    patients = {images[i].tobytes(): i // 2 for i in range(60)}
    seen = {name: {patients[image.tobytes()] for image in part.images} for name, part in splits.items()}
    assert sum(map(len, seen.values())) == 30 == len(set().union(*seen.values()))
    assert abs(len(splits["test"]) - 18) <= 4
    units = {name: source.units[name] for part in splits.values() for name in part.rows["image_id"]}
    assert len(units) == 60 and len(set(units.values())) == len(units) / 2


def test_groups_of_given_splits_are_units(tmp_path: Path) -> None:
    source = read_source(make_spec(make_metadata(tmp_path, make_truth()), group="patient"))
    known = [name for split in source.splits.values() for name in split.rows["image_id"]]
    assert set(source.units) == set(known)
    assert len(set(source.units.values())) < len(known)


def test_one_table_with_a_column_for_the_split_is_read(tmp_path: Path) -> None:
    truth = make_truth()
    make_metadata(tmp_path, truth)
    lines = ["file_name,kind of insect,split"]
    for split in truth:
        rows = (tmp_path / split / "metadata.csv").read_text().splitlines()[1:]
        names = {"validation": "val"}
        for row in rows:
            file, label, _ = row.split(",")
            lines.append(f"{split}/{file},{label},{names.get(split, split)}")
        (tmp_path / split / "metadata.csv").unlink()
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    check(truth, make_spec({"kind": "metadata", "path": tmp_path}, label="kind of insect"))


def test_numeric_labels_are_their_own_names_unless_named(tmp_path: Path) -> None:
    truth = make_truth()
    keys = make_webdataset(tmp_path, truth)
    (tmp_path / "classnames.txt").unlink()
    check(truth, make_spec(keys), ("0", "1", "2"))
    check(truth, make_spec(keys, class_names=list(CLASSES)))


def test_mnist_as_keras_and_channels_first(tmp_path: Path) -> None:
    truth = make_truth()
    arrays = {}
    for split, short in (("train", "train"), ("validation", "val"), ("test", "test")):
        arrays[f"x_{short}"] = truth[split][0].transpose(0, 3, 1, 2)
        arrays[f"y_{short}"] = truth[split][1]
    np.savez(tmp_path / "x.npz", **arrays)
    check(truth, make_spec({"kind": "npz", "path": tmp_path / "x.npz"}), ("0", "1", "2"))


def test_a_plain_archive_of_image_and_label_is_read(tmp_path: Path) -> None:
    images, labels = make_truth(grey=True, per_class=20)["train"]
    np.savez(tmp_path / "x.npz", image=images[..., 0], label=labels)
    spec = make_spec({"kind": "npz", "path": tmp_path / "x.npz"}, split={"validation": 0.2, "test": 0.2})
    assert [len(part) for part in read_source(spec).splits.values()] == [36, 12, 12]
