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
from ops.generators.geometry.search import Trial, find_ranges
from ops.generators.protocol import Fitting
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
    config = {**fitting.describe("geometry"), "ranges": asdict(found.ranges)}
    channels, height, width = fitting.images.shape[1:]
    moves = Moves((channels, height, width), found.ranges)
    with torch.inference_mode():
        fitting.watch(ANY_COPIES).observe(0, lambda feeds: moves(feeds[IMAGE], feeds[NOISE]))
    write_json(fitting.out / CONFIG, config)
    return {"best_step": 0, "training_images": found.images, "precision": "fp32", **asdict(found.ranges)}


def describe_trial(trial: Trial) -> str:
    """A line of progress."""
    widths = {
        "rotation": f"turned by up to {trial.width:g} degrees",
        "scale": f"scaled by up to {trial.width:.1%}".replace("%", " %"),
        "shift": f"shifted by up to {trial.width:.1%} of a side".replace("%", " %"),
        "mirror": "mirrored",
    }
    verdict = "cannot be told from the data" if trial.passed else "can be told from the data"
    return f"images {widths[trial.move]} {verdict} (excess {trial.excess:.3g}, standard error {trial.error:.2g})"
