"""The reference model: histograms of gradients with logistic regression, seconds of one core.

It is what a baseline has to reach. C and the features are chosen by accuracy on validation, and by the log loss where
that is equal; the test images are asked once. It learns from the training images alone, as the arms do.

Histograms are those of Dalal & Triggs, "Histograms of Oriented Gradients for Human Detection" (CVPR 2005): nine
unsigned orientations, blocks of 2 x 2 cells, L2-Hys; of the channel whose gradient is largest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ops.verdict.metric import score_answers

ORIENTATIONS = 9
CELLS = 8  # along a side; fewer where a cell would have less than two pixels
CLIPPED = 0.2
STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0, 1_000.0, 10_000.0)  # of C
COARSE = 4  # the grid of mean colours is 4 x 4


@dataclass(frozen=True)
class Reference:
    """Shares of test images: `accuracy`, and `balanced` over classes; what validation chose."""

    accuracy: float
    balanced: float
    validation: float
    features: str
    strength: float


def measure_reference(splits: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Reference:
    """`splits`: train, validation and test as images uint8 [n, H, W, C] and labels int [n]."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.preprocessing import StandardScaler

    best = None
    for name, describe in FEATURES.items():
        scaler = StandardScaler()
        train = scaler.fit_transform(describe(splits["train"][0]))
        validation = scaler.transform(describe(splits["validation"][0]))
        for strength in STRENGTHS:
            # Scaled features are long: C counts for each of them.
            model = LogisticRegression(C=strength / train.shape[1], max_iter=300)
            model.fit(train, splits["train"][1])
            probabilities = model.predict_proba(validation)
            right = float(np.mean(model.classes_[probabilities.argmax(1)] == splits["validation"][1]))
            score = (right, -log_loss(splits["validation"][1], probabilities, labels=model.classes_))
            if best is None or score > best[0]:
                best = (score, name, strength, scaler, model)
    assert best is not None
    score, name, strength, scaler, model = best
    images, labels = splits["test"]
    correct = model.predict(scaler.transform(FEATURES[name](images))) == labels
    return Reference(
        accuracy=float(score_answers(correct, labels, "accuracy")),
        balanced=float(score_answers(correct, labels, "balanced_accuracy")),
        validation=score[0],
        features=name,
        strength=strength,
    )


def describe_gradients(images: np.ndarray) -> np.ndarray:
    """float64 [n, F] of uint8 [n, H, W, C]."""
    levels = images.astype(np.float64) / 255
    down, across = np.gradient(levels, axis=(1, 2))
    size = np.hypot(down, across)
    strongest = size.argmax(axis=3)[..., np.newaxis]
    size, down, across = (np.take_along_axis(part, strongest, 3)[..., 0] for part in (size, down, across))
    place = np.arctan2(down, across) % np.pi / np.pi * ORIENTATIONS
    low = np.floor(place).astype(int)
    share = place - low
    count, height, width = size.shape
    step = max(2, min(height, width) // CELLS)
    rows, columns = height // step, width // step
    histograms = np.zeros((count, rows, columns, ORIENTATIONS))
    for orientation in range(ORIENTATIONS):
        weight = (low % ORIENTATIONS == orientation) * (1 - share) + ((low + 1) % ORIENTATIONS == orientation) * share
        cut = (weight * size)[:, : rows * step, : columns * step]
        histograms[..., orientation] = cut.reshape(count, rows, step, columns, step).sum(axis=(2, 4))
    corners = [histograms[:, y : rows - 1 + y, x : columns - 1 + x] for y in (0, 1) for x in (0, 1)]
    blocks = np.concatenate(corners, axis=3)
    blocks = np.minimum(_normalise(blocks), CLIPPED)
    return _normalise(blocks).reshape(count, -1)


def describe_colours(images: np.ndarray) -> np.ndarray:
    """Mean levels of a 4 x 4 grid, float64 [n, 16 C]."""
    count, height, width, channels = images.shape
    down, across = height // COARSE, width // COARSE
    cut = images[:, : down * COARSE, : across * COARSE].astype(np.float64) / 255
    return cut.reshape(count, COARSE, down, COARSE, across, channels).mean(axis=(2, 4)).reshape(count, -1)


def _describe_both(images: np.ndarray) -> np.ndarray:
    return np.concatenate([describe_gradients(images), describe_colours(images)], axis=1)


FEATURES = {"gradients": describe_gradients, "gradients and colours": _describe_both}


def _normalise(blocks: np.ndarray) -> np.ndarray:
    return np.asarray(blocks / np.sqrt((blocks**2).sum(axis=3, keepdims=True) + 1e-4))
