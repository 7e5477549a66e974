"""The printed result of a run: arms, the reference model in a row of its own, the verdict."""

from __future__ import annotations

import pytest

from pipelines.cli.commands import show_result
from tests.reports import SENTENCE, make_reference, make_verdict


def test_the_linear_model_is_printed_below_the_arms_and_not_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    show_result(make_verdict() | {"report": "report.html", "seconds": 3.0})
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    (place,) = (number for number, line in enumerate(lines) if line.startswith("  a linear model"))
    assert lines[place - 2].startswith("  weighted") and lines[place + 1] == ""
    assert lines[place - 1].split(maxsplit=1) == [
        "blurred",
        "left out after one training, 32.1 points behind flipped on validation",
    ]
    assert "78.30%  [77.30%, 79.30%]  no arm: logistic regression on gradient histograms" in lines[place]
    assert SENTENCE in printed


def test_another_metric_of_the_linear_model_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    verdict = make_verdict() | {"metric": "worst_class"}
    verdict["reference"] = make_reference() | {"metric": "balanced_accuracy"}
    show_result(verdict | {"report": "report.html", "seconds": 3.0})
    assert "no arm: logistic regression on gradient histograms, balanced accuracy\n" in capsys.readouterr().out
