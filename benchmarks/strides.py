"""Strides of the small network compared on large images: equal steps, paired seeds, judged on validation only.

The sources are of `growset bench sources`: emoji at 128 pixels a side, on which the size from which `growset init`
writes a stride of 4 was chosen, and patches of photographs at 96, which had no part in the choice.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Literal

import numpy as np
import torch

from benchmarks.parts.harness import Row, write_result
from benchmarks.sources.drawn import Drawn
from benchmarks.sources.emoji import draw_emoji
from benchmarks.sources.photographs import draw_patches
from benchmarks.sources.registry import FEWER
from ops.classifiers.answering import predict
from ops.classifiers.data import TrainingSet
from ops.classifiers.training import train
from ops.datasets.axes import to_nchw
from ops.recipe.arms import Arm, Policy, SmallResNet
from ops.recipe.classifiers import ClassifierSettings
from ops.verdict.metric import score_answers

Stride = Literal[2, 4]

STEPS, SEEDS = 400, 2
STRIDES: tuple[Stride, ...] = (2, 4)
ARM = Arm(augmentation=Policy(shift=0.07, gain=0.5, offset=0.15))
SOURCES: dict[str, Callable[[], Drawn]] = {
    "emoji, 128 pixels": lambda: draw_emoji(128, 0),
    "photographs, 96 pixels": lambda: draw_patches(FEWER, 96, 0),
}


@dataclass(frozen=True)
class Found:
    """Of one stride, for each seed: balanced accuracy in 0..1, and the seconds of a training on one core."""

    scores: list[float]
    seconds: list[float]


def run() -> Path:
    """Train and judge each stride on each source, write results/strides.json."""
    torch.set_num_threads(1)
    rows: list[Row] = []
    gains: dict[str, float] = {}
    accuracies: dict[str, dict[str, list[float]]] = {}
    for name, draw in SOURCES.items():
        found = compare_strides(name, draw())
        for stride, each in found.items():
            rows.append(Row(f"{name}, stride {stride}: balanced accuracy", round(100 * mean(each.scores), 2), "%"))
            rows.append(Row(f"{name}, stride {stride}: a training", round(median(each.seconds), 1), "s"))
        first, last = (found[stride] for stride in STRIDES)
        gains[f"stride_points: {name}"] = 100 * (mean(last.scores) - mean(first.scores))
        gains[f"stride_time: {name}"] = median(first.seconds) / median(last.seconds)
        accuracies[name] = {str(stride): each.scores for stride, each in found.items()}
    return write_result("strides", rows, gains, accuracies=accuracies, steps=STEPS)


def compare_strides(name: str, drawn: Drawn) -> dict[Stride, Found]:
    """Each stride trained on the source's training images and judged on its validation images."""
    learnt, held = drawn.splits["train"], drawn.splits["validation"]
    images, shown = (torch.from_numpy(to_nchw(part.images)) for part in (learnt, held))
    weights = np.ones(len(learnt.labels))
    data = TrainingSet(images, torch.from_numpy(learnt.labels), weights, len(drawn.class_names))
    found = {stride: Found([], []) for stride in STRIDES}
    for seed in range(SEEDS):
        for stride, each in found.items():
            budget = ClassifierSettings(steps=STEPS, network=SmallResNet(stride=stride))
            started = time.thread_time()
            model = train(data, ARM, budget, learning_rate=0.02, weight_decay=0.1, seed=seed)
            each.seconds.append(time.thread_time() - started)
            correct = predict(model, shown).argmax(1).numpy() == held.labels
            each.scores.append(score_answers(correct, held.labels, "balanced_accuracy").item())
            told = f"{name}, stride {stride}, seed {seed}: {100 * each.scores[-1]:.1f} %, {each.seconds[-1]:.0f} s"
            print(told, flush=True)
    return found
