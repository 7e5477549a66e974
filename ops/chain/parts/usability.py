"""Whether the exported generator has learnt enough to be used: usability.json, which a check and later stages read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ops.datasets.axes import to_nchw
from ops.datasets.pixels import PixelDataset
from ops.files.outputs import USABILITY
from ops.files.storage import write_json
from ops.generators.drawers import DrawerSpec, draw_in_threads
from ops.generators.feeds import SeedImages, make_feeds, spread_draws
from ops.judging.expansion import build_scale
from ops.judging.scorer import load_scorer
from ops.judging.usability import Position, describe_positions, find_mean
from ops.machine.progress import Sink
from ops.stages.unused import describe_refusal

IMAGES = 500
BATCH = 16
MIN_STEPS = 1_500  # an untuned flow of fewer steps may simply not be finished
MIN_PER_CLASS = 50


def examine_usability(
    folder: Path,
    drawer: DrawerSpec,
    scorer: Path,
    train: PixelDataset,
    held_out: PixelDataset,
    *,
    needed: float | None,
    steps: int | None,
    seeds: SeedImages | None,
    sink: Sink,
    count: int = IMAGES,
    provider: str = "cpu",
) -> dict[str, Any]:
    """Draw `count` images, place them between empty and real ones, and write usability.json; returns its content.

    `needed` is the lowest mean position that is allowed, None: any. `steps` are those that it was trained for, 0 if its
    kind takes no steps, None if they are not known. Without a space that tells real images from empty ones nothing
    can be said, and the generator is used.
    """
    sink("generator_onnx: placing its images between empty and real ones")
    # Class shares of the training images, which the real images of every comparison have too.
    labels = np.resize(np.random.default_rng(0).permutation(train.labels), count)
    runs = spread_draws("usability", labels, seeds)
    info = drawer.read_info()
    feeds = make_feeds(info.inputs, info.shape, runs, seed=0, seeds=seeds)
    images = draw_in_threads(drawer, feeds, BATCH, provider)
    parents = None if seeds is None else seeds.find_parents(runs)
    positions = build_scale(load_scorer(scorer), train, held_out).place(torch.from_numpy(to_nchw(images)), parents)
    mean = find_mean(positions)
    usable = needed is None or mean is None or mean >= needed
    per_class = float(np.median(np.bincount(train.labels, minlength=len(train.class_names))))
    found = {
        "usable": usable,
        "needed": needed,
        "position": None if mean is None else round(mean, 6),
        "images": count,
        "spaces": [{"space": name, **_round(asdict(position))} for name, position in positions.items()],
        "sentence": _describe(usable, needed, positions),
        "advice": [] if usable else _advise(steps, per_class),
    }
    write_json(folder / USABILITY, found)
    if not usable:
        sink(f"generator_onnx: {describe_refusal(found)}")
    return found


def _describe(usable: bool, needed: float | None, positions: Mapping[str, Position]) -> str:
    mean = find_mean(positions)
    if mean is None:
        return "not known: no feature space tells these real images from empty ones"
    where = f"its images lie {100 * mean:.0f} % of the way from empty to real images ({describe_positions(positions)})"
    return where + (", and no position is asked for" if needed is None else f"; {100 * needed:.0f} % are needed")


def _advise(steps: int | None, per_class: float) -> list[str]:
    """What would help, the most likely first."""
    if steps is None:
        return ["another generator, or one that was trained on such images: this one was trained elsewhere"]
    if not steps:
        return ["narrower moves (generator.errors, rotation, scale, shift)", "another kind of generator"]
    more = f"more steps (it took {steps})"
    images = f"more real images (a class has {per_class:g})"
    prior = "a generator that was trained on similar images (kind: onnx)"
    first, second = (more, images) if steps < MIN_STEPS or per_class >= MIN_PER_CLASS else (images, more)
    return [first, second, prior]


def _round(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: round(value, 6) if isinstance(value, float) else value for key, value in values.items()}
