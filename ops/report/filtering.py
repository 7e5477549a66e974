"""The report's facts on the filters: funnel, classes, rules, and the test for copying.

It arranges the results of `ops.filters` and computes nothing itself; `ops.report.galleries` makes the pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ops.filters.reasons import REASONS, SURPLUS
from ops.filters.results import STOPPED, AppliedRule, Results, read_results
from ops.report.galleries import collect_galleries, collect_nearest


def collect_filters(inputs: Mapping[str, Path]) -> dict[str, Any]:
    """The report's facts on the filters, with pictures.

    `inputs` are the output folders of real_images, expansion_plan, generated_images and accepted_images.
    """
    results = read_results(inputs["accepted_images"], inputs["expansion_plan"])
    return describe_filters(results) | {
        "galleries": collect_galleries(results, inputs),
        "nearest": collect_nearest(results, inputs),
    }


def describe_filters(results: Results) -> dict[str, Any]:
    """The facts without pictures: strings, numbers and lists."""
    funnel, held_out = results.funnel, results.held_out_counts
    copying = results.copying.to_dict()
    named = zip(results.class_names, copying["classes"], strict=True)
    return {
        "funnel": {
            **funnel.total.to_dict(),
            "wanted": funnel.wanted,
            "missing": funnel.missing,
            "steps": list_steps(results),
            "rounds": [
                {"drawn": flow.drawn, "rejected": sum(flow.rejected.values()), "surplus": flow.surplus,
                 "accepted": flow.accepted}
                for flow in funnel.rounds
            ],
        },
        "shown": [{"reason": reason, "title": REASONS[reason].title} for reason in results.shown_reasons],
        "classes": [
            {**entry.to_dict(), "real": planned.real, "stopped": STOPPED[stopped]}
            for entry, planned, stopped in zip(funnel.classes, results.plan, results.stopped, strict=True)
        ],
        "rules": [_describe_rule(rule, rule.reject_real(held_out)) for rule in results.rules],
        "held_out": sum(held_out),
        "copying": copying | {"classes": [{"name": name, **entry} for name, entry in named]},
        "assigned": results.assigned,
        "doubt": results.doubt,
        "safety_checked": results.is_safety_checked,
        "flagged": results.flagged_sentence,
    }  # fmt: skip


def list_steps(results: Results) -> list[dict[str, Any]]:
    """The steps from drawn to accepted images: each removes `count` images from `before` and leaves `after`."""
    flow = results.funnel.total
    steps, left = [], flow.drawn
    for reason in results.shown_reasons:
        count = flow.rejected[reason]
        steps.append(
            {"title": REASONS[reason].title, "meaning": REASONS[reason].meaning, "count": count,
             "flagged": flow.flagged[reason], "before": left, "after": left - count}
        )  # fmt: skip
        left -= count
    passed = "passed every rule, but its class was full"
    steps.append({"title": SURPLUS, "meaning": passed, "count": flow.surplus, "flagged": flow.surplus,
                  "before": left, "after": left - flow.surplus})  # fmt: skip
    return steps


def _describe_rule(rule: AppliedRule, real_rejected: float | None) -> dict[str, Any]:
    low, high = rule.range or (None, None)
    return {
        "title": REASONS[rule.reason].title,
        "meaning": REASONS[rule.reason].meaning,
        "score": rule.score.replace("_", " "),
        "side": rule.side,
        "low": low,
        "high": high,
        "calibrated": rule.calibrated,
        "pooled": sum(rule.pooled),
        "real_rejected": real_rejected,
        "classes": [
            {"threshold": threshold, "images": images, "real_rejected": rejected, "pooled": pooled}
            for threshold, images, rejected, pooled in zip(
                rule.thresholds, rule.calibration_images, rule.real_rejected, rule.pooled, strict=True
            )
        ],
    }
