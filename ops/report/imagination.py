"""The report's facts on imagination: those beside each generator, and its sheet, from seed image to variant."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from PIL import Image

from ops.files.outputs import IMAGINATION_FACTS, IMAGINATION_SHEET
from ops.files.storage import read_json
from ops.pictures.sheets import to_data_uri
from ops.stages.several import count_generators, place


def collect_imagination(generator_onnx: Path) -> list[dict[str, Any]]:
    """For each generator in the folder of that stage: what it imagines with, and a picture; empty for a recipe that
    does not imagine."""
    folders = [place(generator_onnx, number) for number in range(count_generators(generator_onnx))]
    return [_collect_one(folder) for folder in folders if (folder / IMAGINATION_FACTS).exists()]


def _collect_one(folder: Path) -> dict[str, Any]:
    found, png = read_json(folder / IMAGINATION_FACTS), (folder / IMAGINATION_SHEET).read_bytes()
    with Image.open(io.BytesIO(png)) as sheet:
        picture = {"uri": to_data_uri(png), "width": sheet.width, "height": sheet.height}
    kept = {key: found[key] for key in ("mode", "asked", "why", "preset", "unverified", "ways", "shown")}
    told = {key: found.get(key) for key in ("scorer_kind", "scorer_model", "profile")}  # of some recipes
    return kept | told | {"scorer": found["scorer"]["sentence"], "picture": picture}
