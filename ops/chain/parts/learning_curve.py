"""Train the two arms that meet for a quarter and for half of their steps, and score all lengths on validation.

Each arm keeps the setting that the grid chose for it, and its own images, teachers and first seeds. The full length is
the stored networks of the stages before. Test images are not opened here. A killed run resumes after its last finished
training.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ops.chain.parts.classifiers import BASELINES, find_teachers, open_contest, weights_file
from ops.chain.parts.examples import read_baselines, read_mixed_sets
from ops.chain.parts.trained import Trained
from ops.classifiers.answering import predict
from ops.classifiers.racing import unpack_bits
from ops.classifiers.runs import Contest, Run, train_runs
from ops.classifiers.stored import load_classifier
from ops.machine.progress import Progress
from ops.recipe.grid import Setting
from ops.recipe.ingredients.trainers import ProbeTrainer
from ops.stages.materialization import StageRun
from ops.verdict.curve import Curve, CurvePoint, describe_curve, list_lengths, trace_arm
from ops.verdict.estimate import BoolArray
from ops.verdict.reference import choose_checked_metric


def trace_curve(run: StageRun, trained: Trained) -> Curve | None:
    """Accuracy against steps of the picked baseline and challenger; None where the recipe asks for no curve.

    A verdict in the accuracy of the worst class shows balanced accuracy: a minimum over classes is too noisy.
    """
    count = run.recipe.verdict.curve_seeds
    if count == 0:
        return None
    arms = [arm for arm in (trained.baseline, trained.challenger) if arm is not None]
    lengths = {arm: list_lengths(find_steps(trained, arm)) for arm in arms}
    progress = run.runtime.progress("learning curve", count * sum(map(len, lengths.values())), "trainings")
    metric, points, before = choose_checked_metric(trained.metric), list[CurvePoint](), 0
    for arm in arms:
        contest = _open_contest(run, trained, arm)
        answers = _train_shorter(run, contest, trained.entries[arm], arm, lengths[arm], progress, before)
        before += count * len(lengths[arm])
        answers[find_steps(trained, arm)] = _answer_stored(run, trained, contest, arm)
        points += trace_arm(arm, trained.kinds[arm], answers, contest.validation[1], metric, contest.units)
    costs = trained.measure_costs(run.recipe.classifier.seeds)
    return describe_curve(points, metric, costs, baseline=trained.baseline, challenger=trained.challenger)


def find_steps(trained: Trained, arm: str) -> int:
    """The steps of an arm's judged networks; a probe took none."""
    if isinstance(trained.arms[trained.sides[arm]][arm].trainer, ProbeTrainer):
        return 0
    return int(trained.entries[arm]["setting"].get("steps", trained.results[trained.sides[arm]]["steps"]))


def _open_contest(run: StageRun, trained: Trained, arm: str) -> Contest:
    side = trained.sides[arm]
    arms = {arm: trained.arms[side][arm]}
    training = (
        [read_baselines(run.workspace, run.inputs, arms)]
        if side == BASELINES
        else list(read_mixed_sets(run.inputs, arms, run.recipe.seed))
    )
    teachers = find_teachers(arms, run.inputs[BASELINES], trained.results[BASELINES]["aliases"])
    return open_contest(run, arms, training, trained.metric, teachers)


def _train_shorter(
    run: StageRun,
    contest: Contest,
    entry: Mapping[str, Any],
    arm: str,
    lengths: list[int],
    progress: Progress,
    before: int,
) -> dict[int, Mapping[int, BoolArray]]:
    """Whether right on each validation image, bool [n] by steps and seed."""
    seeds = contest.seeds[: run.recipe.verdict.curve_seeds]
    runs = {
        steps: [Run(arm, Setting(tuple({**entry["setting"], "steps": steps}.items())), seed) for seed in seeds]
        for steps in lengths
    }
    asked = [each for found in runs.values() for each in found]
    done = train_runs(contest, asked, run.runtime.workers, progress, before)
    return {steps: {each.seed: unpack_bits(done[each].bits) for each in found} for steps, found in runs.items()}


def _answer_stored(run: StageRun, trained: Trained, contest: Contest, arm: str) -> dict[int, BoolArray]:
    """The same of the stored networks, which took all steps."""
    side, (images, labels) = trained.sides[arm], contest.validation
    precision, found = trained.results[side]["precision"], dict[int, np.ndarray]()
    for seed in contest.seeds[: run.recipe.verdict.curve_seeds]:
        network = load_classifier(run.inputs[side] / weights_file(arm), seed).to(contest.device)
        logits = predict(network, torch.from_numpy(images), precision=precision, device=contest.device)
        found[seed] = logits.argmax(1).numpy() == labels
    return found
