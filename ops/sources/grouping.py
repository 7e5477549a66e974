"""Images that belong together, such as those of one patient: which column says so, and whether splits can keep them.

The module decides nothing about a described source; `growset init` writes what it finds into the description.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from ops.errors import UserError
from ops.sources.listing import SPLITS, Listing
from ops.sources.spec import SplitRule
from ops.sources.tables import find_spellings

COLUMNS = (  # names without case and signs
    "patientid", "patient", "patientcode", "subjectid", "subject", "participantid", "participant", "personid", "person",
    "individualid", "individual", "animalid", "lesionid", "lesion", "specimenid", "slideid", "videoid", "video",
    "sequenceid", "serialnumber", "groupid",
)  # fmt: skip


def find_group_column(frame: pl.DataFrame, label: str) -> str | None:
    """The first column with a known name of which some value has several rows, and that is not the column `label`."""
    plain = [column for column, kind in frame.schema.items() if column != label and not kind.is_nested()]
    columns = find_spellings(plain, COLUMNS)
    return next((column for column in columns if frame[column].drop_nulls().is_duplicated().any()), None)


def can_divide(rule: SplitRule | None, listings: Mapping[str, Listing]) -> bool:
    """Whether the splits, given or drawn by `rule`, keep groups whole: none lies in two given splits, each class has as
    many as there are splits where these are drawn, and test has two at least."""
    groups = {split: _name_groups(listing) for split, listing in listings.items()}
    train = listings["train"]
    if find_shared(listings):
        return False
    if rule is not None and min(_count_groups(train, groups["train"])) < len(SPLITS):
        return False
    if rule is None or rule.test is None:
        test = groups["test"]
    else:
        from ops.datasets.splits import assign_splits  # imports scipy, which takes a tenth of a second

        keys = [str(number) for number in range(len(train.labels))]
        shares = {"validation": rule.validation or 0.0, "test": rule.test}
        try:
            drawn = assign_splits(
                train.labels, keys, **shares, seed=0, groups=groups["train"], class_names=train.class_names
            )
        except UserError:
            return False
        test = [group for group, place in zip(groups["train"], drawn, strict=True) if place == SPLITS.index("test")]
    return len(set(test)) > 1


def find_shared(listings: Mapping[str, Listing]) -> set[str]:
    """The groups that have images in several splits."""
    found: set[str] = set()
    shared: set[str] = set()
    for listing in listings.values():
        assert listing.groups is not None
        own = set(listing.groups.tolist()) - {""}
        shared |= own & found
        found |= own
    return shared


def _count_groups(listing: Listing, groups: list[str]) -> list[int]:
    """The number of groups of each class."""
    pairs = set(zip(listing.labels.tolist(), groups, strict=True))
    return np.bincount([label for label, _ in pairs], minlength=len(listing.class_names)).tolist()


def _name_groups(listing: Listing) -> list[str]:
    """The group of each image; one that is in none is a group of its own."""
    assert listing.groups is not None
    return [group or f"/{number}" for number, group in enumerate(listing.groups.tolist())]
