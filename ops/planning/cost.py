"""Estimate how long an expansion takes on this machine: time a few real steps of each kind and extrapolate.

The estimate includes the machine's present load. The timed steps use noise and read no data.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch

from ops.classifiers.data import TrainingSet
from ops.classifiers.ingredients import Budget
from ops.classifiers.networks.classifier import Classifier
from ops.classifiers.training import predict, train
from ops.generators.registry import KINDS
from ops.machine.parallel import use_threads
from ops.planning.plan import ExpansionPlan
from ops.recipe.arms import Arm, Policy
from ops.recipe.schema import Recipe
from ops.recipe.settling import TrainingPolicy, settle_recipe
from ops.tuning.factors import list_factors
from ops.tuning.search import count_steps

TIMED_STEPS = 6  # after as many warm-up steps
EXPECTED = Policy(shift=0.08, scale=0.15, rotation=10.0, gain=0.5, offset=0.15)  # what a policy costs
EXPORT_SECONDS = 20.0  # torch's exporter and the parity measurement, for any size of network


def estimate_seconds(
    recipe: Recipe, plan: ExpansionPlan, shape: tuple[int, int, int], *, root: Path, test_images: int, workers: int
) -> dict[str, float]:
    """Seconds per stage for images of `shape` (height, width, channels), all generators; quick stages are left out.

    If the recipe allows a second look, `verdict` includes it, so its figure is an upper bound.
    """
    with use_threads(workers):
        return _estimate(recipe, plan, shape, root, test_images, workers)


def _estimate(
    recipe: Recipe, plan: ExpansionPlan, shape: tuple[int, int, int], root: Path, test_images: int, workers: int
) -> dict[str, float]:
    height, width, channels = shape
    classes = len(plan.classes)
    recipe, search_steps = _expect_policy(recipe, channels)
    generator, classifier = recipe.generator, recipe.classifier
    images = torch.randint(0, 256, (4 * classes, channels, height, width), dtype=torch.uint8)
    labels = torch.arange(4 * classes) % classes

    cost = KINDS[generator.kind].estimate(generator, recipe.sampler, (channels, height, width), classes, root)
    data = TrainingSet(images, labels, np.ones(len(images)), classes)

    def step_seconds(budget: Budget, arm: Arm) -> float:
        return _seconds_per_step(
            lambda steps: train(
                data,
                arm,
                budget.model_copy(update={"steps": steps}),  # type: ignore[attr-defined]
                learning_rate=0.01,
                weight_decay=0.0,
                seed=0,
            )
        )

    def side_seconds(arms: Mapping[str, Arm], is_expanded: bool) -> tuple[float, float]:
        """Seconds of a side's tournament, and of one more training per arm with the most steps that its grid has."""
        tournament = once = 0.0
        for arm in arms.values():
            second = step_seconds(classifier, arm) / workers
            tried = [
                int(setting.get("steps") or classifier.steps)
                for setting in classifier.grid.list_settings(arm, is_expanded=is_expanded)
            ]
            tournament += second * (sum(tried) + max(tried) * (classifier.seeds - classifier.grid.is_equal))
            once += second * max(tried)
        return tournament, once

    baselines, expanded = side_seconds(recipe.baselines, False), side_seconds(recipe.expanded, True)
    scorer = step_seconds(recipe.scorer, Arm()) * recipe.scorer.steps * recipe.scorer.folds / workers
    judge = Classifier(classifier.network, (channels, height, width), classes).eval()
    started = time.perf_counter()
    predict(judge, images)
    per_answer = (time.perf_counter() - started) / len(images)
    # Each arm's networks predict once; those of the two compared arms predict mirrored images as well.
    asked = per_answer * test_images * (len(recipe.baselines) + len(recipe.expanded) + 2) * classifier.seeds / workers
    search = step_seconds(classifier, Arm(augmentation=EXPECTED)) * search_steps / workers if search_steps else 0.0
    seconds = {
        "training_policy": search,
        "scorer": scorer,
        "generator": cost.fit_seconds * generator.seeds,
        "generator_onnx": EXPORT_SECONDS * generator.seeds,
        "generated_images": cost.image_seconds * plan.drawn * generator.seeds / workers,
        "baseline_classifiers": baselines[0],
        "expanded_classifiers": expanded[0],
    }
    if recipe.verdict.folds is not None:  # each fold repeats all of them, and the verdict asks its networks only
        return {**seconds, "folds": recipe.verdict.folds * sum(seconds.values()) + asked}
    return {
        **seconds,
        "verdict": asked * recipe.verdict.looks
        + (baselines[1] + expanded[1]) * classifier.seeds * (recipe.verdict.looks - 1),
    }


def _expect_policy(recipe: Recipe, channels: int) -> tuple[Recipe, int]:
    """The recipe with a policy of typical cost in the place of the one to be chosen, and the steps of the search.

    How long training will be is not known before; the estimate takes twice classifier.steps, if so many are allowed.
    """
    tuning, steps = recipe.tuning, recipe.classifier.steps
    if not tuning.policy:
        return recipe, 0
    most = tuning.most_steps or steps
    search_steps = count_steps(
        list_factors(channels), folds=tuning.folds, steps=tuning.steps or steps, first_length=steps, most_steps=most
    )
    return settle_recipe(recipe, TrainingPolicy(EXPECTED, "image", min(2 * steps, most))), search_steps


def _seconds_per_step(run: Callable[[int], object]) -> float:
    run(TIMED_STEPS)
    started = time.perf_counter()
    run(TIMED_STEPS)
    return (time.perf_counter() - started) / TIMED_STEPS
