"""The controller's lines: what stands in them of a start and of a decision."""

from __future__ import annotations

from ops.recipe.arms import Arm
from ops.recipe.control import build_schedule
from ops.tuning.control.decision import Decision
from ops.tuning.control.start import Choice, Quality, find_start
from ops.tuning.control.telling import describe_decision, describe_start

BOTH = Arm.model_validate({"strength": "auto", "real_weight": "auto"})


def test_a_start_says_what_it_follows_from_and_what_is_open() -> None:
    quality = Quality(0.8, 0.5, 4.0, 1.0)
    found = describe_start(find_start(100, 400, quality), BOTH, real=100, generated=400, quality=quality)
    assert found == (
        "starts at strength 1, N 20: 100 real and 400 generated images count as 200 real ones; a classifier tells them"
        " apart with 80 %, so their total variation is at least 0.50; Fréchet distance 4, of real images 1"
    )
    weight = Arm.model_validate({"strength": 0.5, "real_weight": "auto"})
    found = describe_start(find_start(100, 400), weight, real=100, generated=400, quality=Quality())
    assert found == "starts at N 10: 100 real and 400 generated images count as 500 real ones"
    real = Arm.model_validate({"strength": "auto"})
    found = describe_start(find_start(1_200), real, real=1_200, generated=0, quality=Quality())
    assert found == "starts at strength 1: 1,200 real images"


def test_a_decision_says_both_settings_the_gain_and_how_sure_it_is() -> None:
    lost = Decision(real=0.8, inflated=0.79, gain=-0.01, error=0.01, low=-0.031)
    found = describe_decision("y", Choice(0.5), Choice(1.0, 10.0), lost, build_schedule(800, 5))
    assert found == (
        "y leaves out its generated images, and learns from real ones at strength 0.5: with them strength 1, N 10 is"
        " 1.0 points worse on validation than strength 0.5 without, with 95 % confidence perhaps 3.1 worse (3 fresh"
        " seeds of 170 steps each)"
    )
