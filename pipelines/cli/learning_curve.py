"""`growset plan NAME --learning-curve`: train one cheap arm for more and more steps, and propose `classifier.steps`."""

import math
from typing import Any

import click

from ops.chain.driver import FIRST
from ops.chain.real_images import read_labelled
from ops.datasets.axes import to_nchw
from ops.datasets.pixels import read_split
from ops.datasets.units import number_units, read_groups
from ops.machine.durations import describe_estimate
from ops.machine.progress import Sink
from ops.planning.learning_curve import (
    SEEDS,
    Images,
    choose_arm,
    describe_length,
    explain_own_choice,
    list_most_lengths,
    propose_steps,
    trace_lengths,
)
from ops.planning.work import make_unit, settle_expected
from ops.tuning.lengths import choose_length
from ops.workspaces.workspace import Workspace
from pipelines.cli.prospect import Pace, Prospect


def show_learning_curve(workspace: Workspace, pace: Pace, sink: Sink, *, quiet: bool = False) -> dict[str, Any]:
    """Print each length as soon as it is known, and what the curve proposes; with `quiet` as progress.

    Returns the curve as plain JSON. Where the recipe chooses the steps itself, nothing is trained or proposed.
    """

    def tell(line: str) -> None:
        sink(line) if quiet else click.echo(f"  {line}")

    seen = pace.prospect
    if not quiet:
        click.echo()
    if why := explain_own_choice(seen.recipe):
        tell(why)
        return {"arm": None, "lengths": [], "proposed_steps": None, "sentence": why}
    name, recipe = choose_arm(seen.recipe), settle_expected(seen.recipe, seen.policy)
    tell(_introduce(pace, name))
    lengths = []
    from ops.chain.parts.classifiers import keep_trainings  # loads torch, after the first lines

    kept = keep_trainings(workspace)
    for length in trace_lengths(recipe, name, _read_images(workspace, seen), kept, workers=seen.cores, sink=sink):
        tell(describe_length(length))
        lengths.append(length)
    sentence = propose_steps(lengths, recipe.classifier.steps)
    tell(sentence)
    return {
        "arm": name,
        "lengths": [
            {"steps": each.steps, "score": each.score, "gain": each.gain, "standard_error": each.error}
            for each in lengths
        ],
        "proposed_steps": choose_length(lengths).steps,
        "sentence": sentence,
    }


def _introduce(pace: Pace, name: str) -> str:
    """What will be trained, and how long it takes if no length is left out."""
    seen = pace.prospect
    recipe, images = settle_expected(seen.recipe, seen.policy), seen.counted.totals
    steps, unit = list_most_lengths(recipe.classifier.steps), make_unit(recipe.classifier, recipe.baselines[name])
    seconds = sum(steps) * pace.speeds.units[unit] * math.ceil(SEEDS / seen.cores)
    is_open = seen.policy is None and seen.recipe.baselines[name].augmentation.kind == "auto"
    stand_in = "; its augmentation is not chosen yet, so a usual one stands in" if is_open else ""
    return (
        f"learning curve of {name}, trained on {images['train']:,} real images and scored on {images['validation']:,}"
        f" for validation, from {steps[0]:,} to {steps[-1]:,} steps ({describe_estimate(seconds)} at most{stand_in})"
    )


def _read_images(workspace: Workspace, seen: Prospect) -> Images:
    """The training and validation images: the stored ones if they are current, else those of the source."""
    if FIRST in seen.stale:
        real = read_labelled(workspace, seen.recipe)
        splits, known = real.splits, real.units
    else:
        stored = workspace.output(seen.expansion, FIRST)
        splits, known = {split: read_split(stored, split) for split in ("train", "validation")}, read_groups(stored)
    units = number_units(known, splits["validation"].rows) if known else None
    train, validation = (
        (to_nchw(splits[split].images), splits[split].labels.copy()) for split in ("train", "validation")
    )
    return Images(train, validation, len(splits["train"].class_names), units)
