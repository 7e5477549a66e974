"""A verdict class by class: differences with a correction for their number, and head, middle and tail of a long tail.

Both are beside the decision. It knows answers and class sizes, and not how arms were trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ops.verdict.comparison import Comparison
from ops.verdict.estimate import IntArray
from ops.verdict.metric import LARGEST_IMBALANCE
from ops.verdict.records import ClassRow, SizeGroup

FEW_IMAGES = 10  # test images of a class; fewer are too few to conclude anything
GROUPS = ("head", "middle", "tail")


def compare_classes(
    comparison: Comparison,
    challenger: str,
    baseline: str,
    labels: IntArray,
    names: Sequence[str],
    *,
    tail: float,
    train_counts: Sequence[int] = (),
) -> list[ClassRow]:
    """The challenger minus the baseline on each class of `names`; labels int [n] of the test images.

    train_counts: real training images of each class, or ().

    Each interval has the tail area `tail` on either side. A difference is `clear` if an interval with the tail area
    tail / C excludes 0, for the C classes that have test images (Bonferroni): then the chance that any equal class is
    called clear is no larger than for one comparison. One with fewer than FEW_IMAGES is never clear.
    """
    images = np.bincount(labels, minlength=len(names))
    new, old = (dict(zip(comparison.classes, comparison.rate(arm), strict=True)) for arm in (challenger, baseline))
    rows = []
    for c, name in enumerate(names):
        trained = train_counts[c] if train_counts else None
        if not images[c]:
            rows.append(ClassRow(c, name, 0, None, None, None, False, trained))
            continue
        gap = comparison.differ_on(c, challenger, baseline, tail=tail)
        wide = comparison.differ_on(c, challenger, baseline, tail=tail / len(comparison.classes))
        is_clear = int(images[c]) >= FEW_IMAGES and (wide.low > 0 or wide.high < 0)
        rows.append(ClassRow(c, name, int(images[c]), float(old[c]), float(new[c]), gap, is_clear, trained))
    return rows


def divide_by_size(counts: Sequence[int]) -> dict[str, list[int]]:
    """Thirds of the classes by their training images, the largest first: head, middle and tail.

    counts: training images of each class. {} for fewer than three classes, or where the largest has not more than three
    times the images of the smallest. Where thirds are not whole, the middle is larger.
    """
    if len(counts) < len(GROUPS) or max(counts) <= LARGEST_IMBALANCE * max(1, min(counts)):
        return {}
    order = sorted(range(len(counts)), key=lambda c: (-counts[c], c))
    third = len(counts) // 3
    parts = order[:third], order[third : len(order) - third], order[len(order) - third :]
    return dict(zip(GROUPS, map(sorted, parts), strict=True))


def score_groups(comparison: Comparison, arms: Sequence[str], counts: Sequence[int]) -> list[SizeGroup]:
    """The mean accuracy over the classes of each group, for each arm; classes without test images do not count."""
    rates: Mapping[str, dict[int, float]] = {
        arm: dict(zip(comparison.classes.tolist(), comparison.rate(arm).tolist(), strict=True)) for arm in arms
    }
    found = []
    for name, classes in divide_by_size(counts).items():
        known = [c for c in classes if c in comparison.classes]
        if known:
            scores = {arm: float(np.mean([rates[arm][c] for c in known])) for arm in arms}
            sizes = [counts[c] for c in classes]
            found.append(SizeGroup(name, len(classes), min(sizes), max(sizes), scores))
    return found
