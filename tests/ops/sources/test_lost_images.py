"""Images that would be left out without a word: in archives under other names, in folders of Parquet files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ops.errors import UserError
from ops.sources.layouts import LAYOUTS
from ops.sources.sketch import sketch_source
from ops.sources.spec import SourceSpec
from tests.sources import to_file, write_tar

IMAGE = to_file(np.full((8, 8, 3), 7, np.uint8))


def count(kind: str, path: Path) -> dict[str, int]:
    spec = SourceSpec.model_validate({"name": "x", "kind": kind, "path": str(path), "licence": "CC0"})
    return {split: len(listing.labels) for split, listing in LAYOUTS[kind].list_splits(spec).items()}


@pytest.mark.parametrize(
    ("members", "told"),
    [
        (("b.JPG", "b.CLS"), None),
        (("b.png", "b.left.png", "b.cls"), None),  # the plain one is the image of the key
        (("b.txt", "b.cls", "._a.png"), None),
        (("v1.01.png", "v1.02.png", "v1.cls"), "2 images such as v1.01.png cannot be read, because a key ends at the"),
        (("b.heic", "b.cls"), "1 image such as b.heic cannot be read, because their format is not supported; convert"),
        (("a.PNG",), "'a.png' and 'a.PNG' differ only in case; rename or remove one"),
    ],
)
def test_an_image_in_an_archive_is_read_or_named(tmp_path: Path, members: tuple[str, ...], told: str | None) -> None:
    contents = {name: b"1" if name.lower().endswith("cls") else IMAGE for name in members}
    path = write_tar(tmp_path / "train.tar", {"a.png": IMAGE, "a.cls": b"0", **contents})
    if told is None:
        assert count("webdataset", path) == {"train": 2 if members[0] in ("b.JPG", "b.png") else 1}
    else:
        with pytest.raises(UserError, match=told):
            count("webdataset", path)


def write_shards(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    images = [{"bytes": to_file(np.full((8, 8, 3), level, np.uint8)), "path": None} for level in range(20)]
    table = pa.table({"image": images, "label": pa.array([0, 1] * 10)})
    for name in names:
        pq.write_table(table, folder / f"{name}.parquet")


@pytest.mark.parametrize(
    ("folders", "split", "read", "sketched"),
    [
        ({"cropped": ["train"], "full": ["train", "test"]}, "test", False, False),
        ({"cropped": ["train", "test"], "full": ["train", "test"]}, "", True, False),
        ({".": ["train"], "old": ["train", "validation"]}, "validation", False, False),
        ({"a": ["train"], "b": ["test"]}, "", True, True),
        ({"data": ["train", "test"], "old": ["train"]}, "", True, True),
    ],
)
def test_all_splits_come_from_one_of_several_folders_of_parquet(
    tmp_path: Path, folders: dict[str, list[str]], split: str, read: bool, sketched: bool
) -> None:
    for folder, names in folders.items():
        write_shards(tmp_path / folder, *names)
    if read:
        assert count("parquet", tmp_path) == {"train": 20, "test": 20}
    else:
        with pytest.raises(UserError, match=rf"train images would come from .* and {split} images from"):
            count("parquet", tmp_path)
    if sketched:
        assert sketch_source(tmp_path, "x", "CC0").counts.sum() > 0
    else:
        with pytest.raises(UserError, match="(several folders: cropped, full; name one: --source|would come from)"):
            sketch_source(tmp_path, "x", "CC0")
