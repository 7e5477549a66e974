"""From drawn to accepted images: how many are rejected for which reason, per class, per round and in all.

Each rejected image is counted once, at its first reason, so the steps add up exactly:
drawn = rejected + surplus + accepted. Beside that, each reason is counted wherever it was found; these counts overlap.
It reads the reasons that the rules wrote and knows nothing of scores, thresholds or files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from ops.filters.reasons import REASONS, SURPLUS
from ops.statistics.proportions import Estimate, estimate_share


@dataclass(frozen=True)
class Counts:
    """Counts of drawn images by outcome.

    rejected: by first reason, in the order of the rules; each rejected image once. flagged: by any reason; an image may
    be counted for several. surplus: images that break no rule, but whose class was full.
    """

    drawn: int
    rejected: dict[str, int]
    flagged: dict[str, int]
    surplus: int
    accepted: int

    @property
    def passed(self) -> int:
        """Images that no rule rejects."""
        return self.accepted + self.surplus

    @property
    def acceptance(self) -> Estimate | None:
        """Share of the drawn images that no rule rejects, with Wilson's 95 % interval; None if none was drawn."""
        return estimate_share(self.passed, self.drawn) if self.drawn else None

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers by name, for JSON."""
        rate = self.acceptance
        return {**asdict(self), "passed": self.passed, "acceptance": None if rate is None else asdict(rate)}


@dataclass(frozen=True)
class ClassCounts:
    """One class: the number wanted, the counts of its draws, and (drawn, accepted) of every round."""

    name: str
    wanted: int
    counts: Counts
    rounds: tuple[tuple[int, int], ...]

    @property
    def missing(self) -> int:
        return max(0, self.wanted - self.counts.accepted)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers by name, for JSON; `rounds` are {drawn, accepted}."""
        rounds = [{"drawn": drawn, "accepted": accepted} for drawn, accepted in self.rounds]
        head = {"name": self.name, "wanted": self.wanted, "missing": self.missing}
        return {**head, **self.counts.to_dict(), "rounds": rounds}


@dataclass(frozen=True)
class Funnel:
    """The whole set, its classes in label order, and its rounds of generation in order; each of the three adds up."""

    total: Counts
    classes: tuple[ClassCounts, ...]
    rounds: tuple[Counts, ...]

    @property
    def wanted(self) -> int:
        return sum(entry.wanted for entry in self.classes)

    @property
    def missing(self) -> int:
        """Images that classes lack, added up; one class's surplus does not make up for another's lack."""
        return sum(entry.missing for entry in self.classes)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers by name, for JSON."""
        return {
            "wanted": self.wanted,
            "missing": self.missing,
            **self.total.to_dict(),
            "classes": [entry.to_dict() for entry in self.classes],
            "rounds": [counts.to_dict() for counts in self.rounds],
        }


def count_funnel(index: pl.DataFrame, class_names: Sequence[str], wanted: Sequence[int]) -> Funnel:
    """The funnel of an index with the columns label, round, keep and reasons; only these are read.

    ValueError if an image is kept with reasons, rejected without any, or rejected for an unknown one; if `surplus`
    stands beside another reason; if a label has no name; or if `wanted` and the names differ in length.
    """
    if len(wanted) != len(class_names):
        raise ValueError(f"{len(class_names)} classes have {len(wanted)} numbers of wanted images")
    rows = index.select("label", "round", "keep", "reasons")
    _check(rows, len(class_names))
    rounds = 1 + max(rows["round"].to_list(), default=-1)
    first = _count(rows.with_columns(reason=pl.col("reasons").list.first()).drop_nulls("reason"))
    flagged = _count(rows.explode("reasons").rename({"reasons": "reason"}).drop_nulls("reason"))
    drawn = _count(rows.with_columns(reason=pl.lit("drawn")))
    accepted = _count(rows.filter("keep").with_columns(reason=pl.lit("accepted")))

    def build(labels: Sequence[int], of_rounds: Sequence[int]) -> Counts:
        def total(counts: Mapping[tuple[int, int, str], int], reason: str) -> int:
            return sum(counts.get((label, number, reason), 0) for label in labels for number in of_rounds)

        return Counts(
            drawn=total(drawn, "drawn"),
            rejected={reason: total(first, reason) for reason in REASONS},
            flagged={reason: total(flagged, reason) for reason in REASONS},
            surplus=total(first, SURPLUS),
            accepted=total(accepted, "accepted"),
        )

    every_label, every_round = range(len(class_names)), range(rounds)
    classes = []
    for label, (name, want) in enumerate(zip(class_names, wanted, strict=True)):
        steps = [
            (drawn.get((label, number, "drawn"), 0), accepted.get((label, number, "accepted"), 0))
            for number in every_round
        ]
        classes.append(ClassCounts(name, int(want), build([label], every_round), tuple(steps)))
    return Funnel(
        total=build(every_label, every_round),
        classes=tuple(classes),
        rounds=tuple(build(every_label, [number]) for number in every_round),
    )


def _check(rows: pl.DataFrame, classes: int) -> None:
    """Check that the reasons add up; ValueError as in `count_funnel`."""
    if wrong := len(rows.filter(pl.col("keep") == (pl.col("reasons").list.len() > 0))):
        raise ValueError(f"{wrong} images are kept with reasons against them, or rejected without any")
    known = {*REASONS, SURPLUS}
    found = set(rows["reasons"].explode().drop_nulls().unique())
    if unknown := sorted(found - known):
        raise ValueError(f"reason {unknown[0]!r} is not known; allowed: {', '.join(sorted(known))}")
    if len(rows.filter(pl.col("reasons").list.contains(SURPLUS) & (pl.col("reasons").list.len() > 1))):
        raise ValueError(f"{SURPLUS!r} stands beside other reasons, but an image with other reasons is not surplus")
    if len(rows.filter((pl.col("label") < 0) | (pl.col("label") >= classes))):
        raise ValueError(f"labels must lie in 0..{classes - 1}")


def _count(rows: pl.DataFrame) -> dict[tuple[int, int, str], int]:
    """Rows by (label, round, reason)."""
    counted = rows.group_by("label", "round", "reason").len()
    return {(label, number, reason): count for label, number, reason, count in counted.iter_rows()}
