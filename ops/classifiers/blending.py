"""mixup, CutMix and SamplePairing as functions of tensors, for any training loop. It needs PyTorch and NumPy only.

This file may be used, or copied, without the rest of Growset: `from ops.classifiers.blending import mixup`. It does not
know recipes, training sets or networks.

Images are float [n, C, H, W], already augmented and normalised. Targets are class indices int64 [n], with `classes`
saying how many there are, or soft targets float [n, K]. What comes back are images of the same shape and soft targets
[n, K]. Cross-entropy is linear in the targets. So that of a soft target equals λ·CE(a) + (1 - λ)·CE(b), the form in
which the papers write it. Every random number comes from `rng`.

>>> rng = np.random.default_rng(0)
>>> images, labels = torch.rand(4, 3, 8, 8), torch.tensor([0, 1, 2, 0])
>>> mixed, targets = mixup(images, labels, rng, alpha=1.0, classes=3)
>>> mixed.shape, targets.shape, bool(torch.allclose(targets.sum(1), torch.ones(4)))
(torch.Size([4, 3, 8, 8]), torch.Size([4, 3]), True)
>>> pasted, targets = cutmix(images, labels, rng, per="element", classes=3)
>>> loss = torch.nn.functional.cross_entropy(torch.zeros(4, 3), targets)

SamplePairing averages each image with one of the whole training set, at some times only:

>>> schedule, partners = Schedule(start=100, until=800, on_for=8, off_for=2), Partners(labels.numpy())
>>> if schedule.is_on(epoch := 107):
...     others = images[partners.draw(labels.numpy(), rng)]
...     mixed, targets = samplepairing(images, labels, others, classes=3)
>>> bool(torch.equal(mixed, (images + others) / 2)), targets.argmax(1).tolist()
(True, [0, 1, 2, 0])
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Per = Literal["batch", "pair", "element"]
Partner = Literal["any", "different_class", "same_class"]


def mixup(
    images: Tensor,
    targets: Tensor,
    rng: np.random.Generator,
    *,
    alpha: float = 1.0,
    per: Per = "batch",
    classes: int | None = None,
) -> tuple[Tensor, Tensor]:
    """mixup (Zhang et al. 2018, eq. 1-2): x̃ = λ·x_i + (1 - λ)·x_j and the same for targets, λ ~ Beta(α, α).

    per : what draws its own λ.
        batch: one λ. The batch is mixed with a random permutation of itself, in which an image may meet itself.
        element: the same permutation, but each image draws its own λ.
        pair: the batch is divided at random into pairs, and each pair draws a λ. Its two images are mixed with each
        other: λ·a + (1 - λ)·b and λ·b + (1 - λ)·a. In a batch of odd size one image stays as it is.

    ValueError for a batch of one image, α ≤ 0, or indices without `classes`.
    """
    targets = _check(images, targets, alpha, classes)
    shares = rng.beta(alpha, alpha, _count_draws(len(images), per))
    others, draws = _pair_up(len(images), per, rng)
    own = shares[draws]
    return _blend(images, images[others], own), _blend(targets, targets[others], own)


def cutmix(
    images: Tensor,
    targets: Tensor,
    rng: np.random.Generator,
    *,
    alpha: float = 1.0,
    per: Per = "batch",
    probability: float = 1.0,
    classes: int | None = None,
) -> tuple[Tensor, Tensor]:
    """CutMix (Yun et al. 2019, eq. 1-2 and appendix A): a box of one image is pasted into another, at the same place.

    λ ~ Beta(α, α). The box has the sides H·√(1 - λ) and W·√(1 - λ), rounded down, and its centre is uniform over the
    image. What lies outside of the image is cut off, so the targets are mixed by the area that was really pasted.

    per : what draws its own λ and box, as in `mixup`. The two images of a pair exchange the same box.
    probability : of each draw to paste at all: 0.5 in the authors' runs on CIFAR, 1.0 on ImageNet.

    ValueError for a batch of one image, α ≤ 0, a probability outside 0..1, or indices without `classes`.
    """
    targets = _check(images, targets, alpha, classes)
    if not 0 < probability <= 1:
        raise ValueError(f"probability must be above 0 and at most 1, not {probability}")
    channels, height, width = images.shape[1:]
    count = _count_draws(len(images), per)
    sides = np.sqrt(1 - rng.beta(alpha, alpha, count))
    if probability < 1:
        sides *= rng.random(count) < probability
    others, draws = _pair_up(len(images), per, rng)
    (top, left), (bottom, right) = _draw_boxes((height, width), sides, rng)
    own = (1 - (bottom - top) * (right - left) / (height * width))[draws]
    if len(own) == 1:  # one box for all: faster than a mask
        box = (..., slice(top[0], bottom[0]), slice(left[0], right[0]))
        mixed = images.clone()
        mixed[box] = images[box][others]
    else:
        # As [n, H, W, C], the order in which channels-last images lie in memory: twice as fast as a mask [n, 1, H, W].
        rows = torch.from_numpy(_cover(height, top, bottom)[draws]).to(images)
        columns = torch.from_numpy(_cover(width, left, right)[draws].repeat(channels, axis=1)).to(images)
        is_pasted = (rows[:, :, None] * columns[:, None, :]).reshape(-1, height, width, channels).permute(0, 3, 1, 2)
        mixed = torch.lerp(images, images[others], is_pasted)  # exact: weights are 0 and 1
    return mixed, _blend(targets, targets[others], own)


def samplepairing(
    images: Tensor, targets: Tensor, others: Tensor, *, classes: int | None = None
) -> tuple[Tensor, Tensor]:
    """SamplePairing (Inoue 2018): x̃ = (x_A + x_B) / 2 with the label of A alone.

    `others` [n, C, H, W] are the images B; `Partners` draws them from the whole training set. With B of any of K
    equally large classes, even a network that recognises both images is right in 0.5 + 1/(2K) of the cases: accuracy
    on the training images is capped there while it is on, and `Schedule` says when that is.
    """
    if images.shape != others.shape:
        raise ValueError(f"images {tuple(images.shape)} and others {tuple(others.shape)} must have the same shape")
    return (images + others).div_(2), _soften(targets, classes)


@dataclass(frozen=True)
class Schedule:
    """When SamplePairing is on: never before `start`; then on for `on_for` and off for `off_for` in turn; off from
    `until`. All four are in one unit of your choice: epochs, images, steps or shares of a training.

    The published ones are `Schedule(100, 800, 8, 2)` of 1,000 epochs on CIFAR, and on ILSVRC, counted in images and
    read off a chart, `Schedule(1.28e6, 236e6, 300e3, 100e3)` of 290 million.

    >>> published = Schedule(start=100, until=800, on_for=8, off_for=2)
    >>> [epoch for epoch in (99, 100, 107, 108, 109, 110, 799, 800, 999) if published.is_on(epoch)]
    [100, 107, 110]
    """

    start: float
    until: float
    on_for: float
    off_for: float

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.until:
            raise ValueError(f"start {self.start:g} must be at least 0 and below until {self.until:g}")
        if min(self.on_for, self.off_for) <= 0:
            raise ValueError("on_for and off_for must be above 0")

    def is_on(self, position: float | Fraction) -> bool:
        """Whether it is on at a position in the training. Decimals are exact: 0.3 is three tenths."""
        start, at, on = _exact(self.start), _exact(position), _exact(self.on_for)
        return start <= at < _exact(self.until) and (at - start) % (on + _exact(self.off_for)) < on


def count_steps(share: float, steps: int) -> int:
    """The number of steps that begin within the first `share` of `steps`: 360 for 0.9 of 400."""
    return math.ceil(_exact(share) * steps)


class Partners:
    """Draws an image B of the training set for each image A, in proportion to the images' weights.

    labels : int64 [n], the classes of the training set.
    weights : float [n], at least 0; None draws all images equally often. A weight stands for copies: an image of weight
        10 is drawn as if the set had it ten times.
    policy : any: B is any image, A itself included; different_class or same_class: than that of A.

    ValueError if another class is wanted where there is one only.
    """

    def __init__(self, labels: np.ndarray, weights: np.ndarray | None = None, policy: Partner = "any") -> None:
        weights = np.ones(len(labels)) if weights is None else weights
        masses = np.bincount(labels, weights=weights)
        if policy == "different_class" and np.count_nonzero(masses) < 2:
            raise ValueError("a partner of a different class needs images of at least two classes")
        self.policy = policy
        self.rows = np.argsort(labels, kind="stable")  # grouped by class
        self.reach = np.cumsum(weights[self.rows])  # row i covers reach[i - 1] .. reach[i] of a line
        edges = np.concatenate([[0.0], self.reach])[np.cumsum([0, *np.bincount(labels)])]
        self.starts, self.ends = edges[:-1], edges[1:]  # of the part that each class covers

    def draw(self, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Rows int64 [m] of the training set, one partner for each image A; `labels` int64 [m] are their classes, which
        the training set must have."""
        start, end, total = self.starts[labels], self.ends[labels], self.reach[-1]
        place = rng.random(len(labels))
        if self.policy == "same_class":
            place = start + place * (end - start)
        elif self.policy == "different_class":
            place *= start + (total - end)
            place = np.where(place < start, place, end + (place - start))  # skips what A's class covers
        else:
            place *= total
        found = np.searchsorted(self.reach, place, side="right")
        return self.rows[np.minimum(found, len(self.rows) - 1)]


