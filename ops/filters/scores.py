"""The scores of generated images: all the numbers that rules compare with thresholds.

A score depends on its image, its label and the images of its class drawn before it. It does not change when more images
are drawn, nor with the batch. Held-out real images are scored in the same way, to calibrate the rules. A variant's
distance to its own parent is a score apart from its distance to all other training images, and the variant is judged
by the one network that did not see its parent. Each score is defined in its own module; thresholds are not known here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ops.filters.labels import score_labels
from ops.filters.looks import measure_looks
from ops.filters.naturalness import fit_naturalness, measure_naturalness
from ops.filters.typicality import fit_typicality, measure_typicality
from ops.judging.scorer import Scorer
from ops.likeness.copies import Nearness, References, find_distinct, fit_references, measure_nearness, measure_parents

Scores = dict[str, np.ndarray]  # by name, one value per image; NaN where unknown


@dataclass(frozen=True)
class ExternalNetworks:
    """Functions of uint8 images [n, C, H, W] by networks trained elsewhere; None: the recipe names none.

    clip: probabilities [n, K] of the classes. safety: probability [n] that the image is unsafe.
    """

    clip: Callable[[Tensor], np.ndarray] | None = None
    safety: Callable[[Tensor], np.ndarray] | None = None


@dataclass(eq=False)
class SeenImages:
    """The images scored so far, in the order in which they were drawn: uint8 [n, C, H, W] with labels int [n]."""

    images: Tensor | None = None
    labels: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

    def add(self, images: Tensor, labels: np.ndarray) -> None:
        self.images = images if self.images is None else torch.cat([self.images, images])
        self.labels = np.concatenate([self.labels, labels])


class ScoreComputer:
    """Computes scores from the scorer, the real images and the images seen before.

    Parameters
    ----------
    scorer : the cross-fitted networks; `folds` int [n] is the network that each training image was held out from.
    train : real training images, uint8 [n, C, H, W], with `labels` int [n].
    held_out : the real images that classifiers are evaluated on, of the same shape.
    varied : whether the generated images are variants of training images. If so, duplicates among the training images
        count as one: a second copy of the parent is the parent too. Held-out real images are then judged by one
        network each, as variants are; the networks whose folds contain the label take turns.
    """

    def __init__(
        self,
        scorer: Scorer,
        train: Tensor,
        labels: np.ndarray,
        folds: np.ndarray,
        held_out: Tensor,
        networks: ExternalNetworks,
        *,
        varied: bool = False,
    ) -> None:
        self._scorer = scorer
        self._typical = fit_typicality(scorer, train, labels, folds)
        self._natural = fit_naturalness(train)
        self._labels, self._folds, self._varied = labels, folds, varied
        # The rows of `train` that are references, and for each row of `train` its reference.
        self._rows = self._places = np.arange(len(train))
        if varied:
            self._rows, self._places = find_distinct(train)
        self._train = fit_references(train[torch.from_numpy(self._rows)] if varied else train)
        self._held_out = fit_references(held_out)
        self._networks = networks

    def compute(
        self,
        images: Tensor,
        labels: np.ndarray,
        seen: SeenImages,
        parents: np.ndarray | None = None,
        flagged: np.ndarray | None = None,
    ) -> Scores:
        """All scores of uint8 images [n, C, H, W] with labels int [n]; the images are then added to `seen`.

        `parents` int64 [n] are the training rows of the variants' parents. `flagged` bool [n] is what a safety checker
        of the generator's own has said, and becomes a score. ValueError where parents are missing, or given for images
        that are not variants.
        """
        if (parents is not None) != self._varied:
            raise ValueError("variants need their parents, and other images have none")
        networks = None if parents is None else self._folds[parents]
        own = None if parents is None else self._places[parents]
        scores, (leaks,) = self._compute(images, labels, seen, [self._held_out], networks, own)
        if own is not None:
            scores["parent_distance"] = measure_parents(self._train, images, own)
        if flagged is not None:
            scores["flagged"] = flagged
        return scores | {
            "held_out_distance": leaks.distance,
            "nearest_held_out": leaks.nearest,
            "copy_of_held_out": leaks.exact,
        }

    def compute_real(self, images: Tensor, labels: np.ndarray) -> Scores:
        """The scores that calibrate the rules, of real images that neither scorer nor generator has seen.

        ValueError for a label without training images.
        """
        networks = _take_turns(labels, self._labels, self._folds) if self._varied else None
        return self._compute(images, labels, SeenImages(), [], networks, None)[0]

    def _compute(
        self,
        images: Tensor,
        labels: np.ndarray,
        seen: SeenImages,
        others: list[References],
        networks: np.ndarray | None,
        own: np.ndarray | None,
    ) -> tuple[Scores, list[Nearness]]:
        """The scores, and apart from them the nearness to each of `others`.

        networks: int [n], the network that judges each image; None: all. own: int64 [n], each image's parent, by its
        place among the references.
        """
        probabilities, features = self._scorer.examine(images, networks)
        agreement = score_labels(probabilities, labels)
        looks = measure_looks(images)
        copies, leaks, repeats = measure_nearness(
            images, labels, self._train, others, earlier=seen.images, earlier_labels=seen.labels, other_than=own
        )
        seen.add(images, labels)
        scores = {
            **self._score_externally(images, labels),
            "contrast": looks.contrast,
            "structure": looks.structure,
            "saturation": looks.saturated,
            "label_probability": agreement.probability,
            "label_margin": agreement.margin,
            "predicted": agreement.predicted,
            "typicality": measure_typicality(self._typical, features, labels),
            "naturalness": measure_naturalness(self._natural, images),
            "train_distance": copies.distance,
            "nearest_train": np.where(copies.nearest >= 0, self._rows[copies.nearest], -1),
            "copy_of_train": copies.exact,
            "generated_distance": repeats.distance,
            "nearest_generated": repeats.nearest,
            "repeat": repeats.exact,
        }
        return scores, leaks

    def _score_externally(self, images: Tensor, labels: np.ndarray) -> Scores:
        """The scores of the external networks."""
        unknown = np.full(len(labels), np.nan, np.float32)
        clip, safety = self._networks.clip, self._networks.safety
        return {
            "clip_agreement": unknown if clip is None else clip(images)[np.arange(len(labels)), labels],
            "unsafe_probability": unknown if safety is None else safety(images).astype(np.float32),
        }


def _take_turns(labels: np.ndarray, train_labels: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """The network that judges each real image, int64 [n]: a label's images go in turn to the networks that know it.

    A network knows the labels of the training images in its fold. A class may have fewer images than there are folds.
    """
    networks = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        holders, rows = np.unique(folds[train_labels == label]), np.flatnonzero(labels == label)
        if not len(holders):
            raise ValueError(f"label {label} has no training images")
        networks[rows] = holders[rows % len(holders)]
    return networks
