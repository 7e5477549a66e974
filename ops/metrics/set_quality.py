"""The metrics of a set of generated images, overall and per class, as one extractor's features show them.

Every number comes with its interval, with how many images it is of, and with the same number for real training images
in place of the generated ones: what a perfect generator would get. Metrics are named with their extractor (FD_scorer),
for without it they mean nothing. This module knows nothing of images or networks; who extracts features sees to it
that no test image is among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

from ops.metrics.authenticity import find_authentic
from ops.metrics.frechet import estimate_frechet
from ops.metrics.kernel import KernelSet, estimate_kernel_distance, fit_kernel
from ops.metrics.manifold import NEIGHBOURS, Manifold, find_members, fit_manifold
from ops.metrics.vendi import estimate_vendi
from ops.statistics.intervals import Estimate, average, find_interval, find_share_interval

METRICS = ("FD", "KID", "precision", "recall", "density", "coverage", "authenticity", "vendi")
LIMIT = 10_000
LEAST = 20  # images on each side; with fewer, intervals were not tried


@dataclass(frozen=True, eq=False)
class View:
    """All images as one network sees them: features of any float type, of one size d.

    held_out: real images [n, d] that neither the network nor a generator has seen. train: the generator's training
    images [m, d]. generated: [q, d]. unseen: bool [m], the training images that the network has not learned, whose
    features are honest: all for a random or foreign network, its own fold for one that was cross-fitted. None does
    without: there are no numbers of real images then, save for authenticity.
    """

    held_out: np.ndarray
    train: np.ndarray
    generated: np.ndarray
    unseen: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Labels:
    """The class of each image: int [n] of the held-out, [m] of the training, [q] of the generated ones."""

    held_out: np.ndarray
    train: np.ndarray
    generated: np.ndarray


@dataclass(frozen=True)
class Measure:
    """One number.

    metric: of METRICS. extractor: whose features. label: the class, None for all images. value, low, high: the number
    and its 95 % interval (`ops.statistics.intervals` and `measure_set` say of what), None if there is none, and then
    `reason` says why. reference: the same number for real images, None where it cannot be had. real, generated: how
    many images of each went in; for authenticity `real` counts training images.
    """

    metric: str
    extractor: str
    label: int | None
    value: float | None
    low: float | None
    high: float | None
    reference: float | None
    real: int
    generated: int
    reason: str | None = None

    @property
    def name(self) -> str:
        """Such as FD_scorer."""
        return f"{self.metric}_{self.extractor}"

    def to_dict(self) -> dict[str, str | int | float | None]:
        """Plain values by name, for JSON."""
        return {"name": self.name, **asdict(self)}


@dataclass(frozen=True, eq=False)
class _Sample:
    """Features [c, d] of one side, and what is computed of them once."""

    features: np.ndarray

    @cached_property
    def manifold(self) -> Manifold:
        return fit_manifold(self.features, NEIGHBOURS)

    @cached_property
    def kernel(self) -> KernelSet:
        return fit_kernel(self.features)


Found = tuple[float, tuple[float, float]]


def measure_set(
    views: Sequence[View],
    labels: Labels,
    *,
    extractor: str,
    classes: Sequence[int] = (),
    limit: int = LIMIT,
    seed: int = 0,
) -> list[Measure]:
    """All METRICS of all images, then of each of `classes`, in the features of one extractor.

    Several views, of cross-fitted networks, are averaged: every number is computed per network.

    All metrics but KID and authenticity change with the number of images, so both sides get the same: the smallest of
    held-out, generated and, where real images are measured too, unseen training images, at most `limit` of each, drawn
    with `seed` in the shares of the classes. A class with fewer than LEAST on a side has no value. The numbers overall
    see the shares of the classes too: give generated images those of the held-out ones.

    Authenticity asks each generated image (up to `limit`) against all training images of all classes; its reference
    is that of the held-out images.

    Intervals: those of FD, KID and Vendi score cover other images on both sides. Those of precision, density and
    authenticity cover other generated images, the real ones staying as they are; that of recall other real images, the
    generated ones staying; that of coverage other real balls, as if each had its radius by itself. Of made-up
    features and of Fashion-MNIST's they held what they cover in 85 to 99 of 100 draws of 30 to 600 images: FD rather
    too often, Vendi score in 89 to 96. With both sides drawn anew, density and authenticity lay inside in 75 to 83, the
    other shares in 84 to 95.

    ValueError for no views, or for labels and features that do not fit.
    """
    _check(views, labels, limit)
    authentic = _ask_authenticity(views, labels, limit, seed)
    measures = []
    for label in (None, *classes):
        measures += _measure_part(views, labels, label, extractor, limit, seed)
        measures.append(_measure_authenticity(*authentic, labels, label, extractor))
    return measures


def draw_rows(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """`count` rows of labels [n], int64, without repeats, that hold the classes in the shares of the whole.

    Drawn with `seed`; all rows, in order, if there are no more.
    """
    if count >= len(labels):
        return np.arange(len(labels))
    mixed = np.random.default_rng(seed).permutation(len(labels))
    ordered = mixed[np.argsort(labels[mixed], kind="stable")]
    return np.sort(ordered[(np.arange(count) * 2 + 1) * len(labels) // (2 * count)])


def _measure_part(
    views: Sequence[View], labels: Labels, label: int | None, extractor: str, limit: int, seed: int
) -> list[Measure]:
    real_rows, generated_rows = _choose(labels.held_out, label), _choose(labels.generated, label)
    unseen_rows = []
    if all(view.unseen is not None for view in views):
        unseen_rows = [_choose(labels.train, label, view.unseen) for view in views]
    count = min(limit, len(real_rows), len(generated_rows), *map(len, unseen_rows))
    names = [metric for metric in METRICS if metric != "authenticity"]
    if count < LEAST:
        reason = (
            f"{len(real_rows)} held-out and {len(generated_rows)} generated images"
            + (f", {min(map(len, unseen_rows))} unseen training images" if unseen_rows else "")
            + f"; at least {LEAST} of each are needed"
        )
        return [
            Measure(name, extractor, label, None, None, None, None, len(real_rows), len(generated_rows), reason)
            for name in names
        ]
    real_rows, generated_rows = (
        rows[draw_rows(of_side[rows], count, seed)]
        for rows, of_side in ((real_rows, labels.held_out), (generated_rows, labels.generated))
    )
    real = [_Sample(view.held_out[real_rows]) for view in views]
    found = _compare(real, [_Sample(view.generated[generated_rows]) for view in views])
    reference: dict[str, Found] = {}
    if unseen_rows:
        drawn = [rows[draw_rows(labels.train[rows], count, seed)] for rows in unseen_rows]
        reference = _compare(real, [_Sample(view.train[rows]) for view, rows in zip(views, drawn, strict=True)])
    return [
        Measure(
            metric=name,
            extractor=extractor,
            label=label,
            value=found[name][0],
            low=found[name][1][0],
            high=found[name][1][1],
            reference=reference[name][0] if reference else None,
            real=count,
            generated=count,
        )
        for name in names
    ]


def _compare(real: Sequence[_Sample], other: Sequence[_Sample]) -> dict[str, Found]:
    """All but authenticity, of equally many real and other images as each network sees them."""
    pairs = list(zip(real, other, strict=True))
    count = len(other[0].features)
    members = [find_members(a.manifold, b.manifold) for a, b in pairs]
    overlaps = [member.summarise() for member in members]
    frechet = average([estimate_frechet(a.features, b.features) for a, b in pairs])
    kernel = average([estimate_kernel_distance(a.kernel, b.kernel) for a, b in pairs])
    vendi = average([estimate_vendi(b.features) for b in other])
    density = average(
        [
            Estimate(overlap.density, (member.balls / member.neighbours - overlap.density,))
            for member, overlap in zip(members, overlaps, strict=True)
        ]
    )
    shares = {
        name: float(np.mean([getattr(overlap, name) for overlap in overlaps]))
        for name in ("precision", "recall", "coverage")
    }
    return {
        "FD": (frechet.value, find_interval(frechet, lowest=0)),
        "KID": (kernel.value, find_interval(kernel)),
        "density": (density.value, find_interval(density, lowest=0)),
        "vendi": (vendi.value, find_interval(vendi, lowest=1, highest=count)),
        **{name: (share, find_share_interval(share, count)) for name, share in shares.items()},
    }


def _ask_authenticity(
    views: Sequence[View], labels: Labels, limit: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows of generated images and the share of networks that find each authentic; the same of held-out ones."""
    rows = draw_rows(labels.generated, limit, seed)
    held_out_rows = draw_rows(labels.held_out, limit, seed)
    if len(labels.train) < 2:
        return rows, np.empty(0), held_out_rows, np.empty(0)
    votes = np.mean(
        [
            find_authentic(np.concatenate([view.generated[rows], view.held_out[held_out_rows]]), view.train)
            for view in views
        ],
        axis=0,
    )
    return rows, votes[: len(rows)], held_out_rows, votes[len(rows) :]


