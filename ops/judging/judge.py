"""The judge: the quality of a set of generated labelled images, in the features of the cross-fitted scorer.

Images are compared with real images of the validation split; no test image is used. Each of the scorer's networks has
its own features, so every number is computed per network and averaged. These networks also choose which images are
accepted, so accepted images score better here than they are. The judge therefore compares generators, steps and number
formats; whether images help is the verdict's question. It knows nothing of generators or recipes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ops.datasets.axes import to_nchw
from ops.likeness.copies import References, find_distinct, fit_references, measure_copies
from ops.metrics.frechet import Gaussian, fit_gaussian, frechet_distance
from ops.metrics.manifold import NEIGHBOURS, Manifold, compare_manifolds, fit_manifold
from ops.metrics.shares import weigh_shares

if TYPE_CHECKING:
    from ops.datasets.pixels import PixelDataset
    from ops.judging.scorer import Scorer


@dataclass(frozen=True)
class Quality:
    """The judge's metrics; `Judge` explains them. Shares lie in 0..1.

    images: the number of generated images. frechet: FD_scorer to the held-out real images, 0 or more, lower is better.
    floor: the same of real training images, which a perfect generator would reach. consistency: share of images whose
    label is the scorer's first choice. precision, recall, density, coverage: see `ops.metrics.manifold`.
    copies: share of near copies of training images. copies_held_out: that share among the held-out real images, which
    are not memorised by any generator.
    """

    images: int
    frechet: float
    floor: float
    consistency: float
    precision: float
    recall: float
    density: float
    coverage: float
    copies: float
    copies_held_out: float

    def to_dict(self) -> dict[str, int | float]:
        """Plain numbers by name, for JSON."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class _RealFeatures:
    """The features of real images by one network: the held-out ones, and the training images that it did not see.

    unseen: float32 [m, d]; unseen_labels: int [m]; weights: float [m] that give them the held-out images' class shares,
    or None where they have these.
    """

    held_out: Gaussian
    manifold: Manifold
    unseen: np.ndarray
    unseen_labels: np.ndarray
    weights: np.ndarray | None


