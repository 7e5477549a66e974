"""What an expansion will cost here: a few real steps of each kind are timed and multiplied out.

The estimate holds for this machine as busy as it is now. It trains on noise and touches no data.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from ops.classifiers.network import SmallResNet
from ops.classifiers.tournament import count_runs
from ops.classifiers.training import TrainingSet, predict, train
from ops.generators.registry import KINDS
from ops.machine.parallel import use_threads
from ops.planning.plan import ExpansionPlan
from ops.recipe.schema import Recipe

STEPS = 6  # timed, after as many for warming up
EXPORT_SECONDS = 20.0  # torch's exporter, whatever the network's size; parity included


def estimate_seconds(
    recipe: Recipe, plan: ExpansionPlan, shape: tuple[int, int, int], *, root: Path, test_images: int, workers: int
) -> dict[str, float]:
    """Seconds per stage for images of `shape` (height, width, channels), all generators; only stages that take some.

    Where a recipe allows a second look, `verdict` counts it: that is the most it can take.
    """
    with use_threads(workers):
        return _estimate(recipe, plan, shape, root, test_images, workers)


def _estimate(
    recipe: Recipe, plan: ExpansionPlan, shape: tuple[int, int, int], root: Path, test_images: int, workers: int
) -> dict[str, float]:
    height, width, channels = shape
    classes = len(plan.classes)
    generator, classifier = recipe.generator, recipe.classifier
    images = torch.randint(0, 256, (4 * classes, channels, height, width), dtype=torch.uint8)
    labels = torch.arange(4 * classes) % classes

    cost = KINDS[generator.kind].estimate(generator, recipe.sampler, (channels, height, width), classes, root)
    data = TrainingSet(images, labels, np.ones(len(images)), classes)

    def step_seconds(settings: object, name: str) -> float:
        arm = {**recipe.baselines, **recipe.expanded}[name]
        return _seconds_per_step(
            lambda steps: train(
                data,
                arm,
                settings.model_copy(update={"steps": steps}),  # type: ignore[attr-defined]
                learning_rate=0.01,
                weight_decay=0.0,
                seed=0,
            )
        )

    runs = count_runs(1, classifier)
    baselines, expanded = (  # of one training of each arm
        sum(step_seconds(classifier, name) for name in side) * classifier.steps / workers
        for side in (recipe.baselines, recipe.expanded)
    )
    scorer = step_seconds(recipe.scorer, "real") * recipe.scorer.steps * recipe.scorer.folds / workers
    judge = SmallResNet(channels, classes, classifier.width).eval()
    started = time.perf_counter()
    predict(judge, images)
    per_answer = (time.perf_counter() - started) / len(images)
    # Each arm's networks are asked once, those of the two that meet about mirror images too.
    asked = per_answer * test_images * (len(recipe.baselines) + len(recipe.expanded) + 2) * classifier.seeds / workers
    return {
        "scorer": scorer,
        "generator": cost.fit_seconds * generator.seeds,
        "generator_onnx": EXPORT_SECONDS * generator.seeds,
        "generated_images": cost.image_seconds * plan.drawn * generator.seeds / workers,
        "baseline_classifiers": baselines * runs,
        "expanded_classifiers": expanded * runs,
        "verdict": asked * recipe.verdict.looks
        + (baselines + expanded) * classifier.seeds * (recipe.verdict.looks - 1),
    }


def _seconds_per_step(run: Callable[[int], object]) -> float:
    run(STEPS)
    started = time.perf_counter()
    run(STEPS)
    return (time.perf_counter() - started) / STEPS
