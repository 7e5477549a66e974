"""Simulated arms with known true scores; their answers to made-up test images are modelled on the demo's networks.

Whether network s of arm a is right on image i of class c is a threshold on a sum of normal variables (a probit model):

    mean of (a, c)  +  seed effect of (a, s, c)  +  generator effect of (g, c)  +  difficulty of i for all arms
    + for arms that learn alike  + for arm a  + chance of (a, s, i)  >  0

Shares of the image's variance, accuracies of the classes and the variation of seeds were estimated from the demo's 35
networks (7 arms, 5 seeds, 10,000 images). Two networks of one arm agree with a tetrachoric correlation of .94, of arms
that learn alike .93, of others .80 to .86; seeds differ mostly class by class (1.2 to 3.2 points per class, beyond
chance). The same networks answer validation images, so a lucky seed is lucky in both. Means are set so that an arm's
expected accuracy is exact, however much its seeds vary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from ops.recipe.design import Metric
from ops.verdict.records import Kind

FloatArray = npt.NDArray[np.float64]

# Accuracy of each class for the demo's best arm.
CLASS_ACCURACIES = (0.84, 0.96, 0.78, 0.84, 0.76, 0.93, 0.50, 0.93, 0.955, 0.94)
# Variance on an image that is shared by all networks, by networks of arms that learn alike, by networks of one arm.
ALL_ARMS, ALIKE, SAME_ARM = 0.78, 0.9025, 0.922


@dataclass(frozen=True)
class SimulatedArm:
    """gap: accuracy minus the best arm's. seed_sd: of seeds, in accuracy. family: arms of one family learn alike."""

    name: str
    kind: Kind
    family: int
    gap: float
    seed_sd: float


@dataclass(frozen=True)
class Drawn:
    """One simulated experiment: answers bool [arms, S, n] to test images and to validation images, with labels."""

    test: npt.NDArray[np.bool_]
    labels: npt.NDArray[np.int64]
    validation: npt.NDArray[np.bool_]
    validation_labels: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Simulation:
    """Arms over classes that hold `shares` of the images (equal where None); generators vary by `generator_sd`."""

    arms: Sequence[SimulatedArm]
    shares: Sequence[float] | None = None
    generator_sd: float = 0.0
    class_accuracies: Sequence[float] = field(default=CLASS_ACCURACIES)

    @cached_property
    def class_shares(self) -> FloatArray:
        shares = np.ones(len(self.class_accuracies)) if self.shares is None else np.asarray(self.shares, np.float64)
        return shares / shares.sum()

    @cached_property
    def truth(self) -> FloatArray:
        """Expected accuracy per arm and class, float64 [arms, C], over images, seeds and generators."""
        return ndtr(self._means)

    def score(self, metric: Metric) -> FloatArray:
        """Each arm's true score, float64 [arms]."""
        if metric == "accuracy":
            return np.asarray(self.truth @ self.class_shares)
        return self.truth.mean(axis=1) if metric == "balanced_accuracy" else self.truth.min(axis=1)

    def draw(
        self, rng: np.random.Generator, *, seeds: int, images: int, validation: int = 1000, generators: int = 1
    ) -> Drawn:
        """Train `seeds` networks of each arm, seed s with generator s mod `generators`, and let them answer."""
        networks = rng.standard_normal((len(self.arms), seeds, len(self.class_shares))) * self._seed_sd[:, None, None]
        drawn = rng.standard_normal((generators, len(self.class_shares))) * self._generator_sd
        networks += self._expanded[:, None, None] * drawn[np.arange(seeds) % generators]
        networks += (self._means * self._widths)[:, None, :]
        labels, validation_labels = self._label(rng, images), self._label(rng, validation)
        return Drawn(
            self._answer(rng, networks, labels),
            labels,
            self._answer(rng, networks, validation_labels),
            validation_labels,
        )

    def _label(self, rng: np.random.Generator, images: int) -> npt.NDArray[np.int64]:
        """Labels int [images]; any first part of them has about the same shares of classes."""
        counts = np.maximum(np.round(self.class_shares * images), 1).astype(int)
        counts[counts.argmax()] += images - counts.sum()
        places = np.concatenate([(np.arange(count) + rng.random()) / count for count in counts])
        return np.repeat(np.arange(len(counts)), counts)[np.argsort(places, kind="stable")]

    def _answer(
        self, rng: np.random.Generator, networks: FloatArray, labels: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        arms, seeds, _ = networks.shape

        def vary(variance: float, *shape: int) -> npt.NDArray[np.float32]:
            return rng.standard_normal((*shape, len(labels)), dtype=np.float32) * np.float32(variance**0.5)

        common = vary(ALL_ARMS)
        families = {family: common + vary(ALIKE - ALL_ARMS) for family in sorted({arm.family for arm in self.arms})}
        answers = np.empty((arms, seeds, len(labels)), dtype=np.bool_)
        for a, arm in enumerate(self.arms):
            strength = families[arm.family] + vary(SAME_ARM - ALIKE) + vary(1.0 - SAME_ARM, seeds)
            answers[a] = strength > -networks[a].astype(np.float32)[:, labels]
        return answers

    @cached_property
    def _slopes(self) -> FloatArray:
        """Accuracy per unit of the probit scale, float64 [C], at the best arm's class accuracies."""
        return np.exp(-(ndtri(self.class_accuracies) ** 2) / 2) / (2 * np.pi) ** 0.5

    @cached_property
    def _means(self) -> FloatArray:
        shift = np.array([arm.gap for arm in self.arms]) / (self.class_shares * self._slopes).sum()
        return np.asarray(ndtri(self.class_accuracies) + shift[:, None])

    @cached_property
    def _seed_sd(self) -> FloatArray:
        """On the probit scale, so that independent effects of the classes add up to the arm's sd in accuracy."""
        return np.array([arm.seed_sd for arm in self.arms]) / self._spread

    @cached_property
    def _generator_sd(self) -> float:
        return self.generator_sd / self._spread

    @property
    def _spread(self) -> float:
        return float(((self.class_shares * self._slopes) ** 2).sum() ** 0.5)

    @cached_property
    def _expanded(self) -> FloatArray:
        return np.array([float(arm.kind == "expanded") for arm in self.arms])

    @cached_property
    def _widths(self) -> FloatArray:
        """Factors of the means, float64 [arms, 1]: without them, varying networks would be right less often."""
        return np.sqrt(1.0 + self._seed_sd**2 + self._expanded * self._generator_sd**2)[:, None]
