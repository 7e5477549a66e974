"""How widely images may be moved: the widest moves that cannot be told from the data, by a two-sample test.

Where the images of a class lie in all directions already, turned images are distributed as they are; where they stand
upright, they are not. So each move is tried from wide to narrow, and the first range that the test cannot tell from the
data is taken. It needs no network to be trained. Images are compared within their class, or a move that turns one class
into another would pass. The module knows no recipe beyond its section, and no file.

For a move T_r, a half A of the images and the other half B, the excess is D(T_r A, T_0 B) - D(T_0 A, T_0 B), averaged
with that for A and B exchanged. D is the energy distance in whitened features. T_0 moves images by up to half a pixel
and is part of T_r: both sides are interpolated once more than the data, or the blur of this alone would be found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from scipy.spatial.distance import cdist
from torch import Tensor

from ops.generators.geometry.guessing import SHARES
from ops.generators.geometry.moves import Moves, Ranges
from ops.metrics.emptiness import add_noise
from ops.metrics.random_network import embed_images
from ops.metrics.whitening import fit_whitening
from ops.recipe.geometry import GeometrySettings

PARTS = tuple(0.5**halving for halving in range(SHARES))  # of the widest range, in the order of the trials
HALF_PIXEL = 0.5
REACH = 4.0  # standard deviations beyond which a feature is only "far"
SUPPORTED = 1.0  # standard errors of excess up to which a move is not made narrower
TOLERANCE = 15.0  # grey levels of noise: features are compared no finer than these change them


@dataclass(frozen=True)
class Trial:
    """A tried range of a move (`Ranges`), the excess that was found, its standard error, and whether it passed."""

    move: str
    width: float
    excess: float
    error: float
    passed: bool


@dataclass(frozen=True)
class Found:
    """The ranges that passed, every trial, and the number of images that they were tried on."""

    ranges: Ranges
    trials: tuple[Trial, ...]
    images: int


def find_ranges(images: Tensor, labels: np.ndarray, settings: GeometrySettings, seed: int) -> Found:
    """The widest ranges that pass, each move by itself, for images uint8 [n, H, W, C] with labels int [n].

    ValueError if no class has `settings.least` images.
    """
    test = _Test(images, labels, settings, seed)
    trials: list[Trial] = []
    found: dict[str, Any] = {}
    for move, widest in (("rotation", settings.rotation), ("scale", settings.scale), ("shift", settings.shift)):
        for width in (widest * part for part in PARTS if widest):
            trials.append(test.try_move(move, width))
            if trials[-1].passed:
                found[move] = width
                break
    if settings.mirror:
        trials.append(test.try_move("mirror", 1.0))
        found["mirror"] = trials[-1].passed
    return Found(Ranges(**found), tuple(trials), len(test.images))


def list_narrower(found: Found) -> Iterator[Ranges]:
    """The ranges that passed, also where these are none, then narrower and narrower ones, while a move is in doubt.

    Each time the move is halved whose excess is the most standard errors, taken to fall with the width; one of at most
    SUPPORTED stays. What is narrower than an eighth of its range that passed, and mirroring, are left out instead.
    """
    passed = {trial.move: trial for trial in found.trials if trial.passed}
    shares = dict.fromkeys(passed, 1.0)

    def doubt(move: str) -> float:
        return shares[move] * passed[move].excess / max(passed[move].error, 1e-12)

    if not shares:
        yield Ranges()
    while shares:
        yield Ranges(
            **{move: passed[move].width * share for move, share in shares.items() if move != "mirror"},
            mirror="mirror" in shares,
        )
        least = max(shares, key=doubt)
        if doubt(least) <= SUPPORTED:
            return
        shares[least] /= 2
        if least == "mirror" or shares[least] < PARTS[-1]:
            del shares[least]


class _Test:
    """The two-sample test on images of the largest classes, which are halved within each class."""

    def __init__(self, images: Tensor, labels: np.ndarray, settings: GeometrySettings, seed: int) -> None:
        chosen = choose_rows(labels, settings.images, settings.least, np.random.default_rng([seed, 0]))
        ends = np.cumsum([0, *map(len, chosen)]).tolist()
        self.classes = [np.arange(begin, end) for begin, end in pairwise(ends)]
        self.images, self.errors = images[torch.from_numpy(np.concatenate(chosen))], settings.errors
        height, width, channels = self.images.shape[1:]
        self.shape = (channels, height, width)
        random = torch.Generator().manual_seed(seed)
        self.noise = torch.randn(len(self.images), *self.shape, generator=random)
        self.still = Ranges(shift=HALF_PIXEL / max(height, width))  # T_0
        unmoved = self._move(self.still)
        self.unmoved = embed_images(unmoved).astype(np.float64)
        noisy = embed_images(add_noise(unmoved.float(), TOLERANCE, random))
        self.tolerance = np.median(np.abs(noisy - self.unmoved), axis=0)

    def try_move(self, move: str, width: float) -> Trial:
        """Compare T_r with T_0 on each half of each class, by their distances from the other half after T_0."""
        value = bool(width) if move == "mirror" else max(width, getattr(self.still, move))
        features = embed_images(self._move(replace(self.still, **{move: value}))).astype(np.float64)
        # Moved and unmoved images fit the whitening alike: in coordinates fitted to one of them the other lies farther.
        centre, whitening = fit_whitening(np.concatenate([features, self.unmoved]), self.tolerance)
        moved, still = (REACH * np.tanh((x - centre) @ whitening / REACH) for x in (features, self.unmoved))
        excess, error = 0.0, 0.0
        for half in (0, 1):  # T_r A, then T_r B
            parts = []
            for own in self.classes:
                a, b = own[half::2], own[1 - half :: 2]
                parts.append(len(own) / len(self.images) * split_excess(moved[a], still[a], still[b]))
            each = np.concatenate(parts)
            # Both numbers come from the same images, so the mean's error is not taken to be below theirs.
            excess, error = excess + float(each.sum()) / 2, error + float(np.sqrt(np.square(each).sum())) / 2
        return Trial(move, width, excess, error, excess <= self.errors * error)

    def _move(self, ranges: Ranges) -> Tensor:
        """uint8 [n, C, H, W]."""
        with torch.inference_mode():
            return Moves(self.shape, ranges)(self.images, self.noise).permute(0, 3, 1, 2)


def choose_rows(labels: np.ndarray, most: int, least: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Rows of at most `most` images, in a random order within each class: of the largest classes, in equal numbers as
    far as they go. A class takes part with at least `least` images; ValueError if none has so many."""
    sizes = np.bincount(labels)
    classes = np.argsort(-sizes, kind="stable")[: max(1, most // least)]
    classes = classes[sizes[classes] >= least]
    if not len(classes):
        raise ValueError(f"no class has {least} images")
    rows = {label: rng.permutation(np.flatnonzero(labels == label)) for label in classes.tolist()}
    # One image of each class in turn, until there are enough.
    turns = sorted((turn, place) for place, own in enumerate(rows.values()) for turn in range(len(own)))[:most]
    taken = np.bincount([place for _, place in turns], minlength=len(rows))
    return [own[:count] for own, count in zip(rows.values(), taken, strict=True)]


def split_excess(moved: np.ndarray, still: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Each image's part of D(moved, others) - D(still, others), float64 [n], for points [n, d], [n, d] and [m, d].

    Row i of `moved` and of `still` is one image; n is at least 2. The parts add up to the excess. If the two points of
    some images change places, exactly the signs of their parts change. So where an image's two points are as likely the
    other way round, as for a move that the data have already, the excess has mean 0, and the sum of the parts' squares
    is its variance (Fisher's randomisation test of pairs).
    """
    n = len(moved)
    # Mean distances from the others, and distances within and across the two sides.
    away, home = cdist(moved, others).mean(axis=1), cdist(still, others).mean(axis=1)
    within, across = cdist(moved, moved) - cdist(still, still), cdist(moved, still)
    pairs = (within + across - across.T).sum(axis=1)
    parts: np.ndarray = 2 * (away - home) / n - pairs / (n * (n - 1))
    return parts
