"""A source is opened whatever is wrong with it: odd sizes and modes, transparency, broken files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ops.datasets.identity import content_ids
from ops.inspection.inspection import inspect_pictures
from ops.inspection.opening import Pictures, count_images, list_source, open_pictures, share_limit
from ops.sources.spec import SourceSpec
from tests.sources import make_folder, make_truth, to_file, write


def open_folder(root: Path, *, limit: int = 1000, **keys: Any) -> Pictures:
    spec = SourceSpec.model_validate({"name": "x", "kind": "folder", "path": str(root), "licence": "M"} | keys)
    listings = list_source(spec)
    return open_pictures(spec, listings, count_images(listings), limit=limit)


def test_a_plain_source_is_there_whole(tmp_path: Path) -> None:
    truth = make_truth()
    make_folder(tmp_path, truth)
    found = open_folder(tmp_path)
    assert found.images.shape == (36, 32, 32, 3) and len(found) == 36
    assert sorted(found.ids) == sorted(name for images, _ in truth.values() for name in content_ids(images))
    assert found.names[0] == "train/ant/000 'é'.png"
    assert [found.splits.tolist().count(split) for split in ("train", "validation", "test")] == [12, 12, 12]
    assert set(found.sizes) == {(32, 32)} and set(found.modes) == {"RGB"}
    assert np.bincount(found.labels).tolist() == [12, 12, 12]


def test_images_of_one_folder_in_a_class_folder_are_a_unit(tmp_path: Path) -> None:
    images, labels = make_truth()["train"]
    for place, (image, label) in enumerate(zip(images, labels, strict=True)):
        write(tmp_path / f"class {label}" / f"film {place // 2}" / f"{place}.png", to_file(image))
    found = open_folder(tmp_path, group="subfolder")
    assert found.units is not None
    films = [name.split("/")[1] for name in found.names]
    assert len(set(films)) == len(set(zip(films, found.units.tolist(), strict=True))) == len(set(found.units.tolist()))
    assert open_folder(tmp_path).units is None


def test_images_side_by_side_are_of_one_class_which_is_no_fault(tmp_path: Path) -> None:
    for place, image in enumerate(make_truth()["train"][0][:4]):
        Image.fromarray(image).save(tmp_path / f"{place}.png")
    spec = SourceSpec(name="x", kind="folder", path=str(tmp_path), licence="M")
    listings = list_source(spec)
    counts = count_images(listings)
    assert (counts.class_names, counts.splits, counts.images.tolist()) == (("unlabelled",), ("train",), [[4]])
    messages = inspect_pictures(open_folder(tmp_path), counts, name="x").facts["messages"]
    assert not [entry for entry in messages if entry["level"] == "fault"]
    assert any("the images have no labels" in entry["sentence"] for entry in messages)


def test_sizes_and_modes_are_those_of_the_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, size, mode in (
        ("a", (90, 30), "L"),
        ("b", (40, 200), "RGB"),
        ("c", (50, 50), "RGBA"),
        ("d", (8, 9), "P"),
    ):
        pixels = rng.integers(0, 256, (size[1], size[0], {"RGB": 3, "RGBA": 4}.get(mode, 1)), np.uint8)
        image = Image.fromarray(pixels.squeeze(), "L" if mode == "P" else mode).convert(mode)
        (tmp_path / "ant").mkdir(exist_ok=True)
        image.save(tmp_path / "ant" / f"{name}.png")
    write(tmp_path / "bee" / "deep.png", _encode_deep())
    found = open_folder(tmp_path)
    assert found.sizes == [(90, 30), (40, 200), (50, 50), (8, 9), (16, 16)]
    assert found.modes == ["L", "RGB", "RGBA", "P", "I;16, 16 bit"]
    assert found.transparent == 1
    assert found.images.shape[1] == found.images.shape[2] <= 64 and found.images.shape[3] == 3
    assert found.unreadable == []


def test_ids_are_of_the_pixels_before_resizing(tmp_path: Path) -> None:
    images = np.random.default_rng(1).integers(0, 256, (2, 128, 128, 3), np.uint8)
    write(tmp_path / "ant" / "0.png", to_file(images[0]))
    write(tmp_path / "bee" / "0.png", to_file(images[1]))
    found = open_folder(tmp_path, size=32)
    assert found.ids == content_ids(images)
    assert found.images.shape == (2, 64, 64, 3)


def test_what_cannot_be_read_is_noted_with_its_reason(tmp_path: Path) -> None:
    make_folder(tmp_path, make_truth())
    broken = write(tmp_path / "train" / "ant" / "broken.png", to_file(make_truth()["train"][0][0])[:200])
    frames = [Image.new("L", (32, 32), level) for level in (0, 99, 200)]
    frames[0].save(tmp_path / "train" / "bee" / "film.webp", save_all=True, append_images=frames[1:])
    found = open_folder(tmp_path)
    assert len(found) == 36
    reasons = dict(found.unreadable)
    assert set(reasons) == {"train/ant/broken.png", "train/bee/film.webp"}
    assert "animation" in reasons["train/bee/film.webp"]
    assert not any(reason.startswith(str(broken)) for reason in reasons.values())


def test_a_class_that_train_lacks_is_counted_last(tmp_path: Path) -> None:
    make_folder(tmp_path, make_truth())
    write(tmp_path / "test" / "aardvark" / "0.png", to_file(make_truth()["test"][0][0] // 2))
    spec = SourceSpec.model_validate({"name": "x", "kind": "folder", "path": str(tmp_path), "licence": "M"})
    counts = count_images(list_source(spec))
    assert counts.class_names == ("ant", "bee", "wild cat", "aardvark")
    assert counts.images[3].tolist() == [0, 0, 1]
    assert open_folder(tmp_path).labels.max() == 3


def test_the_largest_split_is_thinned(tmp_path: Path) -> None:
    truth = make_truth(per_class=2)
    make_folder(tmp_path, {**truth, "test": make_truth(per_class=20)["test"]})
    found = open_folder(tmp_path, limit=30)
    assert [found.splits.tolist().count(split) for split in ("train", "validation", "test")] == [6, 6, 18]
    assert np.bincount(found.labels[found.splits == "test"]).tolist() == [6, 6, 6]


@pytest.mark.parametrize(
    ("sizes", "limit", "most"),
    [([5, 5, 5], 100, 5), ([100, 10, 10], 60, 40), ([100, 100, 10], 30, 10), ([9, 9, 9], 2, 1), ([], 5, 1)],
)
def test_the_limit_is_shared(sizes: list[int], limit: int, most: int) -> None:
    assert share_limit(np.array(sizes, int), limit) == most


def _encode_deep() -> bytes:
    import io

    stream = io.BytesIO()
    Image.fromarray((np.arange(256).reshape(16, 16) * 200).astype(np.uint16)).save(stream, "PNG")
    return stream.getvalue()
