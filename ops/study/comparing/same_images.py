"""Refuse a comparison of recipes that were not, or would not be, judged on the same images in the same way.

Scores of different test images differ by chance alone, and a generator that learnt from other training images is
another question. So the stored images must be equal, byte by byte; of a recipe that has not been run, the source and
the section `data` must be the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from ops.errors import UserError
from ops.settings.reading import shorten
from ops.study.comparing.recipes import Candidate, Finished
from ops.verdict.metric import NAMES

RULE = "recipes are compared on one source, with the same training, validation and test images"
FEWEST = 2  # recipes of a comparison, or of a race


def require_several(names: Sequence[str], lack: str) -> None:
    """UserError for a name that is given twice, and with the sentence `lack` for fewer names than FEWEST."""
    if twice := next((name for place, name in enumerate(names) if name in names[:place]), None):
        raise UserError(f"'{twice}' is named twice; name each recipe once")
    if len(names) < FEWEST:
        raise UserError(lack)


def require_same_images(candidates: Sequence[Candidate]) -> None:
    """UserError, with what differs, unless all recipes read the same images and divide them in the same way."""
    known = [each for each in candidates if each.content is not None]  # the first may be one that has not been run
    pairs = [*((candidates[0], other) for other in candidates[1:]), *((known[0], other) for other in known[1:])]
    for first, other in pairs:
        if why := _find_difference(first, other):
            raise UserError(f"'{other.recipe}' has other images than '{first.recipe}' ({why}); {RULE}")
        if first.folds != other.folds:
            ways = " and ".join(f"'{each.recipe}' on {_name_test(each.folds)}" for each in (first, other))
            raise UserError(f"{ways} cannot be compared; give both the same verdict.folds")


def require_same_questions(finished: Sequence[Finished]) -> None:
    """UserError unless the verdicts are about the same score on the same test images."""
    for first, other in pairwise(finished):
        if other.verdict["metric"] != first.verdict["metric"]:
            scores = " and ".join(f"'{each.recipe}' in {NAMES[each.verdict['metric']]}" for each in (first, other))
            raise UserError(f"{scores} cannot be compared; give both the same verdict.metric")
        if not _has_same_test(first, other):
            raise UserError(f"'{other.recipe}' was judged on other test images than '{first.recipe}'; {RULE}")


def _find_difference(one: Candidate, other: Candidate) -> str | None:
    """What makes the images of two recipes differ; None where they are the same, as far as it is known."""
    if one.content is not None and one.content == other.content:
        return None
    if one.source != other.source:
        return f"source {other.source} instead of {one.source}"
    if one.data != other.data:
        return _list_changes(one.data, other.data)
    if one.content is not None and other.content is not None:
        return "its seed draws others, or the source has changed between the runs"
    return None


def _list_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    changed = [key for key in after if after[key] != before.get(key)]
    return ", ".join(f"data.{key} {shorten(after[key])} instead of {shorten(before.get(key))}" for key in changed)


def _name_test(folds: int | None) -> str:
    return "its test split" if folds is None else f"{folds} folds of all images"


def _has_same_test(one: Finished, other: Finished) -> bool:
    same = one.images.ids.equals(other.images.ids)
    if one.images.folds is None or other.images.folds is None:
        return same
    return same and bool((one.images.folds == other.images.folds).all())
