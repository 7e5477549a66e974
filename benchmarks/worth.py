"""How often the interval of a worth in labels covers the truth, for curves of laws that are known.

Two of the laws are none of the family that is fitted: an exponential, and an arc tangent whose bend lies among the
measured sizes, so that what was measured does not say how it goes on.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.parts.harness import Row, use_cores, write_result
from benchmarks.parts.label_curves import LAWS, Setting, measure_coverage

GAINS, TRIALS = (-0.02, 0.0, 0.01, 0.03), 300
SETTINGS = {"1,000 images": Setting(), "250 images": Setting(images=250, spread=0.03)}
FITTED = ("power", "power without a floor", "logarithm")  # laws of the family


def run() -> Path:
    """Simulate every law and setting, write results/worth.json."""
    rows, covered = [], {}
    with use_cores(1):
        for name, law in LAWS.items():
            for place, setting in SETTINGS.items():
                for gain, (held, beyond) in measure_coverage(law, GAINS, TRIALS, 0, setting).items():
                    told = f"{name}, {place}, gain {100 * gain:+g} points"
                    covered[name, place, gain] = held
                    rows.append(Row(told, round(held, 4), f"covered of {TRIALS}; {beyond:.0%} end beyond the curve"))
    ratios = {
        "worth_coverage_min": min(held for (name, *_), held in covered.items() if name in FITTED),
        "worth_coverage_other_laws_min": min(held for (name, *_), held in covered.items() if name not in FITTED),
    }
    return write_result("worth", rows, ratios)
