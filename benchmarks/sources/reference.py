"""What the reference model reaches on a source: it is what a baseline has to reach (`ops.classifiers.reference`).

Validation chooses its features and its regularisation, by the metric of the verdict; the test images are asked once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ops.classifiers.reference.fitting import fit_reference
from ops.verdict.metric import choose_metric, score_answers


@dataclass(frozen=True)
class Reference:
    """Shares of test images: `accuracy`, and `balanced` over classes; `validation` is in the metric that chose."""

    accuracy: float
    balanced: float
    validation: float
    features: str
    strength: float


def measure_reference(splits: Mapping[str, tuple[np.ndarray, np.ndarray]], seed: int = 0) -> Reference:
    """`splits`: train, validation and test as images uint8 [n, H, W, C] and labels int [n]."""
    counts = np.bincount(splits["train"][1])
    metric = choose_metric(counts[counts > 0])
    classes = 1 + max(int(labels.max()) for _, labels in splits.values())
    fit = fit_reference(splits["train"], splits["validation"], classes=classes, metric=metric, seed=seed)
    images, labels = splits["test"]
    correct = fit.model.answer(images) == labels
    return Reference(
        accuracy=float(score_answers(correct, labels, "accuracy")),
        balanced=float(score_answers(correct, labels, "balanced_accuracy")),
        validation=fit.validation,
        features=fit.choice.features,
        strength=fit.choice.strength,
    )
