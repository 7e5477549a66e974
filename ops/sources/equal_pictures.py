"""Equal pictures in one source: in two splits, which is refused or mended, or with two labels in one split.

A picture is known by its content id, so names and formats of files play no part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ops.errors import UserError
from ops.sources.listing import SPLITS
from ops.sources.spec import SourceSpec
from ops.sources.splitting import LoadedSplit


@dataclass(frozen=True)
class Dispute:
    """The number of pictures of a split that have more than one label, and a sentence with an example.

    `refusal` is the sentence where that is not allowed.
    """

    split: str
    pictures: int
    sentence: str
    refusal: str


def leave_out_copies(loaded: Mapping[str, LoadedSplit]) -> tuple[dict[str, LoadedSplit], int]:
    """The splits without images of train and validation that a later split has too, and how many these are."""
    found, left_out = dict(loaded), 0
    for place, split in enumerate(SPLITS[:-1]):
        part = loaded[split]
        later = np.concatenate([loaded[other].ids for other in SPLITS[place + 1 :]])
        kept = np.flatnonzero(~np.isin(part.ids, later))
        left_out += len(part.ids) - len(kept)
        found[split] = part.select(kept)
    return found, left_out


def require_disjoint(spec: SourceSpec, loaded: Mapping[str, LoadedSplit]) -> None:
    """UserError for an image in two splits: an image seen in training or selection cannot serve as evidence."""
    for one, other in combinations(SPLITS, 2):
        here, there = loaded[one], loaded[other]
        shared = np.flatnonzero(np.isin(here.ids, there.ids))
        if len(shared):
            copy = int(np.flatnonzero(there.ids == here.ids[shared[0]])[0])
            raise UserError(
                f"source {spec.name}: {len(shared)} of {len(here.ids)} images of {one} are in {other} too,"
                f" e.g. {here.stack.name(int(shared[0]))} and {there.stack.name(copy)}; remove them from {one}, or set"
                " `skip_copies: true` in the description of the source"
            )


def suggest_remedy(source: str) -> str:
    """What to do about pictures with several labels."""
    return (
        f"list them with `growset inspect {source}`, then remove the wrong ones or set `allow_conflicts: true` in the"
        " description of the source"
    )


def find_dispute(spec: SourceSpec, split: str, part: LoadedSplit, names: tuple[str, ...]) -> Dispute | None:
    """Equal images with different labels. Published sources have some, so they are reported and not refused."""
    order = np.lexsort((part.labels, part.ids))
    ids, labels = part.ids[order], part.labels[order]
    beside = np.flatnonzero((ids[1:] == ids[:-1]) & (labels[1:] != labels[:-1]))
    if len(beside) == 0:
        return None
    pictures = len(np.unique(ids[beside]))
    one, other = int(order[beside[0]]), int(order[beside[0] + 1])
    places = " and ".join(f"{part.stack.name(i)} as {names[part.labels[i]]}" for i in (one, other))
    many = f"{pictures} pictures of {split} have" if pictures > 1 else f"1 picture of {split} has"
    found = f"source {spec.name}: {many} more than one label, e.g. {places}"
    return Dispute(
        split,
        pictures,
        f"{found}; no classifier is right on both",
        f"{found}; {suggest_remedy(spec.name)}",
    )
