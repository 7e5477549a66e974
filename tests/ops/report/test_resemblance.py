"""The answer follows from the figures and their thresholds, and figures that are not known are left out."""

from __future__ import annotations

from typing import Any

import pytest

from ops.report.resemblance import judge_resemblance

COPYING = {
    "decision": "no sign", "nearer": {"estimate": 0.42}, "near_generated": {"estimate": 0.003},
    "near_held_out": {"estimate": 0.008},
}  # fmt: skip
DISTANCES = [
    {"extractor": "scorer", "value": 1.0, "reference": 0.5},
    {"extractor": "random", "value": 0.9, "reference": 0.4},
]


def judge(**changes: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "usability": {"position": 0.95}, "assigned": {"generated": 0.87, "real": 0.84}, "distances": DISTANCES,
        "copying": COPYING,
    }  # fmt: skip
    return judge_resemblance(**facts | changes)


def test_all_figures_near_those_of_real_images() -> None:
    found = judge()
    assert found["answer"].startswith("The generated images look like real ones, by every figure")
    assert [sign["holds"] for sign in found["signs"]] == [True] * 4
    assert [sign["says"] for sign in found["signs"]] == [
        "They lie 95 % of the way from images that show nothing to other real images; 90 % or more counts as near.",
        "The scorer puts 87.0 % of all drawn images in their class, 84.0 % of real ones; up to 10 points fewer count as"
        " near.",
        "The accepted ones are 2.2 times as far from held-out real images as other real images are (Fréchet distance,"
        " features of the random network, the less favourable one); up to 3 times counts as near.",
        "42 % come nearer to a training image than an unseen real image does (50 % without copying), and 0.3 % are near"
        " copies of one, 0.8 % of real images: no sign of copying.",
    ]


@pytest.mark.parametrize(
    ("changes", "place", "answer"),
    [
        ({"usability": {"position": 0.89}}, 0, "only in part: 2 of 3 figures"),
        ({"usability": {"position": 0.54}}, 0, "do not look like real ones"),
        ({"assigned": {"generated": 0.73, "real": 0.84}}, 1, "only in part: 2 of 3 figures"),
        ({"distances": [*DISTANCES, {"extractor": "x", "value": 31, "reference": 10}]}, 2, "only in part: 2 of 3"),
        ({"copying": COPYING | {"decision": "copies"}}, 3, "but they come nearer to training images than unseen"),
    ],
)
def test_a_figure_beyond_its_threshold_fails(changes: dict[str, Any], place: int, answer: str) -> None:
    found = judge(**changes)
    assert [number for number, sign in enumerate(found["signs"]) if not sign["holds"]] == [place]
    assert answer in found["answer"] and found["answer"].endswith(".")


def test_unknown_figures_are_left_out() -> None:
    few = [{"extractor": "scorer", "value": None, "reference": None}]
    unknown = judge(usability={"position": None}, assigned=None, distances=few, copying=COPYING | {"nearer": None})
    assert unknown["signs"] == [] and "is not known" in unknown["answer"]
    assert len(judge(assigned=None)["signs"]) == 3
