"""The size that `growset init` chooses for images of one size, of many sizes, large ones, grey ones beside colour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ops.errors import DamagedData
from ops.sources.reading import read_training
from ops.sources.sketch import SourceSketch, sketch_source


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
