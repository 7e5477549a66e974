"""How long to train: a learning curve of one cheap arm on real images, and the steps that it proposes.

The arm is trained anew for a quarter of the recipe's steps, twice as many and so on, up to four times the recipe's, and
scored on validation images. It ends where doubling gains no more than its standard error, as the search for a policy
does (`ops.tuning.lengths`). Finished trainings are kept as those of the chain are, so an interrupted curve goes on, and
the chain trains none of them again. Test images are not known here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ops.machine.progress import Progress, Sink
from ops.recipe.arms import Arm
from ops.recipe.schema import Recipe
from ops.statistics.paired import Credits, sum_draws
from ops.tuning.lengths import Length, choose_length, double_steps
from ops.verdict.metric import choose_metric, weigh_images
from ops.verdict.units import keep_several

if TYPE_CHECKING:
    from ops.classifiers.kept_trainings import KeptTrainings

PREFERRED = "mixup"
SPAN = 4  # the shortest length is the recipe's steps divided by it, the longest the recipe's steps times it
SEEDS = 2  # networks of each length; side by side on two cores


@dataclass(frozen=True, eq=False)
class Images:
    """Training and validation images, uint8 [n, C, H, W], and their labels, int64 [n].

    units: int [n] of the validation images, equal for those that are one draw; None where each is its own.
    """

    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    classes: int
    units: np.ndarray | None = None


def explain_own_choice(recipe: Recipe) -> str | None:
    """Why a recipe needs no curve: it chooses the steps itself; None where it does not."""
    steps, most, grid = recipe.classifier.steps, recipe.tuning.most_steps, recipe.classifier.grid.steps
    if recipe.tuning.policy and most is not None and most > steps:
        return (
            f"no learning curve: the chain chooses the steps itself, from classifier.steps {steps:,} up to"
            f" tuning.most_steps {most:,}"
        )
    if grid is not None and len(grid) > 1:
        return "no learning curve: classifier.grid.steps tries several numbers of steps for every arm"
    return None


def choose_arm(recipe: Recipe) -> str:
    """The strongest cheap baseline by its ingredients: `mixup`, else the first with an augmentation, else `real`.

    Arms with a teacher, further views, variants, a pool or a trainer of their own are not cheap.
    """
    cheap = {name: arm for name, arm in recipe.baselines.items() if _is_cheap(arm)}
    if PREFERRED in cheap:
        return PREFERRED
    return next((name for name, arm in cheap.items() if arm.augmentation.kind != "none"), "real")


def _is_cheap(arm: Arm) -> bool:
    kinds = (arm.targets.kind, arm.consistency.kind, arm.variants.kind, arm.unlabelled.kind, arm.trainer.kind)
    return kinds == ("labels", "none", "none", "none", "supervised")


def list_most_lengths(steps: int) -> list[int]:
    """All lengths of a curve that does not end early.

    >>> list_most_lengths(800)
    [200, 400, 800, 1600, 3200]
    """
    shortest = max(1, steps // SPAN)
    return [shortest << power for power in range(5) if shortest << power <= SPAN * steps]


def trace_lengths(
    recipe: Recipe, name: str, images: Images, kept: KeptTrainings, *, workers: int, sink: Sink
) -> Iterator[Length]:
    """The lengths tried, each as soon as it is known; recipe: a settled one."""
    from ops.classifiers.examples import Examples
    from ops.classifiers.racing import unpack_bits
    from ops.classifiers.runs import Contest, Run, train_runs
    from ops.recipe.grid import Setting

    arm, settings = recipe.baselines[name], recipe.classifier
    labels = images.validation[1]
    metric = recipe.verdict.metric or choose_metric(np.bincount(images.train[1], minlength=images.classes))
    with tempfile.TemporaryDirectory() as scratch:
        contest = Contest(
            arms={name: arm},
            training=(Examples(*images.train, np.ones(len(images.train[1]))),),
            first_seed=recipe.seed * 1000,
            validation=images.validation,
            settings=settings,
            metric=metric,
            classes=images.classes,
            scratch=Path(scratch),
            kept=kept,
        )
        setting, weights = contest.list_settings(name)[0].to_dict(), weigh_images(labels, metric)
        units = keep_several(images.units)

        def answer(steps: int) -> Credits:
            sink(f"learning curve: training {name} for {steps:,} steps, {SEEDS} seeds")
            runs = [
                Run(name, Setting(tuple({**setting, "steps": steps}.items())), contest.first_seed + seed)
                for seed in range(SEEDS)
            ]
            progress = Progress(sink, f"learning curve, {steps:,} steps", SEEDS, "trainings")
            done = train_runs(contest, runs, workers, progress)
            right = np.mean([unpack_bits(done[run].bits) for run in runs], axis=0, dtype=np.float64)
            return sum_draws(weights * right, units)

        yield from double_steps(answer, steps=max(1, settings.steps // SPAN), most_steps=SPAN * settings.steps)


def describe_length(length: Length) -> str:
    """`1,600 steps: 91.2 %, +1.2 points (standard error 0.5)`."""
    score = f"{length.steps:,} steps: {100 * length.score:.1f} %"
    if length.gain is None or length.error is None:
        return score
    return f"{score}, {100 * length.gain:+.1f} points (standard error {100 * length.error:.1f})"


def propose_steps(lengths: Sequence[Length], steps: int) -> str:
    """The steps that a curve proposes, and why, for a recipe of so many `steps`."""
    best = choose_length(lengths)
    place = lengths.index(best)
    near = [
        f"from {before.steps:,} to {after.steps:,} {_tell_gain(after)}"
        for before, after in pairwise(lengths)
        if best in (before, after)
    ]
    last = lengths[-1]
    grows = place == len(lengths) - 1 and (last.gain is None or last.error is None or last.gain > last.error)
    own = ", as in the recipe" if best.steps == steps else ""
    more = ", or more" if grows else ""
    return f"classifier.steps: {best.steps}{own}{more} (validation: {'; '.join(near) or describe_length(best)})"


def _tell_gain(length: Length) -> str:
    assert length.gain is not None and length.error is not None, "only the first length has no gain"
    verb = "gains" if length.gain >= 0 else "loses"
    return f"{verb} {100 * abs(length.gain):.1f} points, standard error {100 * length.error:.1f}"
