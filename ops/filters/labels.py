"""How well the scorer's probabilities agree with the label that an image has, and how much the scorer knows at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SKILLED = 0.25  # of what there is to know beyond chance: a scorer that knows less is near chance


@dataclass(frozen=True, eq=False)
class Agreement:
    """One value per image. probability: float32 [n] in 0..1, the label's. margin: float32 [n] in -1..1, by how much
    it exceeds the best other label's. predicted: int64 [n], the likeliest label."""

    probability: np.ndarray
    margin: np.ndarray
    predicted: np.ndarray


@dataclass(frozen=True)
class Skill:
    """What the scorer knows of real images that it has not seen: its accuracy, classes weighted alike, and chance."""

    accuracy: float
    chance: float

    def to_dict(self) -> dict[str, float]:
        """Plain numbers by name, for metrics."""
        return {"scorer_accuracy": self.accuracy, "scorer_chance": self.chance}

    @property
    def is_near_chance(self) -> bool:
        """Less than SKILLED of the way from chance to knowing every label."""
        return self.accuracy - self.chance < SKILLED * (1 - self.chance)

    @property
    def doubt(self) -> str | None:
        """What must be said of a scorer near chance; None of any other."""
        if not self.is_near_chance:
            return None
        return (
            f"The scorer knows little: it gives {100 * self.accuracy:.0f} % of held-out real images their label,"
            f" classes weighted alike, where chance gives {100 * self.chance:.0f} %. So its rules say little of whether"
            " a label is right, and figures in its features say little of quality."
        )


def measure_skill(predicted: np.ndarray, labels: np.ndarray, classes: int) -> Skill | None:
    """From the likeliest label int [n] and the true one int [n] of held-out real images; None without any."""
    if not len(labels):
        return None
    counts = np.bincount(labels, minlength=classes)
    right = np.bincount(labels[predicted == labels], minlength=classes)
    return Skill(float((right[counts > 0] / counts[counts > 0]).mean()), 1 / classes)


def score_labels(probabilities: np.ndarray, labels: np.ndarray) -> Agreement:
    """Of probabilities [n, K], K at least 2, and labels int [n]."""
    rows = np.arange(len(labels))
    own = probabilities[rows, labels]
    others = probabilities.copy()
    others[rows, labels] = -np.inf
    margin = own - others.max(axis=1)
    return Agreement(own.astype(np.float32), margin.astype(np.float32), probabilities.argmax(axis=1))
