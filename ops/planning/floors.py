"""The least number of training images from which an expansion is worth computing; below it a run asks for --force.

Images are divided into folds several times, to choose settings and to judge generated images by networks that did not
see the real ones. With three folds, a class of four images shows two or three to each network; of fewer, some network
sees one. Fewer than ten images a class on average leave a generator nothing to generalise from, and two or three a
class for validation, on which nothing can be chosen.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ops.planning.counting import Counted
from ops.recipe.data import DataSettings

PER_CLASS, ON_AVERAGE = 4, 10  # training images of each class, and of all classes together per class


def find_lack(data: DataSettings, counted: Counted) -> str | None:
    """What the training images of a recipe lack, as a clause; None where there are enough, or where images without
    labels are expanded: few labels make no generator worse."""
    return None if data.unlabelled is not None else describe_lack(counted.images["train"], counted.class_names)


def describe_lack(counts: np.ndarray, class_names: Sequence[str]) -> str | None:
    """What training images int64 [K] per class lack, as a clause; None where there are enough."""
    needed = f"at least {PER_CLASS} of each class and {ON_AVERAGE * len(counts)} in all are needed"
    reason = "a generator repeats so few or draws noise, and nothing can be chosen on them"
    if counts.sum() < ON_AVERAGE * len(counts):
        return f"{counts.sum():,} training images of {len(counts)} classes are too few: {reason}; {needed}"
    small = np.flatnonzero(counts < PER_CLASS)
    if not len(small):
        return None
    name, count = class_names[int(small[0])], int(counts[small[0]])
    more = len(small) - 1
    others = f", and {more} more {'classes have' if more > 1 else 'class has'} as few" if more else ""
    images = "image, which is" if count == 1 else "images, which are"
    return f"class {name} has {count} training {images} too few{others}: {reason}; {needed}"


def describe_refusal(
    given: np.ndarray, counts: np.ndarray, class_names: Sequence[str], splits: Sequence[str]
) -> str | None:
    """Why no run can begin with these images, not even with --force, as a clause; None where one can.

    given, counts: int64 [K], images of each class before and after the splits but train are drawn from it.
    splits: train and those that are drawn.
    """
    short = np.flatnonzero(given < len(splits))
    if len(short):
        name, count = class_names[int(short[0])], int(given[short[0]])
        others = f" ({len(short):,} of {len(given):,} classes have too few)" if len(short) > 1 else ""
        each = f"every class needs {len(splits)}, one for each of {', '.join(splits)}"
        return f"class {name} has {count} image{'s' * (count > 1)}{others}; {each}"
    if counts.max() > 1:
        return None
    left = f" after drawing {' and '.join(splits[1:])}" if len(splits) > 1 else ""
    return f"no class has 2 training images{left}, so none can be judged by another; one needs {len(splits) + 1}"
