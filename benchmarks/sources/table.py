"""The table of `growset bench sources`, and the messages below it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

HEADS = (
    "source",
    "train/val/test",
    "baseline",
    "reference",
    "chance",
    "verdict",
    "accepted",
    "min",
    "planned",
    "state",
)


def format_table(found: Sequence[dict[str, Any]]) -> str:
    """Accuracies on test in %, balanced ones in brackets; a dash for what was not reached."""
    rows = [HEADS, *(_format_row(each) for each in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += [f"{each['source']}: {message}" for each in found for message in each["messages"]]
    return "\n".join(lines)


def _format_row(each: dict[str, Any]) -> tuple[str, ...]:
    images, baseline, reference = each.get("images"), each.get("baseline"), each.get("reference")
    return (
        each["source"],
        "/".join(str(count) for count in images.values()) if images else "-",
        f"{_format_accuracy(baseline)} {baseline['arm']}" if baseline else "-",
        _format_accuracy(reference) if reference else "-",
        f"{100 * each['chance']:.1f}" if "chance" in each else "-",
        _name_verdict(each["verdict"]) if "verdict" in each else "-",
        f"{100 * each['accepted']['accept_rate']:.0f} %" if "accepted" in each else "-",
        f"{each['minutes']:.1f}",
        f"{each['planned']:.1f}" if each.get("planned") else "-",
        each["state"] + (f", until {each['until']}" if each.get("until") else ""),
    )


def _name_verdict(verdict: dict[str, Any]) -> str:
    return verdict["decision"] if verdict["generator_used"] else "generator not used"


def _format_accuracy(scores: dict[str, Any]) -> str:
    return f"{100 * scores['accuracy']:.1f} ({100 * scores['balanced']:.1f})"
