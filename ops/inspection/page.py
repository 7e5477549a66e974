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
from ops.pictures.strips import draw_strip

FOLDER = Path(__file__).parent
PAGE, SECTION = "page.html", "section.html"
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


def collect_view(inspection: Inspection, items: int = ITEMS) -> dict[str, Any]:
    """What the section says and shows: numbers, sentences and pictures as data URIs, `items` of a kind at most."""
    facts, pictures = inspection.facts, inspection.pictures
    groups = facts["duplicates"]
    gravest = sorted(groups, key=lambda group: (not group["across_splits"], not group["across_labels"]))
    return {
        **{key: facts[key] for key in ("source", "images", "drawn_splits", "looked_at", "transparent", "messages")},
        "classes": facts["classes"],
        "sheet": _draw_classes(facts, pictures),
        "sizes": [_join(size) for size in facts["sizes"][:8]],
        "more_sizes": max(0, len(facts["sizes"]) - 8),
        "modes": facts["modes"],
        "unreadable": facts["unreadable"][:items],
        "unreadable_count": len(facts["unreadable"]),
        "duplicates": count_duplicates(facts),
        "groups": [_show_group(group, pictures) for group in gravest[:items]],
        "group_count": len(groups),
        "labels": facts["labels"] | {"suspects": _show(facts["labels"]["suspects"][:items], pictures)},
        "suspect_count": len(facts["labels"]["suspects"]),
        "looks": facts["looks"],
        "odd": [
            {"title": title, "count": len(facts[key]), "images": _show(facts[key][:items], pictures)}
            for key, title in ODD.items()
            if facts[key]
        ],
    }


def _draw_classes(facts: Mapping[str, Any], pictures: Pictures) -> list[dict[str, Any]]:
    """The first shown image of each class, if it has one: nobody picked it by eye."""
    shown = []
    for label, entry in enumerate(facts["classes"][:CLASSES]):
        rows = np.flatnonzero((pictures.labels == label) & (pictures.splits != "test"))
        shown.append({"name": entry["name"], "picture": _draw(pictures, rows[:1])})
    return shown


def _show_group(group: Mapping[str, Any], pictures: Pictures) -> dict[str, Any]:
    images = group["images"][:OF_GROUP]
    rows = [image["row"] for image in images if image["split"] != "test"]
    return dict(group) | {
        "picture": _draw(pictures, np.array(rows, np.int64)),
        "images": images,
        "more": len(group["images"]) - len(images),
    }


def _show(records: Sequence[Mapping[str, Any]], pictures: Pictures) -> list[dict[str, Any]]:
    return [
        dict(record) | {"picture": _draw(pictures, np.array([record["row"]] if record["split"] != "test" else [], int))}
        for record in records
    ]


def _draw(pictures: Pictures, rows: np.ndarray) -> dict[str, Any] | None:
    return draw_strip(pictures.images[rows]) if len(rows) else None


def _join(size: Mapping[str, int]) -> str:
    return f"{size['width']} × {size['height']} ({size['images']:,})"
