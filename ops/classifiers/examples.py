"""The images that a side's arms learn from, and what becomes of them for one arm: weights, placebo, relabelled ones,
variants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ops.classifiers.data import TrainingSet, Variants
from ops.classifiers.placebos import PLACEBOS
from ops.classifiers.sampling import find_weight
from ops.classifiers.variants.randomised import Randomised
from ops.classifiers.variants.stored import Stored
from ops.classifiers.variants.transform import Composition, Transform
from ops.datasets.axes import to_nhwc
from ops.recipe.arms import NO_GENERATED, Arm
from ops.recipe.contrastive_arms import is_contrastive
from ops.recipe.ingredients.unlabelled import PseudoLabels
from ops.recipe.ingredients.variants import GitVariants, NoVariants
from ops.recipe.variants import shows_generated


@dataclass(frozen=True, eq=False)
class Examples:
    """A training set: images uint8 [n, C, H, W], labels int64 [n], weights float64 [n].

    A negative label stands for none: such an image weighs something for arms alone that learn without labels.
    `is_generated` bool [n] marks the generated images, to whose weight that of a real image is relative; None where
    all are real. `only_relabelled` bool [n] marks those of them that were rejected for their label alone: they are for
    arms that let a teacher label them. The rest is for arms that show variants. `ids` [n] are the images' keys.
    `parents` int64 [n] is the row of each generated image's parent, -1 for a real one. `is_seed` bool [n] marks the
    real images that variants were to be made of, for placebos; None where generated images have no parents, or no arm
    asks. `turns` int64 [n] are the places of the generated images within their class, in the order in which arms with
    a ratio of their own take them, -1 for a real one; None where there is no such arm. `live` draws variants in the
    training, and `oracle` draws the nuisance of the real images anew; None where that is not possible or no arm asks
    for it. `pool` uint8 [m, C, H, W] are the images without labels that a prior saw, `known` bool [m] marks those of
    them that are labelled training images too, and `prior` is the folder of that prior; None where no arm sees the
    pool.
    """

    images: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    is_generated: np.ndarray | None = None
    only_relabelled: np.ndarray | None = None
    ids: Sequence[str] = ()
    parents: np.ndarray | None = None
    is_seed: np.ndarray | None = None
    turns: np.ndarray | None = None
    live: Transform | None = None
    oracle: Transform | None = None
    pool: np.ndarray | None = None
    known: np.ndarray | None = None
    prior: Path | None = None

    @property
    def marks(self) -> np.ndarray:
        """Which images are generated, bool [n]."""
        return np.zeros(len(self.labels), bool) if self.is_generated is None else self.is_generated

    def weigh(self, arm: Arm) -> np.ndarray:
        """The weights of the images for an arm, float64 [n], with the arm's own real_weight or beta if it has one.

        Where generated images are variants, or left out by the controller, they weigh nothing, and every real one
        weighs 1, as without generated ones.
        """
        weights = self.weights
        if not is_contrastive(arm) and (self.labels < 0).any():
            weights = np.where(self.labels < 0, 0.0, weights)
        assert not isinstance(arm.real_weight, str), "the controller has not settled this arm"
        if self.is_generated is not None and (shows_generated(arm) or arm.beta == NO_GENERATED):
            return np.where(self.is_generated, 0.0, 1.0)
        if arm.real_weight is not None and self.is_generated is not None:
            weights = np.where(self.is_generated, weights, arm.real_weight)
        if self.only_relabelled is not None and not getattr(arm.targets, "relabel", False):
            weights = np.where(self.only_relabelled, 0.0, weights)
        if arm.ratio is not None:
            weights = np.where(self._find_surplus(arm.ratio), 0.0, weights)
        if arm.beta is not None and self.is_generated is not None:
            generated = float(weights[self.is_generated].sum())
            if generated > 0:  # of several generators one may have given no image
                real = find_weight(arm.beta, int((~self.is_generated).sum()), generated)
                weights = np.where(self.is_generated, weights, real)
        return weights

    def _find_surplus(self, ratio: float) -> np.ndarray:
        """Which generated images are more than `ratio` for each real one of their class, bool [n]."""
        assert self.turns is not None and self.is_generated is not None, "the examples were read for other arms"
        of_class = self.labels if self.labels.min() >= 0 else np.zeros_like(self.labels)  # without labels: one class
        real = np.bincount(of_class[~self.is_generated], minlength=of_class.max() + 1)
        return np.asarray(self.turns >= np.round(ratio * real)[of_class])

    def list_sizes(self, arm: Arm) -> list[np.ndarray]:
        """The sizes of the classes that the arm's sampler and loss meet, float64 [K] each, as `TrainingSet.counts`.

        First those of the images that it learns from with their labels. If it ends on real images alone, also those.
        """
        weights = self.weigh(arm)
        real = weights if self.is_generated is None else np.where(self.is_generated, 0.0, weights)
        if getattr(arm.consistency, "images", None) == "generated":
            weights = real
        met, named = [weights, real] if arm.finish else [weights], self.labels >= 0
        return [np.bincount(self.labels[named], weights=each[named]) / each.max() for each in met]

    def find_pool(self, arm: Arm) -> np.ndarray:
        """The images without labels that an arm learns from.

        An image that is labelled needs no pseudo-label. FixMatch takes it as one of the pool, as in the paper.
        """
        assert self.pool is not None, "the examples were read for other arms"
        if self.known is None or not isinstance(arm.unlabelled, PseudoLabels):
            return self.pool
        return self.pool[~self.known]

    def build_set(self, arm: Arm, classes: int, seed: int) -> TrainingSet:
        """The images that an arm learns from; `seed` is that of its placebo, and of RandAugment's variants."""
        # A placebo takes the place of stored variants, so it is drawn while these are rows like the others.
        weights = self.weigh(arm.model_copy(update={"variants": NoVariants()}))
        rows = np.flatnonzero(weights > 0)
        images, labels, marks, seeds = self.images, self.labels, self.is_generated, self.is_seed
        if len(rows) < len(weights):
            images, labels, weights = images[rows], labels[rows], weights[rows]
            marks, seeds = (None if each is None else each[rows] for each in (marks, seeds))
        if arm.placebo.kind != "none":
            assert marks is not None, "a placebo stands for generated images"
            if marks.any():  # of several generators one may have given no image
                images = PLACEBOS[arm.placebo.kind](arm.placebo, images, labels, marks, seed, seeds)
        if isinstance(arm.variants, GitVariants):
            marked = np.zeros(len(rows), bool) if marks is None else marks
            transform = self._find_transform(arm.variants, images[marked], rows[marked], seed)
            variants = Variants(transform, [self.ids[row] for row in rows[~marked]])
            shown, taught = torch.from_numpy(images[~marked]), torch.from_numpy(labels[~marked])
            return TrainingSet(shown, taught, np.ones(len(taught)), classes, None, variants)
        return TrainingSet(torch.from_numpy(images), torch.from_numpy(labels), weights, classes, marks)

    def _find_transform(self, settings: GitVariants, pool: np.ndarray, rows: np.ndarray, seed: int) -> Transform:
        """What makes the variants; pool: the generated images uint8 [m, C, H, W], and their rows [m]."""
        members = list[Transform]()
        for member in settings.by:
            if member == "randaugment":
                members.append(Randomised(settings.strength, settings.operations, seed))
            elif member == "oracle":
                assert self.oracle is not None, "only a study has the images from before a nuisance"
                members.append(self.oracle)
            elif settings.source == "drawn":
                assert self.live is not None, "the examples were read for other arms"
                members.append(self.live)
            else:
                assert self.parents is not None, "the examples were read for other arms"
                members.append(Stored(to_nhwc(pool), [self.ids[parent] for parent in self.parents[rows]]))
        return members[0] if len(members) == 1 else Composition(tuple(members))
