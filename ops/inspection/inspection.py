"""Everything that an inspection finds, as plain facts: lists of records that JSON, text and a page are made of.

Lists are complete and the worst come first. Nothing here is refused or decided, but for what the messages call a fault.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ops.inspection.duplicates import Group, find_exact, find_near
from ops.inspection.features import describe_set
from ops.inspection.label_errors import LabelErrors, find_label_errors
from ops.inspection.looks import find_blank, find_blurred, find_grey, find_noisy, measure, summarise
from ops.inspection.messages import write_messages
from ops.inspection.opening import Counts, Pictures
from ops.inspection.outliers import find_outliers
from ops.machine.progress import Sink, ignore

LEAST = 2  # images that can be compared at all


@dataclass(frozen=True, eq=False)
class Inspection:
    """facts: what JSON holds. pictures: the images that its records name by their `row`."""

    facts: dict[str, Any]
    pictures: Pictures


def inspect_pictures(
    pictures: Pictures, counts: Counts, *, name: str, drawn: Sequence[str] = (), sink: Sink = ignore
) -> Inspection:
    """The facts about a source's pictures. `drawn` names splits that are drawn from train later."""
    groups = find_exact(pictures.ids)
    sink(f"duplicates: pictures that are there more than once: {len(groups)}")
    groups += find_near(pictures.images, pictures.labels, pictures.ids, sink=sink)
    axes = describe_set(pictures.images) if len(pictures) >= LEAST else np.zeros((len(pictures), 1))
    sink("labels: a classifier that did not see an image judges its label")
    errors = find_label_errors(axes, pictures.labels, pictures.units)
    outliers, far = find_outliers(axes, pictures.labels)
    seen = measure(pictures.images)
    odd = {
        "blank": find_blank(seen),
        "blurred": find_blurred(seen),
        "noisy": find_noisy(seen),
        "grey": find_grey(pictures.images, seen) if len(pictures) else np.empty(0, np.int64),
    }
    records = _Records(pictures, counts.class_names)
    facts = {
        "source": name,
        "images": dict(zip(counts.splits, counts.images.sum(axis=0).tolist(), strict=True)),
        "drawn_splits": list(drawn),
        "looked_at": len(pictures),
        "classes": [
            {"name": label, **dict(zip(counts.splits, row.tolist(), strict=True))}
            for label, row in zip(counts.class_names, counts.images, strict=True)
        ],
        "sizes": [{"width": w, "height": h, "images": n} for (w, h), n in Counter(pictures.sizes).most_common()],
        "modes": [{"mode": mode, "images": n} for mode, n in Counter(pictures.modes).most_common()],
        "transparent": pictures.transparent,
        **({} if pictures.shallow is None else {"shallow": pictures.shallow}),
        "unreadable": [{"name": where, "why": why} for where, why in pictures.unreadable],
        "duplicates": [_describe_group(group, pictures, records) for group in groups],
        "labels": _describe_labels(errors, records),
        "outliers": [
            records.describe(row) | {"deviations": round(float(out), 2)} for row, out in zip(outliers, far, strict=True)
        ],
        "looks": summarise(seen),
        **{what: [records.describe(row) for row in rows] for what, rows in odd.items()},
    }
    return Inspection({**facts, "messages": write_messages(facts)}, pictures)


class _Records:
    """An image as a record."""

    def __init__(self, pictures: Pictures, class_names: Sequence[str]) -> None:
        self._pictures, self.class_names = pictures, class_names

    def describe(self, row: Any) -> dict[str, Any]:
        pictures = self._pictures
        return {
            "row": int(row),
            "name": pictures.names[row],
            "split": str(pictures.splits[row]),
            "label": self.class_names[pictures.labels[row]],
        }


def _describe_group(group: Group, pictures: Pictures, records: _Records) -> dict[str, Any]:
    return {
        "kind": group.kind,
        "across_splits": group.spans(pictures.splits),
        "across_labels": group.spans(pictures.labels),
        "across_units": pictures.units is None or group.spans(pictures.units),
        "mirrored": group.mirrored,
        "distance": round(group.distance, 3),
        "images": [records.describe(row) for row in group.rows],
    }


def _describe_labels(errors: LabelErrors, records: _Records) -> dict[str, Any]:
    skill = errors.skill
    found = zip(errors.rows, errors.suggested, errors.own, errors.other, strict=True)
    return {
        "judged": errors.judged,
        "accuracy": None if skill is None else round(skill.accuracy, 4),
        "chance": None if skill is None else round(skill.chance, 4),
        "suspects": [
            records.describe(row)
            | {
                "suggested": records.class_names[suggested],
                "probability": round(float(own), 4),
                "suggested_probability": round(float(other), 4),
            }
            for row, suggested, own, other in found
        ],
    }


def count_duplicates(facts: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """By kind: groups, the images in them, and how many groups lie across splits and across labels."""
    counted = {}
    for kind in ("exact", "near"):
        groups = [group for group in facts["duplicates"] if group["kind"] == kind]
        counted[kind] = {
            "groups": len(groups),
            "images": sum(len(group["images"]) for group in groups),
            "across_splits": sum(group["across_splits"] for group in groups),
            "across_labels": sum(group["across_labels"] and not group["mirrored"] for group in groups),
        }
    return counted
