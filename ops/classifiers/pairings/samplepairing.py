"""SamplePairing (Inoue 2018): each image averaged with one of the whole training set at times; its label stays."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from torch import Tensor

from ops.classifiers.blending import Partners, Schedule, samplepairing
from ops.classifiers.data import TrainingSet, Views
from ops.classifiers.ingredients import Budget, Pairing
from ops.recipe.ingredients.pairings import SamplePairing


class AveragedPairs(Pairing):
    """Partners come from the images that the arm trains on, in proportion to their weights, and are augmented too.

    Weights stand for copies, as in AdaInf: with N = 10 a real image is a partner ten times as often as a generated one.
    The sampler has no influence. A step has the phase in which it begins.
    """

    def __init__(self, settings: SamplePairing, data: TrainingSet, budget: Budget) -> None:
        self.schedule = Schedule(settings.start, settings.until, settings.on_for, settings.off_for)
        self.step_length = Fraction(str(settings.total)) / budget.steps  # in the schedule's unit
        self.partners = Partners(data.labels.numpy(), data.weights, settings.partner)

    def pair(
        self, images: Tensor, targets: Tensor, views: Views, step: int, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        if not self.schedule.is_on(step * self.step_length):
            return images, targets
        others, _ = views.look(self.partners.draw(targets.argmax(1).cpu().numpy(), rng))
        return samplepairing(images, targets, others)
