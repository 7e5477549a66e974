"""The size that `growset init` chooses for images of one size, of many sizes, large ones, grey ones beside colour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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