class Judge:
    """Measures generated images against held-out real ones; the same images give the same numbers.

    Fréchet distances are biased upward, more for fewer images: between a few hundred real images and as many others
    they are far from 0. Hence `floor`, and equal counts on both sides. All distances are means over groups of m images;
    m is the size of the smallest fold or the number of generated images, whichever is less. A fold is all the real
    images that a network can judge without having been trained on them. Without groups, generated images would score
    better only because there are more of them. A group has the class shares of its set, by label if real, by the
    scorer's first choice if generated. The held-out set is the same throughout and is never divided.

    The distance depends strongly on class shares: give generated images those of the held-out ones, or compare only
    sets of the same shares with each other and none with the floor. The floor's images are weighted to these shares
    where they have others, as in a long tail whose validation images are balanced; a class that has few of them makes
    it higher than a perfect generator's distance all the same.

    A variant of a training image is judged only by the network that did not see its parent; distances and overlaps are
    those of each network's own variants. Nearness of a variant to its own parent does not count as copying.

    With fewer than 6 images on a side, balls reach to the farthest neighbour instead of the 5th.

    Parameters
    ----------
    scorer : the cross-fitted networks.
    train : real training images, uint8 [n, C, H, W].
    train_labels : int [n]; they give the floor's groups the class shares of the whole.
    held_out : real images that no network saw, uint8 [m, C, H, W], m at least 2.
    folds : int [n], the fold of each training image, as the scorer was trained.
    held_out_labels : int [m]; None: in the class shares of the training images.
    copy_limit : an image below this relative distance (`ops.likeness.copies`) is a near copy.

    Raises ValueError where shapes do not fit, or where the held-out set or a fold has fewer than 2 images.
    """

    def __init__(
        self,
        scorer: Scorer,
        train: Tensor,
        train_labels: np.ndarray,
        held_out: Tensor,
        *,
        folds: np.ndarray,
        held_out_labels: np.ndarray | None = None,
        copy_limit: float = 0.5,
    ) -> None:
        if not len(train) == len(train_labels) == len(folds):
            raise ValueError(f"{len(train)} training images have {len(train_labels)} labels and {len(folds)} folds")
        if len(held_out) < 2:
            raise ValueError(f"the held-out set has {len(held_out)} images; at least 2 are needed to measure against")
        self._shape = _check_images(train, "training", tuple(train.shape[1:]))
        _check_images(held_out, "held-out", self._shape)
        sizes = np.bincount(folds, minlength=len(scorer.models))
        if len(sizes) != len(scorer.models) or sizes.min() < 2:
            raise ValueError(
                f"the folds have {sizes.tolist()} images; each of {len(scorer.models)} networks needs 2 or more"
            )
        self._scorer = scorer
        self._fold_size = int(sizes.min())
        self._real = []
        for fold, features in enumerate(scorer.features(held_out)):
            manifold = fit_manifold(features, min(NEIGHBOURS, len(held_out) - 1))
            rows = np.flatnonzero(folds == fold)
            unseen = scorer.fold_features(fold, train[torch.from_numpy(rows)])
            labels = np.asarray(train_labels)[rows]
            weights = None if held_out_labels is None else weigh_shares(labels, held_out_labels)
            self._real.append(_RealFeatures(fit_gaussian(features), manifold, unseen, labels, weights))
        self._floors: dict[int, float] = {}
        self._train, self._folds = train, folds
        self._references = fit_references(train)
        self._copy_limit = copy_limit
        self._copies_held_out = self._share_copies(held_out)

    def measure(self, images: Tensor, labels: np.ndarray, parents: np.ndarray | None = None) -> Quality:
        """All metrics of generated images uint8 [n, C, H, W] with labels int [n].

        `parents` int [n] are the variants' parents, by training row. ValueError for fewer than 2 images, another shape
        than that of the real ones, another number of labels, or if no network has 2 variants to judge.
        """
        self._check_generated(images)
        if len(labels) != len(images):
            raise ValueError(f"{len(images)} generated images have {len(labels)} labels")
        networks = None if parents is None else self._folds[parents]
        probabilities, features = self._scorer.examine(images, networks)
        choices = probabilities.argmax(axis=1)
        seen = self._divide(features, choices, networks)
        overlaps = [
            compare_manifolds(real.manifold, fit_manifold(found, min(NEIGHBOURS, len(found) - 1)))
            for real, found, _ in seen
        ]
        return Quality(
            images=len(images),
            frechet=self._find_frechet(seen),
            floor=self._find_floor(min(len(found) for _, found, _ in seen)),
            consistency=float((choices == labels).mean()),
            precision=float(np.mean([overlap.precision for overlap in overlaps])),
            recall=float(np.mean([overlap.recall for overlap in overlaps])),
            density=float(np.mean([overlap.density for overlap in overlaps])),
            coverage=float(np.mean([overlap.coverage for overlap in overlaps])),
            copies=self._share_copies(images) if parents is None else self._share_copies_of_others(images, parents),
            copies_held_out=self._copies_held_out,
        )

    def frechet(self, images: Tensor, parents: np.ndarray | None = None) -> float:
        """`Quality.frechet` alone, of uint8 images [n, C, H, W], n at least 2; ValueError as in `measure`.

        `parents` int [n] are the variants' parents, by training row.
        """
        self._check_generated(images)
        networks = None if parents is None else self._folds[parents]
        probabilities, features = self._scorer.examine(images, networks)
        return self._find_frechet(self._divide(features, probabilities.argmax(axis=1), networks))

    def _check_generated(self, images: Tensor) -> None:
        _check_images(images, "generated", self._shape)
        if len(images) < 2:
            raise ValueError(f"there are {len(images)} generated images; at least 2 are needed to measure a set")

    def _divide(
        self, features: list[np.ndarray], choices: np.ndarray, networks: np.ndarray | None
    ) -> list[tuple[_RealFeatures, np.ndarray, np.ndarray]]:
        """Per network: its real features, and the features and first choices of the images that it judges.

        These are all images, or the variants whose parents it did not see.
        """
        divided = []
        for fold, (real, found) in enumerate(zip(self._real, features, strict=True)):
            own = slice(None) if networks is None else networks == fold
            if len(found[own]) >= 2:
                divided.append((real, found[own], choices[own]))
        if not divided:
            raise ValueError("no network has 2 variants to judge whose parents it did not see")
        return divided

    def _find_frechet(self, seen: list[tuple[_RealFeatures, np.ndarray, np.ndarray]]) -> float:
        size = min(self._fold_size, *(len(found) for _, found, _ in seen))
        return float(np.mean([_mean_distance(found, chosen, size, real.held_out) for real, found, chosen in seen]))

    def _find_floor(self, count: int) -> float:
        size = min(count, self._fold_size)
        if size not in self._floors:
            self._floors[size] = float(
                np.mean([_mean_distance(r.unseen, r.unseen_labels, size, r.held_out, r.weights) for r in self._real])
            )
        return self._floors[size]

    def _share_copies(self, images: Tensor) -> float:
        return float((measure_copies(self._references, images).distance < self._copy_limit).mean())

    def _share_copies_of_others(self, images: Tensor, parents: np.ndarray) -> float:
        """The share of near copies of a training image other than the parent; duplicates count as one image."""
        references, places = self._distinct
        found = measure_copies(references, images, other_than=places[parents])
        return float((found.distance < self._copy_limit).mean())

    @cached_property
    def _distinct(self) -> tuple[References, np.ndarray]:
        """The distinct training images, and for each training image its place among these, int64 [n]."""
        rows, places = find_distinct(self._train)
        distinct = rows.size == len(self._train)
        return self._references if distinct else fit_references(self._train[torch.from_numpy(rows)]), places


