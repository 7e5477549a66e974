"""Which images of a batch are shown as variants (Zhou et al. 2022, algorithm 1), and the pixels of such a batch.

A batch of B rows has g = int(p B) places for variants, its last ones; batches are shuffled. A place that shows an image
of class c has the chance q(c). Whether a variant is shown follows from a random stream of its own, so with all chances
0 a training equals one without variants, bit by bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ops.classifiers.data import TrainingSet
from ops.classifiers.ingredients import Budget, Sampler
from ops.classifiers.sampling import iterate_batches
from ops.errors import UserError
from ops.recipe.ingredients.variants import GitVariants, find_chances


@dataclass(frozen=True, eq=False)
class Choice:
    """What a batch shows: int64 rows [m], whether each is shown as a variant, bool [m], and as which, int64 [m].

    The number of a variant is how often its image was replaced before in this training; 0 where the image itself is
    shown.
    """

    rows: np.ndarray
    marks: np.ndarray
    uses: np.ndarray


class Replacing:
    """The choices of one training, step after step."""

    def __init__(
        self,
        settings: GitVariants,
        data: TrainingSet,
        counts: np.ndarray,
        sampler: Sampler,
        budget: Budget,
        seed: int,
    ) -> None:
        """data: real images alone. counts: variants that there are of each image, int64 [n].

        UserError where `share` of a batch is less than one image, or no class has fewer images than `below`.
        """
        labels = data.labels.numpy()
        try:
            settings.check_batch(budget.batch_size)
            by_class = find_chances(np.bincount(labels, minlength=data.classes), settings)
        except ValueError as error:
            raise UserError(f"variants: {error}") from None
        self.g, self.first = settings.count_places(budget.batch_size), settings.first_step(budget.steps)
        self.q = np.where(counts > 0, by_class[labels], 0.0)
        self.rng = np.random.default_rng([seed, 6])
        self.others = None
        if settings.draws == "independent":
            self.others = iterate_batches(sampler.weights, self.g, budget.steps, [seed, 7])
        self.used = np.zeros(len(labels), np.int64)

    def choose(self, rows: np.ndarray, step: int) -> Choice:
        """The choice for a step whose batch has the rows int64 [B]; steps are asked for in their order."""
        chances = self.rng.random(self.g)  # also where nothing can be replaced, so that streams do not depend on K
        places = slice(len(rows) - self.g, None)
        candidates = rows[places] if self.others is None else next(self.others)
        shown, marks, uses = rows.copy(), np.zeros(len(rows), bool), np.zeros(len(rows), np.int64)
        if step >= self.first:
            replaced = chances < self.q[candidates]
            marks[places] = replaced
            shown[places] = np.where(replaced, candidates, rows[places])
            for place in np.flatnonzero(marks):
                uses[place] = self.used[shown[place]]
                self.used[shown[place]] += 1
        return Choice(shown, marks, uses)


def show(data: TrainingSet, choice: Choice) -> Tensor | None:
    """The pixels of a choice, uint8 [m, C, H, W]; None where it shows no variant."""
    if not choice.marks.any():
        return None
    assert data.variants is not None
    pixels = data.images[torch.from_numpy(choice.rows)]
    marked = torch.from_numpy(choice.marks)
    keys = [data.variants.keys[row] for row in choice.rows[choice.marks]]
    own = np.ascontiguousarray(pixels[marked].permute(0, 2, 3, 1).numpy())
    changed = data.variants.transform.apply(own, keys, choice.uses[choice.marks])
    pixels[marked] = torch.from_numpy(changed).permute(0, 3, 1, 2)
    return pixels
