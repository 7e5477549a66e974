"""Crossed bootstrap over test images and training seeds: how far could an accuracy have moved by chance?

Several arms were trained with the same S seeds and evaluated on the same n test images. Both are samples:
other images and other seeds would have given other figures. One resample draws n images with replacement and,
independently, S seeds with replacement; an arm's statistic is its mean correctness over the drawn (image,
seed) pairs. All arms share the resample, so the difference of two columns is a paired difference.

Source: A. B. Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1(2), 2007. For S seeds and n
images its variance estimate is about (1 - 1/S) times the part of whole seeds, plus the part of whole images
once, plus the part of single (image, seed) pairs three times. Hence two biases, which no number of resamples
removes. Measured coverage of the 95 % percentile interval of a paired difference (probit model with image
difficulty and seed effects, 500 images, 800 repetitions of 1000 resamples), by the share of the difference's
variance that comes from whole seeds:

    seeds                                     2     3     5    10
    none of it (image-by-seed noise only)   .99   .99   .99   .99   standard error 1.3 to 1.5 times the truth
    half of it                              .93   .96   .98   .98   standard error 1.05 to 1.3 times the truth
    nearly all of it (96 %)                 .68   .77   .87   .91   standard error 0.66 to 0.97 of the truth

So with 5 seeds the interval is cautious unless variation between whole seeds dominates; then it covers 87 %.

It does not know arms by name, what decides, or where correctness came from; and it does not measure how a
generated set varies when every seed was trained on the same one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.integer]

# One binomial draw costs about as much as drawing this many single images, so larger groups of equal images
# are drawn as one count.
_BIG_GROUP = 12
# Resamples per block, so that a block's weights stay in cache. Another value gives other draws from one seed.
_BLOCK = 64
# Sums of 0/1 stay exact integers in float32 below this.
_EXACT_FLOAT32 = 2**24


@dataclass(frozen=True)
class Interval:
    """A point estimate with its percentile interval and bootstrap standard error, as fractions in [-1, 1]."""

    estimate: float
    low: float
    high: float
    standard_error: float


@dataclass(frozen=True)
class Draws:
    """Resampled statistics of A arms; row r of every array belongs to the same resample.

    means: float64 [R, A], accuracy in [0, 1].
    balanced: float64 [R, A], mean of the class accuracies over the classes present in the resample.
    class_means: float32 [R, A, C], accuracy on the drawn images of a class, NaN where none was drawn.
    """

    means: npt.NDArray[np.float64]
    balanced: npt.NDArray[np.float64]
    class_means: npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Cells:
    """What can be drawn: groups of equal images (drawn as counts) and single images, both ordered by class.

    Scores are [rows, A * S + 1]; the last column is 1, so that its weighted sum counts images.
    """

    group_sizes: IntArray
    group_scores: FloatArray
    group_starts: IntArray
    single_scores: FloatArray
    single_starts: IntArray


def bootstrap_means(
    correct: BoolArray,
    *,
    resamples: int,
    seed: int,
    labels: IntArray | None = None,
    n_classes: int | None = None,
) -> npt.NDArray[np.float64]:
    """Resampled accuracies float64 [resamples, A] of `correct` bool [A, S, n].

    With the same labels and seed these are the `means` of `bootstrap_classes`; without labels the resamples
    are others of the same distribution. The order of the images does not matter. ValueError on a wrong shape,
    dtype or range.
    """
    if labels is None:
        labels, n_classes = np.zeros(np.shape(correct)[-1], dtype=np.int64), 1
    if n_classes is None:
        raise ValueError("n_classes must be given together with labels")
    return bootstrap_classes(correct, labels, n_classes=n_classes, resamples=resamples, seed=seed).means


def bootstrap_classes(correct: BoolArray, labels: IntArray, *, n_classes: int, resamples: int, seed: int) -> Draws:
    """Resampled accuracies of `correct` bool [A, S, n], over all images and per class.

    `labels` int [n] in [0, n_classes). Images are resampled without regard to class, so class sizes vary
    between resamples. The result takes about 4 * resamples * A * n_classes bytes. ValueError on a wrong
    shape, dtype or range.
    """
    _check_inputs(correct, labels, n_classes, resamples)
    arms, seeds, images = correct.shape
    cells = _group_images(correct, labels, n_classes)
    image_stream, seed_stream = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(2))
    seed_counts = seed_stream.multinomial(seeds, np.full(seeds, 1.0 / seeds), size=resamples)

    means = np.empty((resamples, arms))
    balanced = np.empty((resamples, arms))
    class_means = np.empty((resamples, arms, n_classes), dtype=np.float32)
    for rows, sums in _draw_sums(cells, images, resamples, image_stream):
        drawn = sums[:, :, -1]
        scores = sums[:, :, :-1].reshape(len(sums), n_classes, arms, seeds)
        right = np.einsum("rcas,rs->rac", scores, seed_counts[rows].astype(np.float64))
        means[rows] = right.sum(axis=2) / (images * seeds)
        present = (drawn > 0)[:, None, :]
        # A class that was not drawn has 0 right answers, so any divisor other than 0 will do.
        per_class = right / (np.maximum(drawn, 1.0) * seeds)[:, None, :]
        balanced[rows] = per_class.sum(axis=2) / present.sum(axis=2)
        class_means[rows] = np.where(present, per_class, np.nan)
    return Draws(means, balanced, class_means)


def summarise(draws: FloatArray, estimate: float, confidence: float) -> Interval:
    """Two-sided percentile interval and standard error of `draws` float [R].

    NaN draws (class not drawn) are left out. `estimate` is the statistic on the data themselves and is passed
    through. `confidence` in (0, 1). ValueError when fewer than two draws are numbers.
    """
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    values = np.asarray(draws, dtype=np.float64)
    values = values[~np.isnan(values)]
    if values.size < 2:
        raise ValueError(f"an interval needs at least 2 resamples with a value, got {values.size}")
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(values, [tail, 1.0 - tail])
    # A constant sample has exactly no spread; std() would leave rounding dust that looks like precision.
    error = 0.0 if values.min() == values.max() else float(values.std(ddof=1))
    return Interval(float(estimate), float(low), float(high), error)


def find_smallest_detectable(standard_error: float, confidence: float, power: float = 0.8) -> float | None:
    """The true difference that a two-sided test detects with this power; None where the error is 0.

    (z_{1 - alpha/2} + z_{power}) * standard error: the normal-approximation sample-size formula, solved for
    the effect.
    """
    if standard_error == 0.0:
        return None
    normal = NormalDist()
    return (normal.inv_cdf((1.0 + confidence) / 2.0) + normal.inv_cdf(power)) * standard_error


def _check_inputs(correct: BoolArray, labels: IntArray, n_classes: int, resamples: int) -> None:
    if correct.ndim != 3 or correct.dtype != np.bool_:
        found = f"{correct.dtype} {list(correct.shape)}"
        raise ValueError(f"correct must be bool [arms, seeds, images], not {found}")
    if 0 in correct.shape:
        raise ValueError(f"correct needs at least one arm, seed and image, not {list(correct.shape)}")
    if labels.shape != correct.shape[2:] or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels must be int [{correct.shape[2]}], not {labels.dtype} {list(labels.shape)}")
    if labels.min() < 0 or labels.max() >= n_classes:
        raise ValueError(f"labels must lie in 0..{n_classes - 1}, found {labels.min()}..{labels.max()}")
    if resamples < 2:
        raise ValueError(f"resamples must be at least 2, not {resamples}")


def _group_images(correct: BoolArray, labels: IntArray, n_classes: int) -> _Cells:
    """Group the images that no arm and seed tells apart.

    Drawing how often a group appears has the same distribution as drawing its members one by one.
    """
    images = correct.shape[2]
    pattern = np.packbits(correct.reshape(-1, images).T, axis=1)
    big_endian = labels.astype(">u4").view(np.uint8).reshape(images, 4)
    keys = np.ascontiguousarray(np.hstack([big_endian, pattern]))
    _, first, inverse, sizes = np.unique(
        keys.view(np.dtype((np.void, keys.shape[1]))).ravel(),
        return_index=True,
        return_inverse=True,
        return_counts=True,
    )
    dtype = np.float32 if images < _EXACT_FLOAT32 else np.float64
    scores = np.vstack([correct.reshape(-1, images), np.ones((1, images), dtype=np.bool_)]).T.astype(dtype)

    big = sizes >= _BIG_GROUP
    representatives = first[big]
    # Sorting by key makes the result independent of the order in which the images are stored.
    order = np.argsort(inverse, kind="stable")
    single = order[~big[inverse[order]]]
    classes = np.arange(n_classes + 1)
    return _Cells(
        group_sizes=sizes[big],
        group_scores=np.ascontiguousarray(scores[representatives]),
        group_starts=np.searchsorted(labels[representatives], classes),
        single_scores=np.ascontiguousarray(scores[single]),
        single_starts=np.searchsorted(labels[single], classes),
    )


def _draw_sums(
    cells: _Cells, images: int, resamples: int, stream: np.random.Generator
) -> Iterator[tuple[slice, npt.NDArray[np.float64]]]:
    """Yield (rows, sums float64 [len(rows), C, A * S + 1]) for successive blocks of resamples."""
    n_classes = len(cells.group_starts) - 1
    columns = cells.group_scores.shape[1]
    for start in range(0, resamples, _BLOCK):
        rows = slice(start, min(start + _BLOCK, resamples))
        size = rows.stop - start
        groups, singles = _draw_counts(cells, images, size, stream)
        sums = np.zeros((size, n_classes, columns))
        for c in range(n_classes):
            for counts, scores, starts in (
                (groups, cells.group_scores, cells.group_starts),
                (singles, cells.single_scores, cells.single_starts),
            ):
                part = slice(starts[c], starts[c + 1])
                if part.start < part.stop:
                    sums[:, c] += counts[:, part] @ scores[part]
        yield rows, sums


def _draw_counts(cells: _Cells, images: int, size: int, stream: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """How often each group [size, groups] and each single image [size, singles] appears in a resample."""
    singles = len(cells.single_scores)
    dtype = cells.single_scores.dtype
    shares = cells.group_sizes / images
    # The last category takes the remainder, so it must be the singles whenever there are any.
    drawn = stream.multinomial(images, np.append(shares, singles / images) if singles else shares, size=size)
    if not singles:
        return drawn.astype(dtype), np.zeros((size, 0), dtype=dtype)
    each = drawn[:, -1]
    picks = stream.integers(singles, size=int(each.sum()), dtype=np.int64)
    picks += np.repeat(np.arange(size) * singles, each)
    counts = np.bincount(picks, minlength=size * singles).reshape(size, singles)
    return drawn[:, :-1].astype(dtype), counts.astype(dtype)
