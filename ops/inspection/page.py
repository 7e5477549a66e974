"""An inspection as HTML: one file that needs nothing but itself, or a section of the report.

Pictures of the test split are never shown: their places are named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ops.inspection.inspection import Inspection, count_duplicates
from ops.inspection.opening import Pictures
from ops.pictures.strips import STORED_SIDE, draw_strip

FOLDER = Path(__file__).parent
PAGE = "page.html"
CLASSES, ITEMS, OF_GROUP = 100, 24, 6  # that have a picture
ODD = {
    "outliers": "Unlike the rest of their class",
    "blank": "Blank",
    "noisy": "As sharp as noise",
    "blurred": "Far less sharp than the rest",
    "grey": "Grey among images in colour",
}


def render_inspection(inspection: Inspection) -> str:
    """The page; equal inspections give equal text."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(PAGE).render(inspection=collect_view(inspection))


def collect_view(inspection: Inspection, *, items: int = ITEMS, side: int = STORED_SIDE) -> dict[str, Any]:
    """What the section says and shows: numbers, sentences and pictures as data URIs, at most `items` of a kind, shrunk
    to `side` pixels."""
    facts, shown = inspection.facts, _Shown(inspection.pictures, side)
    groups = facts["duplicates"]
    gravest = sorted(groups, key=lambda group: (not group["across_splits"], not group["across_labels"]))
    return {
        **{key: facts[key] for key in ("source", "images", "drawn_splits", "looked_at", "transparent", "messages")},
        "classes": facts["classes"],
        "sheet": _draw_classes(facts, shown),
        "sizes": [_join(size) for size in facts["sizes"][:8]],
        "more_sizes": max(0, len(facts["sizes"]) - 8),
        "modes": facts["modes"],
        "unreadable": facts["unreadable"][:items],
        "unreadable_count": len(facts["unreadable"]),
        "duplicates": count_duplicates(facts),
        "groups": [_show_group(group, shown) for group in gravest[:items]],
        "group_count": len(groups),
        "labels": facts["labels"] | {"suspects": _show(facts["labels"]["suspects"][:items], shown)},
        "suspect_count": len(facts["labels"]["suspects"]),
        "looks": facts["looks"],
        "odd": [
            {"title": title, "count": len(facts[key]), "images": _show(facts[key][:items], shown)}
            for key, title in ODD.items()
            if facts[key]
        ],
    }


class _Shown:
    """The pictures that may be shown, drawn at a side."""

    def __init__(self, pictures: Pictures, side: int) -> None:
        self.labels, self.is_test = pictures.labels, pictures.splits == "test"
        self._images, self._side = pictures.images, side

    def draw(self, rows: Sequence[int]) -> dict[str, Any] | None:
        """A strip of those of the rows that are no test images; None if there is none."""
        allowed = [row for row in rows if not self.is_test[row]]
        return draw_strip(self._images[allowed], side=self._side) if allowed else None


def _draw_classes(facts: Mapping[str, Any], shown: _Shown) -> list[dict[str, Any]]:
    """The first image of each class that may be shown, if it has one: nobody picked it by eye."""
    firsts = []
    for label, entry in enumerate(facts["classes"][:CLASSES]):
        rows = np.flatnonzero((shown.labels == label) & ~shown.is_test)
        firsts.append({"name": entry["name"], "picture": shown.draw(rows[:1].tolist())})
    return firsts


def _show_group(group: Mapping[str, Any], shown: _Shown) -> dict[str, Any]:
    images = group["images"][:OF_GROUP]
    more = len(group["images"]) - len(images)
    return dict(group) | {"picture": shown.draw([image["row"] for image in images]), "images": images, "more": more}


def _show(records: Sequence[Mapping[str, Any]], shown: _Shown) -> list[dict[str, Any]]:
    return [dict(record) | {"picture": shown.draw([record["row"]])} for record in records]


def _join(size: Mapping[str, int]) -> str:
    return f"{size['width']} × {size['height']} ({size['images']:,})"