def _measure_authenticity(
    rows: np.ndarray,
    votes: np.ndarray,
    held_out_rows: np.ndarray,
    held_out_votes: np.ndarray,
    labels: Labels,
    label: int | None,
    extractor: str,
) -> Measure:
    chosen, compared = (
        _choose(of_side[part], label) for of_side, part in ((labels.generated, rows), (labels.held_out, held_out_rows))
    )
    counts = (len(labels.train), len(chosen))
    if len(chosen) < LEAST or not len(votes):
        reason = f"{counts[1]} generated and {counts[0]} training images; at least {LEAST} and 2 are needed"
        return Measure("authenticity", extractor, label, None, None, None, None, *counts, reason)
    value = float(votes[chosen].mean())
    reference = float(held_out_votes[compared].mean()) if len(compared) else None
    return Measure("authenticity", extractor, label, value, *find_share_interval(value, counts[1]), reference, *counts)


def _choose(labels: np.ndarray, label: int | None, allowed: np.ndarray | None = None) -> np.ndarray:
    chosen = np.ones(len(labels), bool) if allowed is None else allowed
    return np.flatnonzero(chosen if label is None else chosen & (labels == label))


def _check(views: Sequence[View], labels: Labels, limit: int) -> None:
    if not views:
        raise ValueError("there are no views; a set is measured in at least 1")
    if limit < LEAST:
        raise ValueError(f"limit is {limit}; allowed: at least {LEAST}")
    for view in views:
        sides = [("held-out", view.held_out, labels.held_out), ("training", view.train, labels.train)]
        for kind, features, of_side in (*sides, ("generated", view.generated, labels.generated)):
            if features.ndim != 2 or len(features) != len(of_side) or features.shape[1] != view.held_out.shape[1]:
                raise ValueError(
                    f"{kind} features have shape {list(features.shape)}; allowed: [{len(of_side)}, d], d being that of"
                    " the held-out ones"
                )
        if view.unseen is not None and (view.unseen.dtype != bool or view.unseen.shape != labels.train.shape):
            raise ValueError(
                f"unseen is {view.unseen.dtype} {list(view.unseen.shape)}; allowed: bool {list(labels.train.shape)}"
            )
