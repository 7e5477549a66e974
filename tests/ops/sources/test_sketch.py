"""The size that `growset init` chooses for images of one size, of many sizes, large ones, grey ones beside colour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ops.errors import DamagedData, UserError
from ops.scaffold.texts import render_description
from ops.sources.reading import read_training
from ops.sources.sketch import SourceSketch, sketch_source
from tests.sources import to_file


def sketch(tmp_path: Path, shapes: list[tuple[int, ...]], size: int | None = None) -> SourceSketch:
    for i, shape in enumerate(shapes):
        path = tmp_path / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full(shape, i, np.uint8)).save(path)
    return sketch_source(tmp_path, "grey", "CC0", size)


@pytest.mark.parametrize(
    ("shapes", "size", "chosen", "shape"),
    [
        ([(28, 28)] * 4, None, None, (28, 28, 1)),
        ([(96, 128, 3)] * 4, None, None, (96, 128, 3)),
        ([(100, 100), (100, 100, 3)] * 2, None, 100, (100, 100, 3)),  # grey beside colour keeps its size
        ([(224, 224, 3)] * 4, None, 64, (64, 64, 3)),
        ([(224, 224, 3)] * 4, 224, None, (224, 224, 3)),
        ([(10, 20), (30, 30), (40, 32), (50, 90)], None, 31, (31, 31, 1)),  # the median of 10, 30, 32 and 50
        ([(300, 400), (500, 300)] * 2, None, 64, (64, 64, 1)),
        ([(28, 28)] * 4, 32, 32, (32, 32, 1)),
    ],
)
def test_size(
    tmp_path: Path, shapes: list[tuple[int, ...]], size: int | None, chosen: int | None, shape: tuple[int, int, int]
) -> None:
    found = sketch(tmp_path, shapes, size)
    assert (found.spec.size, found.shape) == (chosen, shape)


def test_the_shares_that_become_smaller_and_larger(tmp_path: Path) -> None:
    assert sketch(tmp_path, [(10, 20), (30, 30), (40, 31), (50, 90)]).resized == (0.5, 0.25)  # to the median, 30
    assert sketch(tmp_path, [(28, 28)] * 4).resized == (0, 0)


def test_damaged_images_are_counted_so_that_there_can_be_a_description_that_leaves_them_out(tmp_path: Path) -> None:
    sketch(tmp_path, [(28, 28)] * 8)
    for name in ("a/0.png", "b/3.png"):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:40])
    found = sketch_source(tmp_path, "grey", "CC0")
    assert (found.damaged, found.shape, found.spec.skip_damaged) == (2, (28, 28, 1), False)
    with pytest.raises(DamagedData, match=r"a/0\.png: not a readable image"):
        read_training(found.spec)
    assert len(read_training(found.spec.model_copy(update={"skip_damaged": True}))) == 6
    for path in tmp_path.glob("*/*.png"):
        path.write_bytes(b"")
    with pytest.raises(DamagedData, match="none of its images can be decoded"):
        sketch_source(tmp_path, "grey", "CC0")


STRUCT, FLAT = pa.struct([("bytes", pa.binary()), ("path", pa.string())]), pa.binary()


@pytest.mark.parametrize(
    ("name", "columns", "keys", "told"),
    [
        ("train", {"image": STRUCT, "label": None, "species": None}, {}, None),
        ("train", {"img": STRUCT, "label": None}, {"image": "img"}, None),
        ("train", {"img": STRUCT, "species": None}, {"image": "img", "label": "species"}, None),
        ("train", {"image": STRUCT, "note": None, "Class": None}, {"label": "Class"}, None),
        ("train", {"image": STRUCT, "what": None}, {"label": "what"}, None),
        ("train", {"image": STRUCT, "what": None, "else": None}, {}, "path, what, else; call the one with the classes"),
        (
            "train",
            {"image": FLAT, "label": None},
            {},
            "has the columns image, label; one called image must be a struct",
        ),
        ("pictures", {"image": STRUCT, "label": None}, {}, "is not read under this name; call it train.parquet, and"),
    ],
)
def test_columns_of_parquet_are_found_or_named(
    tmp_path: Path, name: str, columns: dict[str, pa.DataType | None], keys: dict[str, str], told: str | None
) -> None:
    files = [to_file(np.full((8, 8, 1), level, np.uint8)) for level in range(20)]
    values = {STRUCT: [{"bytes": file, "path": None} for file in files], FLAT: files, None: ["ring", "rod"] * 10}
    arrays = {column: pa.array(values[kind], kind) for column, kind in columns.items()}
    pq.write_table(pa.table(arrays), tmp_path / f"{name}.parquet")
    if told is not None:
        with pytest.raises(UserError, match=told):
            sketch_source(tmp_path, "x", "CC0")
        return
    found = sketch_source(tmp_path, "x", "CC0")
    assert found.class_names == ("ring", "rod")
    assert {key: getattr(found.spec, key) for key in ("image", "label")} == {"image": "image", "label": "label"} | keys
    text = render_description(found.spec, "images")
    assert all(f"{key}: '{value}'" in text for key, value in keys.items())