def _check(images: Tensor, targets: Tensor, alpha: float, classes: int | None) -> Tensor:
    """The targets as soft targets; ValueError for what cannot be mixed."""
    if not images.is_floating_point():
        raise ValueError(f"images must be floats, not {images.dtype}")
    if len(images) < 2 or len(targets) != len(images):
        raise ValueError(f"{len(images)} images with {len(targets)} targets: two or more of each are needed, as many")
    if not alpha > 0:
        raise ValueError(f"alpha must be above 0, not {alpha}")
    return _soften(targets, classes)


def _soften(targets: Tensor, classes: int | None) -> Tensor:
    if targets.is_floating_point():
        return targets
    if classes is None:
        raise ValueError("class indices need `classes`, the number of classes")
    return F.one_hot(targets, classes).float()


def _count_draws(count: int, per: Per) -> int:
    """The number of λ for a batch."""
    if per not in ("batch", "pair", "element"):
        raise ValueError(f"per must be batch, pair or element, not {per!r}")
    return {"batch": 1, "pair": count // 2, "element": count}[per]


def _pair_up(count: int, per: Per, rng: np.random.Generator) -> tuple[Tensor, np.ndarray]:
    """The partner of each image, int64 [n], and the draw that each belongs to, int64 [n], or [1] if it is one for all.

    An image that is left over is its own partner, so that mixing leaves it as it is.
    """
    order = rng.permutation(count)
    if per != "pair":
        return torch.from_numpy(order), np.arange(1 if per == "batch" else count)
    half = count // 2
    one, two = order[:half], order[half : 2 * half]
    partners, draws = np.arange(count), np.zeros(count, dtype=np.int64)
    partners[one], partners[two] = two, one
    draws[one] = draws[two] = np.arange(half)
    return torch.from_numpy(partners), draws


def _blend(own: Tensor, other: Tensor, shares: np.ndarray) -> Tensor:
    """shares·own + (1 - shares)·other, for one share [1] or one for each row [n]."""
    if len(shares) == 1:
        return torch.lerp(other, own, float(shares[0]))
    return torch.lerp(other, own, torch.from_numpy(shares).to(own).reshape(-1, *[1] * (own.ndim - 1)))


def _draw_boxes(lengths: tuple[int, int], sides: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """First row and column of each box, and those after its last, int64 [2, draws]; `sides` are shares of `lengths`."""
    whole = np.array(lengths)[:, None]
    sizes = (whole * sides).astype(np.int64)
    first = (whole * rng.random(sizes.shape)).astype(np.int64) - sizes // 2
    return np.maximum(first, 0), np.minimum(first + sizes, whole)


def _cover(length: int, first: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Which of `length` places each box covers, bool [n, length]."""
    places = np.arange(length)
    covered: np.ndarray = (places >= first[:, None]) & (places < end[:, None])
    return covered


def _exact(number: float | Fraction) -> Fraction:
    """The number as it is written in decimals, without the error of its binary form."""
    return number if isinstance(number, Fraction) else Fraction(str(float(number)))
