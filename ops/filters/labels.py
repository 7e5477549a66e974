"""How well the scorer's probabilities agree with an image's label, and how accurate the scorer is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MIN_SKILL = 0.25  # of the way from chance to perfect accuracy; a scorer below it is near chance


@dataclass(frozen=True, eq=False)
class Agreement:
    """One value per image. probability: float32 [n] in 0..1, of the image's label. margin: float32 [n] in -1..1, that
    probability minus the highest one of another label. predicted: int64 [n], the likeliest label."""

    probability: np.ndarray
    margin: np.ndarray
    predicted: np.ndarray


@dataclass(frozen=True)
class Skill:
    """The scorer's balanced accuracy on real images that it has not seen, and that of chance."""

    accuracy: float
    chance: float

    @property
    def is_near_chance(self) -> bool:
        """Whether accuracy is less than MIN_SKILL of the way from chance to 1."""
        return self.accuracy - self.chance < MIN_SKILL * (1 - self.chance)

    @property
    def doubt(self) -> str | None:
        """A warning for users if the scorer is near chance, else None."""
        if not self.is_near_chance:
            return None
        return (
            f"The scorer is weak: it labels {100 * self.accuracy:.0f} % of held-out real images correctly, classes"
            f" weighted equally, where chance gives {100 * self.chance:.0f} %. Its rules are therefore unreliable about"
            " labels, and figures in its features are unreliable about quality."
        )


def measure_skill(predicted: np.ndarray, labels: np.ndarray, classes: int) -> Skill | None:
    """The skill from predicted and true labels, both int [n], of held-out real images; None without images."""
    if not len(labels):
        return None
    counts = np.bincount(labels, minlength=classes)
    right = np.bincount(labels[predicted == labels], minlength=classes)
    return Skill(float((right[counts > 0] / counts[counts > 0]).mean()), 1 / classes)


def score_labels(probabilities: np.ndarray, labels: np.ndarray) -> Agreement:
    """The agreement of probabilities [n, K], K at least 2, with labels int [n]."""
    rows = np.arange(len(labels))
    own = probabilities[rows, labels]
    others = probabilities.copy()
    others[rows, labels] = -np.inf
    margin = own - others.max(axis=1)
    return Agreement(own.astype(np.float32), margin.astype(np.float32), probabilities.argmax(axis=1))
