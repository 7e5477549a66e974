"""The report's facts on whether the generators have learnt: usability.json of each, and what an unused one draws."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from ops.files.outputs import CONTACT_SHEET, SAMPLES, USABILITY
from ops.files.storage import read_json
from ops.pictures.sheets import to_data_uri
from ops.stages.several import count_generators, place

MOST_ROWS = 10  # of a sheet, which has a row for each class


def collect_usability(generator_onnx: Path) -> list[dict[str, Any]]:
    """The usability.json of each generator in the folder of that stage."""
    return [read_json(place(generator_onnx, number) / USABILITY) for number in range(count_generators(generator_onnx))]


def collect_sheets(inputs: Mapping[str, Path], best_step: int | None, classes: int) -> list[dict[str, Any]]:
    """Images of the first classes, a row each: those of the generator's kept moment, then real ones.

    Only the real ones of a generator that was trained elsewhere (`best_step` is None).
    """
    sheets = [("real", inputs["real_images"] / CONTACT_SHEET)]
    if best_step is not None:
        sheets.insert(0, ("generated", inputs["generator"] / SAMPLES.format(step=f"{best_step:06d}")))
    return [{"kind": kind, **_cut(path, classes)} for kind, path in sheets]


def _cut(path: Path, rows: int) -> dict[str, Any]:
    """The first rows of a sheet as a data URI, with its size."""
    with Image.open(path) as sheet:
        shown = sheet.crop((0, 0, sheet.width, round(sheet.height * min(rows, MOST_ROWS) / rows)))
        buffer = io.BytesIO()
        shown.save(buffer, "PNG", optimize=True)
        return {"uri": to_data_uri(buffer.getvalue()), "width": shown.width, "height": shown.height}