def build_judge(scorer: Scorer, train: PixelDataset, held_out: PixelDataset) -> Judge:
    """The judge with a scorer, its training images and held-out images to compare with.

    `train` are the images that the scorer was trained on, in their order. Raises as `Judge` does.
    """
    images = _to_tensor(train), train.labels, _to_tensor(held_out)
    return Judge(scorer, *images, folds=scorer.folds, held_out_labels=held_out.labels)


def _to_tensor(dataset: PixelDataset) -> Tensor:
    return torch.from_numpy(to_nchw(dataset.images))


def _check_images(images: Tensor, kind: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    if images.dtype != torch.uint8 or images.ndim != 4 or tuple(images.shape[1:]) != shape:
        wanted = f"uint8 [n, {', '.join(map(str, shape))}]" if len(shape) == 3 else "uint8 [n, C, H, W]"
        raise ValueError(f"{kind} images are {images.dtype} {list(images.shape)}; allowed: {wanted}")
    return shape


def _mean_distance(
    features: np.ndarray, classes: np.ndarray, size: int, reference: Gaussian, weights: np.ndarray | None = None
) -> float:
    found = []
    for rows in _split(classes, size):
        own = None if weights is None or (weights[rows] > 0).sum() < 2 else weights[rows]
        found.append(frechet_distance(fit_gaussian(features[rows], own), reference))
    return float(np.mean(found))


def _split(classes: np.ndarray, size: int) -> np.ndarray:
    """Groups of `size` rows, int [g, size], that cover all rows of `classes` [n], n at least `size`.

    Systematic sampling: every g-th row in the order of the classes, so that each group has the classes' shares to
    within one row. Random groups do not, and are several times farther from the held-out images for that reason alone.
    Where `size` does not divide n, some rows are in two groups.
    """
    order = np.argsort(classes, kind="stable")
    groups = -(-len(order) // size)
    places = np.arange(groups * size) * len(order) // (groups * size)
    return order[places.reshape(size, groups).T]
