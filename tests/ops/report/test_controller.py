"""The report's section on the controller."""

from __future__ import annotations

import re
from typing import Any

from ops.report.controller import collect_controller
from ops.report.page import render_page
from tests.reports import make_facts

LOG: dict[str, Any] = {
    "contenders": {
        "real": [
            {"strength": 1.0, "real_weight": None, "scores": [0.7, 0.75], "won": True},
            {"strength": 0.5, "real_weight": None, "scores": [0.65], "won": False},
        ],
        "inflated": [{"strength": 1.0, "real_weight": 10.0, "scores": [0.6, 0.61], "won": True}],
    },
    "rounds": [85, 1_170],
    "deciding": {"steps": 1_170, "seeds": 3, "real": 0.81, "inflated": 0.79, "low": -0.03},
    "sentence": "grown leaves out its generated images: it is -2.0 points",
}
ONLY = LOG | {
    "contenders": {"real": LOG["contenders"]["real"]},
    "deciding": None,
    "sentence": "flipped takes strength 1",
}


def test_it_shows_each_setting_by_round_and_what_decided() -> None:
    logs = {"accuracy": {"flipped": ONLY}, "worst_class": {"grown": LOG}}
    facts = {"controller": collect_controller([{"metric": name, "controller": log} for name, log in logs.items()])}
    page = render_page(make_facts() | facts)
    start = page.index("How much generated data, how much augmentation")
    section = page[start : page.index("</section>", start)]
    rows = [" ".join(re.sub(r"<[^>]*>", " ", row).split()) for row in re.findall(r"<tr>(.*?)</tr>", section, re.S)]
    assert rows == [
        "Setting Images 85 steps 1,170 steps",
        "strength 1 real 70.0 75.0",
        "strength 0.5 real 65.0",
        "Setting Images 85 steps 1,170 steps 3 fresh seeds, 1,170 steps",
        "strength 1, N 10 real and generated 60.0 61.0 79.0",
        "strength 1 real 70.0 75.0 81.0",
        "strength 0.5 real 65.0",
    ]
    assert "flipped takes strength 1." in section and "it is \N{MINUS SIGN}2.0 points." in section
    assert "Accuracy on validation in %" in section and "Balanced accuracy on validation in %" in section


def test_without_auto_the_report_has_no_such_section() -> None:
    assert collect_controller([{"metric": "accuracy", "arms": {}}]) == []
    assert "How much generated data, how much augmentation" not in render_page(make_facts())
