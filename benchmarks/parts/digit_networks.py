"""Coverage of the intervals for real networks on other data, where no simulation model is assumed.

Two hundred small networks with and two hundred without noise on their inputs learn 120 of scikit-learn's 8 x 8 digits
and answer the other 1,677. All of them on all images are taken for the truth; a few seeds and a few images, drawn
without repeats, are an experiment. Each is part of what it is judged by, so coverage comes out a little high.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from ops.recipe.design import Metric
from ops.verdict.comparison import Comparison
from ops.verdict.metric import score_answers

NETWORKS, TRAINED_ON, WIDTH, STEPS, BATCH = 200, 120, 32, 120, 32
NOISES = {"plain": 0.0, "noisy": 0.25}
METRICS: tuple[Metric, ...] = ("accuracy", "balanced_accuracy")


def train_networks(networks: int = NETWORKS) -> tuple[dict[str, npt.NDArray[np.bool_]], npt.NDArray[np.int64]]:
    """Per arm the answers bool [networks, n] to the images that no network learnt from, and their labels int [n]."""
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    known, held_out = order[:TRAINED_ON], order[TRAINED_ON:]
    x, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    answers = {}
    for arm, (name, noise) in enumerate(NOISES.items()):
        predicted = _train(x[known], y[known], x[held_out], networks, noise, torch.Generator().manual_seed(arm))
        answers[name] = predicted.numpy() == labels[held_out]
    return answers, labels[held_out]


def measure_coverage(
    answers: Mapping[str, npt.NDArray[np.bool_]],
    labels: npt.NDArray[np.int64],
    *,
    seeds: int,
    images: int,
    repeats: int,
) -> dict[Metric, float]:
    """The share of 95 % intervals of the arms' difference that hold the difference of all networks on all images."""
    rng = np.random.default_rng([seeds, images])
    one, other = answers
    truth = {
        m: float(np.subtract(*(score_answers(answers[a], labels, m).mean() for a in (one, other)))) for m in METRICS
    }
    covered = dict.fromkeys(METRICS, 0)
    for _ in range(repeats):
        shown = rng.choice(len(labels), images, replace=False)
        drawn = {arm: all_[rng.choice(len(all_), seeds, replace=False)][:, shown] for arm, all_ in answers.items()}
        comparison = Comparison(drawn, labels[shown])
        for metric in METRICS:
            gap = comparison.differ(one, other, metric, tail=0.025)
            covered[metric] += gap.low <= truth[metric] <= gap.high
    return {metric: count / repeats for metric, count in covered.items()}


def _train(
    images: Tensor, labels: Tensor, held_out: Tensor, networks: int, noise: float, generator: torch.Generator
) -> Tensor:
    """Classes int [networks, n] of the held-out images, by networks of one hidden layer that are trained together."""

    def draw(*shape: int) -> Tensor:
        return torch.randn(networks, *shape, generator=generator)

    first = (draw(64, WIDTH) / 8).requires_grad_()
    second = (draw(WIDTH, 10) / WIDTH**0.5).requires_grad_()
    biases = [torch.zeros(networks, 1, size, requires_grad=True) for size in (WIDTH, 10)]

    def answer(x: Tensor) -> Tensor:
        return torch.relu(x @ first + biases[0]) @ second + biases[1]

    optimizer = torch.optim.Adam([first, second, *biases], lr=0.01)
    for _ in range(STEPS):
        rows = torch.randint(0, len(images), (networks, BATCH), generator=generator)
        logits = answer(images[rows] + noise * draw(BATCH, 64))
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, 10), labels[rows].reshape(-1), reduction="sum")
        optimizer.zero_grad()
        (loss / BATCH).backward()
        optimizer.step()
    with torch.no_grad():
        return answer(held_out).argmax(dim=-1)
