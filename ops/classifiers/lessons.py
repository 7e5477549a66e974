"""What each step of a supervised training teaches: the parts of a batch, and the loss of each.

A batch is one part unless the arm treats real and generated images differently, or learns from images without labels
too. The parts know nothing of how a network computes their logits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from ops.classifiers.augmentations import AUGMENTATIONS
from ops.classifiers.consistency import Consistency
from ops.classifiers.data import TrainingSet, Views
from ops.classifiers.ingredients import Loss, Sampler, Training
from ops.classifiers.losses import LOSSES
from ops.classifiers.networks.classifier import Classifier
from ops.classifiers.networks.folding import fold_norms
from ops.classifiers.pairings import PAIRINGS
from ops.classifiers.samplers import SAMPLERS
from ops.classifiers.samplers.finishing import Finishing
from ops.classifiers.sampling import iterate_batches, weighted_pass
from ops.classifiers.targets import TARGETS
from ops.classifiers.unlabelled.fixmatch import Matching
from ops.classifiers.variants.replacing import Replacing, show
from ops.classifiers.visits import count_mixed
from ops.machine.precision import compute_in
from ops.recipe.ingredients.guidance import EmaConsistency
from ops.recipe.ingredients.losses import PlainLoss
from ops.recipe.ingredients.unlabelled import FixMatch
from ops.recipe.ingredients.variants import GitVariants


@dataclass(frozen=True)
class Part:
    """Images of a batch that are taught in the same way: float [m, C, H, W], and the loss of their logits [m, K]."""

    images: Tensor
    is_generated: bool
    find_loss: Callable[[Tensor], Tensor]


class Lessons:
    """What each step teaches: the parts of a batch, and the loss of each."""

    def __init__(self, training: Training, model: Classifier, precision: str) -> None:
        self.training, self.precision = training, precision
        data, arm, budget, device = training.data, training.arm, training.budget, training.device
        term = arm.consistency if isinstance(arm.consistency, EmaConsistency) else None
        # Where generated images are learnt from without their labels, only real ones have any.
        self.unlabelled_mark = term is not None and term.images == "generated"
        labelled = data.select(~data.marks) if self.unlabelled_mark else data
        self.data, self.rng = labelled, np.random.default_rng([training.seed, 1])
        kind = AUGMENTATIONS[arm.augmentation.kind]
        self.augment = augment = kind(arm.augmentation, data.shape[1:])
        self.views = Views(labelled, augment, device)
        self.pairing = PAIRINGS[arm.pairing.kind](arm.pairing, labelled, budget)
        self.sampler = self._build_sampler()
        self.batches: Iterator[np.ndarray] = iterate_batches(
            self.sampler.weights, budget.batch_size, budget.steps, training.seed
        )
        self.replacing = self._build_replacing()
        targets = TARGETS[arm.targets.kind]
        self.targets = targets(arm.targets, [self._answer_as_network(teach) for teach in training.teachers])
        self.taught = {mark: targets.covers(arm.targets, is_generated=mark) for mark in (False, True)}
        self.loss = self._build_loss()
        self.consistency = None if term is None else Consistency(
            term, data.select(data.marks == self.unlabelled_mark), model, augment,
            mirrors=kind.mirrors(arm.augmentation), labelled=budget.batch_size, steps=budget.steps,
            seed=training.seed, precision=precision, device=device,
        )  # fmt: skip
        self.matching = None
        if isinstance(arm.unlabelled, FixMatch):
            assert training.pool is not None, "the training was made for another arm"
            self.matching = Matching(
                arm.unlabelled, training.pool, model, augment, mirrors=kind.mirrors(arm.augmentation),
                labelled=budget.batch_size, seed=training.seed, precision=precision, device=device,
            )  # fmt: skip

    def prepare(self, step: int) -> list[Part]:
        """The parts of a step; their losses add up."""
        rows = next(self.batches)
        self.augment.advance(step / self.training.budget.steps)
        if self.replacing is None:
            parts = [self._prepare_labelled(chosen, len(chosen) / len(rows), step) for chosen in self._divide(rows)]
        else:  # all images are real, and so are treated in the same way
            choice = self.replacing.choose(rows, step)
            parts = [self._prepare_labelled(choice.rows, 1, step, show(self.data, choice))]
        if self.consistency is not None:
            consistency, unlabelled = self.consistency, self.consistency.look(step)
            term = partial(consistency.find_loss, unlabelled=unlabelled, step=step)
            parts.append(Part(unlabelled.views, self.unlabelled_mark, term))
        if self.matching is not None and (sure := self.matching.look(step)) is not None:
            parts.append(Part(sure.views, False, partial(self.matching.find_loss, sure=sure)))
        return parts

    def list_clean(self) -> Tensor:
        """Real training images uint8 [m, C, H, W], as the sampler shows them at the end, without augmentation."""
        weights = np.where(self.data.marks, 0.0, self.sampler.weights(self.training.budget.steps - 1))
        weights *= (~self.data.marks).sum() / weights.sum()
        return self.data.images[
            torch.from_numpy(weighted_pass(weights, np.random.default_rng([self.training.seed, 3])))
        ]

    def _answer_as_network(self, teach: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        """A teacher that computes in the precision of the training, and does not normalise where it need not."""
        if isinstance(teach, nn.Module):
            teach = fold_norms(teach, torch.bfloat16 if self.precision == "bf16" else torch.float32)

        def answer(images: Tensor) -> Tensor:
            with compute_in(self.precision, self.training.device):
                return teach(images)

        return answer

    def _build_sampler(self) -> Sampler:
        arm, budget, data = self.training.arm, self.training.budget, self.data

        def build(shown: TrainingSet) -> Sampler:
            return SAMPLERS[arm.sampler.kind](arm.sampler, shown, budget)

        if arm.finish == 0:
            return build(data)
        # At least one step shows all images, and at least one real ones alone.
        first = count_mixed(arm.finish, budget.steps)
        real = data.drop_weights(data.marks)
        # A pass over images that all weigh little, as beside many generated ones, might show none of them.
        real = replace(real, weights=real.weights / min(1.0, real.weights.max()))
        return Finishing(build(data), build(real), first)

    def _build_loss(self) -> Callable[[Tensor, Tensor, int], Tensor]:
        """The loss of labels. Classes are as large in it as in the images that it is shown: in the end real ones."""
        arm, budget, device = self.training.arm, self.training.budget, self.training.device
        shown = self.data
        if getattr(arm.targets, "weight", 0.0) == 1 and not all(self.taught.values()):
            shown = shown.drop_weights(shown.marks if self.taught[True] else ~shown.marks)

        def build(seen: TrainingSet) -> Loss:
            if not seen.weights.any():  # teachers label all that is shown, so it is not asked
                return LOSSES["plain"](PlainLoss(), self.data, self.sampler, budget, device)
            return LOSSES[arm.loss.kind](arm.loss, seen, self.sampler, budget, device)

        if arm.finish == 0:
            return build(shown)
        mixed, real, first = build(shown), build(shown.drop_weights(shown.marks)), count_mixed(arm.finish, budget.steps)
        return lambda logits, targets, step: (real if step >= first else mixed)(logits, targets, step)

    def _build_replacing(self) -> Replacing | None:
        settings, variants = self.training.arm.variants, self.data.variants
        if not isinstance(settings, GitVariants):
            return None
        assert variants is not None, "the training set was made for another arm"
        counts = variants.transform.count(variants.keys)
        return Replacing(settings, self.data, counts, self.sampler, self.training.budget, self.training.seed)

    def _divide(self, rows: np.ndarray) -> list[np.ndarray]:
        """The rows of a batch; real and generated ones apart where they are treated differently."""
        separate = self.training.arm.separate is not None
        if not separate and self.taught[False] == self.taught[True]:
            return [rows]
        marks = self.data.marks[rows]
        parts = [part for part in (rows[~marks], rows[marks]) if len(part)]
        # A single image has no statistics of its own to be normalised by.
        if len(parts) == 1 or not separate:
            return parts
        return [part for part in parts if len(part) > 1] or parts[:1]

    def _prepare_labelled(self, rows: np.ndarray, share: float, step: int, pixels: Tensor | None = None) -> Part:
        """Images of a batch with its `share` of them, and their loss; `pixels` as for `Views.look`."""
        is_generated = bool(self.data.marks[rows[0]])
        images, targets = self.views.look(rows) if pixels is None else self.views.look(rows, pixels)
        images, targets = self.pairing.pair(images, targets, self.views, step, self.rng)

        def find_loss(logits: Tensor) -> Tensor:
            def own() -> Tensor:
                return self.loss(logits, targets, step)

            loss = self.targets.find_loss(logits, images, own) if self.taught[is_generated] else own()
            return loss if share == 1 else share * loss

        return Part(images, is_generated, find_loss)
