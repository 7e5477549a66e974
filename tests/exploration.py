"""A page of `growset explore` for tests: outputs made up in the stages' formats, with odd class names; its columns."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ops.datasets.index import locate_rows
from ops.datasets.pixels import PixelDataset, build_rows, write_shards
from ops.exploring.columns import TYPES, Kind
from ops.exploring.page import STAGES, write_page
from ops.files.manifests import MANIFEST, describe_output
from ops.files.storage import write_json
from tests.filtering import make_held_out, make_index, make_rule, write_results

NAMES = ("</script><b>Bag</b>", "a \"quoted\" & 'odd' name", "Boot")
GENERATED, SIDE = 300, 8
REAL = 9  # of each of training and validation


def make_page(root: Path) -> Path:
    """The start of a page of 318 images: every third generated one is doubted, image k has brightness k % 256."""
    folders = {stage: root / stage for stage in STAGES}
    random = np.random.default_rng(0)
    labels = np.arange(REAL) % 3
    for split in ("train", "validation"):
        ids = [f"{split[0].replace('t', 'r')}{row}" for row in range(REAL)]
        images = random.integers(0, 256, (REAL, SIDE, SIDE, 3), np.uint8)
        dataset = PixelDataset(images, build_rows(labels, ids, split=split), NAMES)
        write_shards(folders["real_images"], dataset, prefix=split)
    drawn = np.arange(GENERATED) % 3
    images = np.broadcast_to(
        (np.arange(GENERATED) % 256).astype(np.uint8)[:, None, None, None], (GENERATED, SIDE, SIDE, 3)
    )
    rows = build_rows(drawn, [f"g{row}" for row in range(GENERATED)], split="train", is_generated=True)
    shards = write_shards(folders["generated_images"], PixelDataset(images.copy(), rows, NAMES), prefix="generated")
    reasons = [["wrong_label"] if row % 3 == 1 else ["surplus"] if row >= 294 else [] for row in range(GENERATED)]
    placed = locate_rows(shards).select("shard", "row")
    index = make_index(reasons, drawn.tolist()).with_columns(
        placed["shard"], placed["row"], typicality=pl.Series(np.arange(GENERATED)[::-1] / 100, dtype=pl.Float32)
    )
    write_results(
        folders["accepted_images"], folders["expansion_plan"], index, make_held_out(labels.tolist()), NAMES,
        [100] * 3, rules=[make_rule("wrong_label", 0.5, 3)], stopped=["quota"] * 3,
    )  # fmt: skip
    for stage, folder in folders.items():
        identity = {"stage": stage, "version": 1, "fingerprint": "f", "settings": {}, "inputs": {}}
        write_json(folder / MANIFEST, describe_output(folder, identity, {}))
    return write_page(folders, root / "page", "odd", root / "cache").path


def read_column(folder: Path, name: str, kind: Kind) -> np.ndarray | list[str]:
    """All values of a written column. ValueError for a chunk of another column or another place."""
    parts: list[Any] = []
    while (path := folder / f"{name}-{len(parts)}.js").exists():
        match = re.fullmatch(r'explore\.take\("(\w+)", (\d+), (.*)\)\n', path.read_text(encoding="ascii"))
        if match is None or match[1] != name or int(match[2]) != len(parts):
            raise ValueError(f"{path} is not chunk {len(parts)} of column {name}")
        value = json.loads(match[3])
        parts.append(value if kind == "text" else np.frombuffer(base64.b64decode(value), TYPES[kind]))
    if kind == "text":
        return [entry for part in parts for entry in part]
    return np.concatenate(parts) if parts else np.empty(0, TYPES[kind])
