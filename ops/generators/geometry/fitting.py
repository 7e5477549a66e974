"""Fit the kind `geometry`: from labelled images to a generator directory."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch

from ops.errors import UserError
from ops.files.storage import write_json
from ops.generators.feeds import IMAGE, NOISE
from ops.generators.folder import CONFIG
from ops.generators.geometry.moves import Moves, Ranges
from ops.generators.geometry.search import Found, Trial, find_ranges, list_narrower
from ops.generators.protocol import Fitting, Sample
from ops.recipe.geometry import GeometrySettings

TRIALS = "trials.json"
ANY_COPIES = 1.0  # moved images cannot memorise: no share of near copies ends the fit


def fit_geometry(settings: GeometrySettings, fitting: Fitting) -> dict[str, Any]:
    """Find the ranges, and write config.json with them and trials.json with every trial; returns metrics.

    UserError if no class has `settings.least` images.
    """
    images, labels = fitting.images.permute(0, 2, 3, 1), fitting.labels.numpy()
    try:
        found = find_ranges(images, labels, settings, fitting.seed)
    except ValueError as error:
        raise UserError(f"{error}, which generator.least {settings.least} asks for; lower it") from None
    for trial in found.trials:
        fitting.sink(f"generator: {describe_trial(trial)}")
    if found.ranges == Ranges():
        fitting.sink("generator: no move that was tried is in the data: a variant is its seed image")
    write_json(fitting.out / TRIALS, [asdict(trial) for trial in found.trials])
    step, ranges = choose_ranges(found, fitting, narrow=settings.narrow)
    write_json(fitting.out / CONFIG, {**fitting.describe("geometry"), "ranges": asdict(ranges)})
    return {"best_step": step, "training_images": found.images, "precision": "fp32", **asdict(ranges)}


def choose_ranges(found: Found, fitting: Fitting, *, narrow: bool) -> tuple[int, Ranges]:
    """The widest of ever narrower ranges whose variants keep their class, and its number; the widest of all where none
    do, or without `narrow`. Each is observed as a step."""
    channels, height, width = fitting.images.shape[1:]
    observer = fitting.watch(ANY_COPIES)
    for step, ranges in enumerate(list_narrower(found)):
        if step:
            fitting.sink(f"generator: narrower: {describe_ranges(ranges)}")
        with torch.inference_mode():
            observation = observer.observe(step, _draw_by(Moves((channels, height, width), ranges)))
        if observation.usable:
            return step, ranges
        if not narrow:
            break
    return 0, found.ranges


def _draw_by(moves: Moves) -> Sample:
    return lambda feeds: moves(feeds[IMAGE], feeds[NOISE])


def describe_ranges(ranges: Ranges) -> str:
    """`turned by up to 90 degrees, mirrored`."""
    widths = {move: getattr(ranges, move) for move in ("rotation", "scale", "shift", "mirror")}
    return ", ".join(describe_move(move, float(width)) for move, width in widths.items() if width)


def describe_move(move: str, width: float) -> str:
    """`turned by up to 90 degrees`; width 1 mirrors."""
    return {
        "rotation": f"turned by up to {width:g} degrees",
        "scale": f"scaled by up to {width:.1%}".replace("%", " %"),
        "shift": f"shifted by up to {width:.1%} of a side".replace("%", " %"),
        "mirror": "mirrored",
    }[move]


def describe_trial(trial: Trial) -> str:
    """A line of progress."""
    verdict = "cannot be told from the data" if trial.passed else "can be told from the data"
    moved = describe_move(trial.move, trial.width)
    return f"images {moved} {verdict} (excess {trial.excess:.3g}, standard error {trial.error:.2g})"
