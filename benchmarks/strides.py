"""Strides of the small network compared on large images: equal steps, paired seeds, judged on validation only.

The sources are of `growset bench sources`: emoji at 128 pixels a side, on which the size from which `growset init`
writes a stride of 4 was chosen, and patches of photographs at 96 and 128, which confirm it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
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

STEPS, SEEDS = 400, 2
STRIDES: tuple[Literal[2, 4], ...] = (2, 4)
ARM = Arm(augmentation=Policy(shift=0.07, gain=0.5, offset=0.15))
SOURCES: dict[str, Callable[[], Drawn]] = {
    "emoji, 128 pixels": lambda: draw_emoji(128, 0),
    "photographs, 96 pixels": lambda: draw_patches(FEWER, 96, 0),
}


def run() -> Path:
    """Train and judge each stride on each source, write results/strides.json."""
    torch.set_num_threads(1)
    rows, gains, found = [], {}, {}
    for name, draw in SOURCES.items():
        drawn = draw()
        validation, classes = drawn.splits["validation"], len(drawn.class_names)
        train_part = drawn.splits["train"]
        data = TrainingSet(
            torch.from_numpy(to_nchw(train_part.images)),
            torch.from_numpy(train_part.labels),
            np.ones(len(train_part.labels)),
            classes,
        )
        shown = torch.from_numpy(to_nchw(validation.images))
        scores: dict[int, list[float]] = {stride: [] for stride in STRIDES}
        seconds: dict[int, list[float]] = {stride: [] for stride in STRIDES}
        for seed in range(SEEDS):
            for stride in STRIDES:
                budget = ClassifierSettings(steps=STEPS, network=SmallResNet(stride=stride))
                started = time.thread_time()
                model = train(data, ARM, budget, learning_rate=0.02, weight_decay=0.1, seed=seed)
                seconds[stride].append(time.thread_time() - started)
                correct = predict(model, shown).argmax(1).numpy() == validation.labels
                scores[stride].append(score_answers(correct, validation.labels, "balanced_accuracy").item())
                print(
                    f"{name}, stride {stride}, seed {seed}: {100 * scores[stride][-1]:.1f} %,"
                    f" {seconds[stride][-1]:.0f} s",
                    flush=True,
                )
        for stride in STRIDES:
            rows.append(Row(f"{name}, stride {stride}: balanced accuracy", round(100 * mean(scores[stride]), 2), "%"))
            rows.append(Row(f"{name}, stride {stride}: a training", round(median(seconds[stride]), 1), "s"))
        first, last = STRIDES
        gains[f"stride_points: {name}"] = 100 * (mean(scores[last]) - mean(scores[first]))
        gains[f"stride_time: {name}"] = median(seconds[first]) / median(seconds[last])
        found[name] = {str(stride): scores[stride] for stride in STRIDES}
    return write_result("strides", rows, gains, accuracies=found, steps=STEPS)
