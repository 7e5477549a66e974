"""The gate of variants: in which classes a generator of variants moves its seed images and keeps their class.

Two variants of one image must differ, else the generator makes nothing new. A variant must keep the class of its
image, else it has a wrong label. Where some have lost their class, the scorer names variants rightly less often than
the images themselves; each image and its variants are judged by the network that did not see it. A scorer need not be
invariant for that, and where variants are of use it is not. The variants of a perfect generator are as if drawn like
the images, so both are named rightly equally often. Of the images that are named rightly now some would be lost
whatever the generator, as another draw may be harder to name.

A scorer has hardly seen a rare class, so it cannot judge its variants. The transformation does not depend on the class,
so the head (the largest third of the classes) stands for the others. This module knows no recipe, no generator and no
file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from ops.verdict.classes import GROUPS, divide_by_size

if TYPE_CHECKING:
    from ops.judging.scorer import Scorer

DRAWS = 2  # variants of each image that are judged
LEAST = 20  # images that the scorer names rightly; from fewer it cannot be known whether variants keep their class
OWN = 100  # such images of a common class that answers for itself: about 4 % is the standard error then
NAMED = 3  # refused classes that a sentence names; it counts the others


@dataclass(frozen=True, eq=False)
class Measured:
    """What was found of each of n images, [n].

    moved: float, mean absolute difference of its two variants, in grey levels 0..255. named: bool, whether the scorer
    names the image itself rightly. kept: float, share of its variants that the scorer puts into the image's class.
    """

    moved: np.ndarray
    named: np.ndarray
    kept: np.ndarray


def measure_variants(
    scorer: Scorer, parents: Tensor, variants: Tensor, labels: np.ndarray, networks: np.ndarray
) -> Measured:
    """The measures of images and their variants.

    Parameters
    ----------
    parents : the images, uint8 [n, C, H, W].
    variants : uint8 [n, 2, C, H, W].
    labels : int [n], of the images.
    networks : int [n], of each image the scorer's network that did not see it.

    Raises ValueError where shapes do not fit.
    """
    if variants.shape != (len(parents), DRAWS, *parents.shape[1:]) or not len(labels) == len(networks) == len(parents):
        raise ValueError(
            f"{tuple(variants.shape)} variants, {len(labels)} labels and {len(networks)} networks do not fit"
            f" {tuple(parents.shape)} images"
        )
    one, other = variants[:, 0].short(), variants[:, 1].short()
    moved = (one - other).abs().flatten(1).double().mean(1).numpy()
    named = scorer.examine(parents, networks)[0].argmax(1) == labels
    choices = scorer.examine(variants.flatten(0, 1), np.repeat(networks, DRAWS))[0].argmax(1)
    return Measured(moved, named, (choices.reshape(-1, DRAWS) == labels[:, None]).mean(1))


def join_measured(parts: Sequence[Measured]) -> Measured:
    """The measures of all images, in the order of the parts."""
    return Measured(*(np.concatenate([getattr(part, key) for part in parts]) for key in ("moved", "named", "kept")))


@dataclass(frozen=True)
class ClassGate:
    """One class. images: judged ones. named: those of them that the scorer names rightly.

    moved: mean difference of two variants of an image, in grey levels; None without an image. kept: how often the
    scorer names variants rightly, relative to the images themselves; above 1 where it names them more often, None where
    it names no image rightly. why: the reason why nothing is generated for the class; None if its variants are used.
    """

    images: int
    named: int
    moved: float | None
    kept: float | None
    why: str | None


@dataclass(frozen=True)
class Gate:
    """The decision on each class, in label order, from at least `moves` grey levels and a share of `keeps`; None: any.

    head: labels of the classes that stand for the others. moved: over all images. named, kept: as in `ClassGate`, over
    the images of the head; kept is None where fewer than LEAST are named rightly, and then no class is asked for it.
    """

    classes: tuple[ClassGate, ...]
    head: tuple[int, ...]
    moved: float
    named: int
    kept: float | None
    moves: float | None
    keeps: float | None

    @property
    def is_passed(self) -> bool:
        """Whether all images taken together reach both limits."""
        return not (_is_below(self.moved, self.moves) or _is_below(self.kept, self.keeps))

    def list_refused(self, names: Sequence[str]) -> dict[str, str]:
        """The reason of each refused class, by its name."""
        return {name: entry.why for name, entry in zip(names, self.classes, strict=True) if entry.why is not None}

    def describe(self, names: Sequence[str]) -> str:
        """One sentence without a full stop: which classes are refused and why, and what was found in all."""
        refused = self.list_refused(names)
        if not refused:
            return f"the variants of {_count_classes(len(names))} are used: {self.told}"
        shown = [f"{name} ({why})" for name, why in list(refused.items())[:NAMED]]
        more = len(refused) - len(shown)
        verb, others = "gets" if len(refused) == 1 else "get", f" and {more} more" if more else ""
        total = _count_classes(len(names))
        return f"{len(refused)} of {total} {verb} no variants: {', '.join(shown)}{others}; in all, {self.told}"

    @property
    def told(self) -> str:
        """The figures over all images, such as `two variants of an image differ by 9.3 grey levels, ...`."""
        moved = f"two variants of an image differ by {self.moved:.1f} grey levels"
        common = _name_head(self.head, len(self.classes))
        if self.kept is not None:
            return f"{moved}, and {_tell_kept(self.kept, f'variants{common}')}"
        return (
            f"{moved}; whether variants keep their class cannot be judged, because the scorer names only {self.named}"
            f" images{common} rightly ({LEAST} are needed)"
        )


def judge_variants(
    measured: Measured, labels: np.ndarray, sizes: Sequence[int], *, moves: float | None, keeps: float | None
) -> Gate:
    """Decide for each class whether variants are made of its images.

    A class passes if two variants of its images differ by at least `moves` grey levels on average, and the scorer
    names variants at least `keeps` times as often rightly as the images. The latter is asked of the class itself if it
    is of the head and has OWN images named rightly, else of the whole head. With fewer than LEAST of them in the
    whole head it is not asked.

    Parameters
    ----------
    measured, labels : of n images; labels int [n].
    sizes : training images of each class, which decide what the head is. Without a long tail all classes are the head.
    """
    counts = [int(size) for size in sizes]
    head = divide_by_size(counts).get(GROUPS[0], list(range(len(counts))))
    common, whole = np.isin(labels, head), f"variants{_name_head(head, len(counts))}"
    named, kept = _compare(measured, common)
    kept = kept if named >= LEAST else None
    classes = []
    for label in range(len(counts)):
        own = labels == label
        rightly, share = _compare(measured, own)
        entry = {
            "images": int(own.sum()),
            "named": rightly,
            "moved": float(measured.moved[own].mean()) if own.any() else None,
            "kept": share,
        }
        asked, whose = (share, "its variants") if label in head and rightly >= OWN else (kept, whole)
        why = _find_fault(entry["moved"], moves, asked, keeps, whose)
        classes.append(ClassGate(**entry, why=why))  # type: ignore[arg-type]
    moved = float(measured.moved.mean()) if len(labels) else 0.0
    return Gate(tuple(classes), tuple(head), moved, named, kept, moves, keeps)


def _compare(measured: Measured, rows: np.ndarray) -> tuple[int, float | None]:
    """Of the images at `rows` bool [n]: how many are named rightly, and how often variants are, relative to that."""
    named = int(measured.named[rows].sum())
    return named, float(measured.kept[rows].sum()) / named if named else None


def _find_fault(
    moved: float | None, moves: float | None, kept: float | None, keeps: float | None, whose: str
) -> str | None:
    if moved is None:
        return "there is no image to make variants of"
    if _is_below(moved, moves):
        return f"two variants of an image differ by {_floor(moved, 100)} grey levels, and {moves:g} are needed"
    if kept is not None and keeps is not None and kept < keeps:
        return f"{_tell_kept(kept, whose)}, and {100 * keeps:g} % are needed"
    return None


def _name_head(head: Sequence[int], classes: int) -> str:
    """What follows on `variants` or `images` of the head; nothing where it is all classes."""
    return " of common classes" if len(head) < classes else ""


def _tell_kept(kept: float, whose: str) -> str:
    """In words; above 1 it says no more than that variants are named as often."""
    return f"{whose} are named rightly {_percent(min(kept, 1.0))} as often as their images"


def _is_below(value: float | None, limit: float | None) -> bool:
    return value is not None and limit is not None and value < limit


def _percent(share: float) -> str:
    return f"{_floor(100 * share, 10)} %"


def _floor(value: float, parts: int) -> str:
    """Rounded down to 1 / parts, so that a figure below a limit never looks like it."""
    return f"{math.floor(value * parts) / parts:g}"


def _count_classes(count: int) -> str:
    return "1 class" if count == 1 else f"{count} classes"
