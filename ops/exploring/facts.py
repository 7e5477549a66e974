"""What the page is told once, before any column: counts, names, rules and the distribution of each score.

Plain values for JSON. The module reads no files.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.exploring.columns import CHUNK_ROWS, MISSING
from ops.exploring.rows import KINDS, NEIGHBOURS, REASON_BITS, Rows
from ops.exploring.sheets import Layout
from ops.filters.reasons import REASONS, SURPLUS
from ops.filters.results import Results

BINS = 32  # bars of a score's histogram
TAIL = 0.001  # share of values beyond each end of a histogram, so that a single one does not flatten the others
MEANINGS = {
    "clip_agreement": "CLIP's probability of the image's label",
    "unsafe_probability": "the safety classifier's probability that the image is unsafe",
    "contrast": "deviation of the grey levels",
    "structure": "contrast after averaging down to 8 × 8; low: hardly anything to see",
    "saturation": "share of pixels at their darkest or brightest",
    "label_probability": "the scorer's probability of the image's label",
    "label_margin": "that probability minus the one of the next best class",
    "typicality": "low: far from real images of its class in the scorer's features",
    "naturalness": "low: a texture unlike that of real images",
    "train_distance": "distance to the nearest other training image; 0: the same picture, 1: as far as usual",
    "held_out_distance": "the same to the nearest validation image; blank where a test image is nearer",
    "generated_distance": "the same to the nearest earlier generated image of its class",
    "parent_distance": "the same to the training image that it is a variant of",
}


def collect_facts(expansion: str, rows: Rows, results: Results, layout: Layout, notes: list[str]) -> dict[str, Any]:
    """The content of facts.js."""
    reasons = rows.frame["reasons"].to_numpy()
    phrases = {name: reason.meaning for name, reason in REASONS.items()}
    phrases[SURPLUS] = "breaks no rule, but its class was full"
    counts = {name: int(np.count_nonzero(reasons & bit)) for name, bit in REASON_BITS.items()}
    return {
        "expansion": expansion,
        "rows": len(rows),
        "chunk_rows": CHUNK_ROWS,
        "missing": MISSING,
        "classes": results.class_names,
        "kinds": [{"name": name, "count": count} for name, count in zip(KINDS, rows.count_kinds(), strict=True)],
        "reasons": [
            {"title": name.replace("_", " "), "meaning": phrases[name], "bit": bit, "count": counts[name]}
            for name, bit in REASON_BITS.items()
            if counts[name]
        ],
        "scores": [_describe_score(name, rows) for name in rows.scores],
        "rules": [
            {
                "reason": rule.reason.replace("_", " "),
                "score": rule.score,
                "side": rule.side,
                "thresholds": list(rule.thresholds),
            }
            for rule in results.rules
        ],
        "neighbours": [{"column": name, "title": title} for name, title in NEIGHBOURS.items()],
        "sheet": {
            "width": layout.width,
            "height": layout.height,
            "across": layout.across,
            "down": layout.down,
            "extension": layout.extension,
        },
        "notes": notes,
    }


def _describe_score(name: str, rows: Rows) -> dict[str, Any]:
    """Range and histogram: `counts` of accepted images, and of all others that have the score, in BINS equal bins."""
    values = rows.frame[name].to_numpy()
    known = np.isfinite(values)
    found = values[known]
    accepted = (rows.frame["kind"].to_numpy() == KINDS.index("accepted"))[known]
    low, high = (float(end) for end in np.quantile(found, [TAIL, 1 - TAIL])) if len(found) else (0.0, 0.0)
    low, high = (low, high) if low < high else (low - 0.5, low + 0.5)
    place = np.clip((found - low) / (high - low) * BINS, 0, BINS - 1).astype(np.int64)
    return {
        "name": name,
        "title": name.replace("_", " "),
        "meaning": MEANINGS.get(name, ""),
        "low": low,
        "high": high,
        "accepted": np.bincount(place[accepted], minlength=BINS).tolist(),
        "others": np.bincount(place[~accepted], minlength=BINS).tolist(),
    }
