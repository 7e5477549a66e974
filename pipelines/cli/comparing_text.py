"""A comparison of recipes as lines of text."""

from collections.abc import Mapping, Sequence
from typing import Any

from ops.machine.durations import describe_duration
from ops.study.comparing.facts import format_gain
from ops.verdict.metric import NAMES

SHOWN_CLASSES = 20  # of more, the page and --json show the rest


def format_comparison(facts: Mapping[str, Any]) -> list[str]:
    """The tables of verdicts, classes and costs, the answer, and what to be wary of."""
    finished = [row for row in facts["recipes"] if row["state"] == "finished"]
    lines = []
    if finished:
        images = f"{facts['test_images']:,} test images"
        lines += [
            f"{facts['source']}: {NAMES[facts['metric']]} on {images}; {_tell_intervals(facts)}",
            "",
            *tabulate(_list_verdicts(facts, finished)),
        ]
        if facts["leader"]:
            lines += ["", f"  points over {facts['best']['arm']} by class; * not 0, allowing for classes and recipes"]
            lines += tabulate(_list_classes(facts, finished))
            if (more := len(facts["classes"]) - SHOWN_CLASSES) > 0:
                lines.append(f"  … {more:,} more classes: on the page and in --json")
        lines += ["", *tabulate(_list_costs(finished)), ""]
    lines.append(facts["sentence"])
    lines += [f"- {warning}" for warning in facts["warnings"]]
    return lines


def _tell_intervals(facts: Mapping[str, Any]) -> str:
    if not facts["compared"]:
        return "no arm learnt from generated images, so there is no difference"
    together = f" that hold for all {facts['compared']} together" * (facts["compared"] > 1)
    return f"{100 * facts['confidence']:g} % intervals{together}"


def _list_verdicts(facts: Mapping[str, Any], finished: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    best, leader, compared = facts["best"]["arm"], facts["leader"], facts["compared"]
    behind = f"{leader} over it" if leader else "behind"
    several = compared > 1
    among = [f"among {compared}"] * several
    rows = [["recipe", "verdict", *among, "arm", "score", f"over {best}", "over its own", behind]]
    for row in finished:
        used = row["generator_used"]
        rows.append(
            [
                row["recipe"],
                row["decision"] if used else "not used",
                *[row["among"] if used else "–"] * several,
                row["challenger"] or "–",
                f"{row['score']['estimate']:.1%}" if row["score"] else "–",
                format_gain(row["over_best"]),
                format_gain(row["gain"]),
                format_gain(row["behind"]),
            ]
        )
    return rows


def _list_classes(facts: Mapping[str, Any], finished: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    shown = [row["recipe"] for row in finished if row["over_best"] is not None]
    rows = [["class", facts["best"]["arm"], *shown]]
    for entry in facts["classes"][:SHOWN_CLASSES]:
        cells = [entry["gains"][name] for name in shown]
        best = "–" if entry["best"] is None else f"{entry['best']:.1%}"
        rows.append([entry["name"], best, *(format_gain(c["difference"]) + " *" * c["clear"] for c in cells)])
    return rows


def _list_costs(finished: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    has_worth = any(row["worth"] for row in finished)
    rows = [["recipe", "generator", "images", "steps", "seeds", "time", "MB", *["worth in labels a class"] * has_worth]]
    for row in finished:
        time = describe_duration(row["total_seconds"]) if row["seconds"] else "–"
        rows.append(
            [
                row["recipe"],
                row["generator"],
                f"{row['generated']:,}",
                f"{row['steps']:,}",
                str(row["seeds"]),
                time,
                f"{row['bytes'] / 1e6:,.1f}",
                *[row["worth"] or "–"] * has_worth,
            ]
        )
    return rows


def tabulate(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with columns of equal width, two spaces apart."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
