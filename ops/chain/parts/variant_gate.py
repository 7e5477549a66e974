"""The gate of variants at the exported generator: gate.json, which checks, later stages, report and card read."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ops.datasets.axes import to_nchw
from ops.datasets.pixels import PixelDataset
from ops.files.outputs import GATE
from ops.files.storage import write_json
from ops.generators.drawers import DrawerSpec, draw_in_threads
from ops.generators.feeds import SeedImages, make_feeds
from ops.generators.units import Run, Unit
from ops.judging.scorer import Scorer, load_scorer
from ops.judging.variants import DRAWS, Gate, join_measured, judge_variants, measure_variants
from ops.machine.progress import Sink

MOST = 200  # training images of a class that are judged
AT_ONCE = 500  # images whose variants are in memory together
BATCH = 16


def examine_variants(
    folder: Path,
    drawer: DrawerSpec,
    scorer: Path,
    train: PixelDataset,
    seeds: SeedImages,
    *,
    moves: float | None,
    keeps: float | None,
    sink: Sink,
    tried: Sequence[dict[str, Any]] = (),
    most: int = MOST,
    provider: str = "cpu",
) -> dict[str, Any]:
    """Draw two variants of up to `most` training images of each class, judge them, and write gate.json; its content.

    `seeds` are the training images as seed images, in their order. `moves`, `keeps` : as in the recipe's `sampler`.
    `tried` : the strengths among which the drawer's was chosen, for the file.
    """
    count = len(choose_rows(train.labels, most))
    sink(f"generator_onnx: judging {DRAWS * count:,} variants of {count:,} training images")
    judge = load_scorer(scorer)
    gate = judge_drawn(drawer, judge, train, seeds, moves=moves, keeps=keeps, most=most, provider=provider)
    sizes = np.bincount(train.labels, minlength=len(train.class_names)).tolist()
    found = _describe(gate, train.class_names, sizes) | ({"strengths": list(tried)} if tried else {})
    write_json(folder / GATE, found)
    sink(f"generator_onnx: {found['sentence']}")
    return found


def judge_drawn(
    drawer: DrawerSpec,
    judge: Scorer,
    train: PixelDataset,
    seeds: SeedImages,
    *,
    moves: float | None,
    keeps: float | None,
    most: int = MOST,
    provider: str = "cpu",
) -> Gate:
    """The gate's decision on what a drawer makes of the training images; every drawer gets the same noise."""
    rows = choose_rows(train.labels, most)
    labels = train.labels[rows]
    info, parts = drawer.read_info(), []
    each = max(DRAWS, info.together)  # so that no two images' draws are made together
    # Each variant has a noise of its own.
    units = [Unit("gate", label, seeds.ids[row]) for label, row in zip(labels.tolist(), rows.tolist(), strict=True)]
    runs = [
        [Run(unit, each * i + k, 1) for k in choose_places(unit.parent or "", each)] for i, unit in enumerate(units)
    ]
    for first in range(0, len(rows), AT_ONCE):
        part = slice(first, first + AT_ONCE)
        feeds = make_feeds(info.inputs, info.shape, list(chain.from_iterable(runs[part])), seed=0, seeds=seeds)
        parents, drawn = (
            torch.from_numpy(to_nchw(images))
            for images in (train.images[rows[part]], draw_in_threads(drawer, feeds, BATCH, provider))
        )
        variants = drawn.reshape(len(parents), DRAWS, *parents.shape[1:])
        parts.append(measure_variants(judge, parents, variants, labels[part], judge.folds[rows[part]]))
    sizes = np.bincount(train.labels, minlength=len(train.class_names)).tolist()
    return judge_variants(join_measured(parts), labels, sizes, moves=moves, keeps=keeps)


def choose_rows(labels: np.ndarray, most: int) -> np.ndarray:
    """Rows of up to `most` images of each class of labels int [n], drawn at random, always the same; int64, sorted."""
    mixed = np.random.default_rng(0).permutation(len(labels))
    return np.sort(np.concatenate([mixed[labels[mixed] == label][:most] for label in np.unique(labels)]))


def choose_places(key: str, size: int, count: int = DRAWS) -> list[int]:
    """`count` of `size` draws that are made together, at random by the seed image's `key`; in order.

    Draws that know of each other need not be alike, so the first ones need not stand for all that are used.

    >>> choose_places("any", 2)
    [0, 1]
    """
    mixed = sorted(range(size), key=lambda k: hashlib.sha256(f"{k}/{key}".encode()).digest())
    return sorted(mixed[:count])


def _describe(gate: Gate, names: Sequence[str], sizes: Sequence[int]) -> dict[str, Any]:
    """The gate as JSON."""
    return {
        "moves": gate.moves,
        "keeps": gate.keeps,
        "moved": round(gate.moved, 6),
        "kept": _round(gate.kept),
        "named": gate.named,
        "head": [names[label] for label in gate.head],
        "classes": [
            {"name": name, "size": size, **{key: _round(value) for key, value in asdict(entry).items()}}
            for name, size, entry in zip(names, sizes, gate.classes, strict=True)
        ],
        "sentence": gate.describe(names),
    }


def _round(value: Any) -> Any:
    return round(value, 6) if isinstance(value, float) else value
