"""Whether the scorer knows the task: its accuracy on the seed images, and whether that is more than chance.

A gradient of a scorer that guesses is noise with a purpose. The published medical runs were guided by a zero-shot CLIP
near chance. Accuracy alone does not tell: with 9 of 10 images in one class, 90 % is what a constant answer gets. So the
decision rests on the skill, Cohen's kappa: the share of the way from the agreement that the same answers would have by
accident to perfect agreement.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ops.statistics.proportions import estimate_share

LEAST_SKILL = 0.1  # the interval's lower end; below it, the scorer is near chance


@dataclass(frozen=True)
class ScorerCheck:
    """What a scorer is worth on seed images.

    counts : seed images of each class. accuracy : of each class, in 0..1, and None for one without seed images.
    overall : accuracy over all seed images. chance : what the same answers would get if they had nothing to do with the
    labels. skill, low : (overall - chance) / (1 - chance), and the lower end of its 95 % interval.
    """

    counts: tuple[int, ...]
    accuracy: tuple[float | None, ...]
    overall: float
    chance: float
    skill: float
    low: float

    @property
    def is_near_chance(self) -> bool:
        """Whether guidance by this scorer should be off unless it is forced."""
        return self.low < LEAST_SKILL

    def list_weak(self) -> list[int]:
        """The classes in which most seed images are named wrongly: there, its prediction pulls to a wrong class."""
        return [label for label, share in enumerate(self.accuracy) if share is not None and share < 0.5]

    def describe(self) -> str:
        """One sentence without a full stop."""
        told = (
            f"the scorer names {100 * self.overall:.1f} % of {sum(self.counts)} seed images rightly, and"
            f" {100 * self.chance:.1f} % would be chance"
        )
        return f"{told}: it is near chance, so guidance by it is noise" if self.is_near_chance else told


def check_scorer(predictions: np.ndarray, labels: np.ndarray, classes: int) -> ScorerCheck:
    """The check of predictions int [n] on seed images with labels int [n], both in 0..classes - 1; n >= 1.

    The interval is Wilson's for the accuracy, with chance as it was found (Cohen 1960 for the skill).
    """
    if len(labels) == 0 or len(predictions) != len(labels):
        raise ValueError(f"{len(predictions)} predictions do not fit {len(labels)} labels, or there are none")
    right = predictions == labels
    counts = np.bincount(labels, minlength=classes)
    hits = np.bincount(labels[right], minlength=classes)
    answered = np.bincount(predictions, minlength=classes)
    chance = float((counts / len(labels)) @ (answered / len(labels)))
    overall = estimate_share(int(right.sum()), len(labels))
    accuracy = tuple(float(hit / count) if count else None for hit, count in zip(hits, counts, strict=True))
    # With one class in labels and answers nothing can be told from chance.
    skill, low = ((value - chance) / (1 - chance) if chance < 1 else 0.0 for value in (overall.estimate, overall.low))
    return ScorerCheck(tuple(int(n) for n in counts), accuracy, overall.estimate, chance, skill, low)
