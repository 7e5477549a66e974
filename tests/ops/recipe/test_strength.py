"""One strength: the published settings are on its way, each value may be given, and nothing is refused silently."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from ops.recipe.arms import Arm
from ops.recipe.ingredients.pairings import Mixup, NoPairing
from ops.recipe.ingredients.views import PRESETS, Standard, Views
from ops.recipe.strength import weaken_labelled, weaken_views

# AdaInf's CIFAR configurations: crop, jitter, brightness, contrast, saturation, hue, grey, blur, solarize of view 2.
PUBLISHED = {
    "standard": (0.08, 0.8, 0.8, 0.8, 0.8, 0.2, 0.2, 0.5, 0.0),
    "weak": (0.08, 0.8, 0.4, 0.4, 0.4, 0.1, 0.2, 0.5, 0.0),
    "adainf": (0.2, 0.4, 0.4, 0.4, 0.4, 0.1, 0.2, 0.5, 0.0),
    "asymmetric": (0.08, 0.8, 0.4, 0.4, 0.2, 0.1, 0.2, 0.0, 0.2),
    "asymmetric_adainf": (0.2, 0.4, 0.4, 0.4, 0.2, 0.1, 0.2, 0.0, 0.2),
}
KEYS = ("crop", "jitter", "brightness", "contrast", "saturation", "hue", "grey", "blur", "solarize")
USED: dict[str, tuple[Standard, str]] = {  # by each trainer: its own standard, and AdaInf's weaker setting
    "simclr": ("standard", "adainf"),
    "moco": ("weak", "adainf"),
    "byol": ("asymmetric", "asymmetric_adainf"),
    "barlow_twins": ("asymmetric", "asymmetric_adainf"),
}


def read(views: Any) -> tuple[float, ...]:
    assert isinstance(views, Views)
    return tuple(getattr(views, key) for key in KEYS)


def parse(**keys: Any) -> Arm:
    return Arm.model_validate(keys)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_preset_holds_the_published_numbers(name: str) -> None:
    assert tuple(PRESETS[name][key] for key in KEYS) == PUBLISHED[name]
    assert read(Views.model_validate({"preset": name})) == PUBLISHED[name]
    assert Views.model_validate({"preset": name, "crop": 0.3}).crop == 0.3


@pytest.mark.parametrize("trainer", USED)
def test_1_is_a_trainers_own_standard_and_a_half_is_adainfs(trainer: str) -> None:
    full, half = (PUBLISHED[name] for name in USED[trainer])
    assert read(parse(trainer=trainer).augmentation) == full
    assert read(parse(trainer=trainer, strength=1.0).augmentation) == full
    assert read(parse(trainer=trainer, strength=0.5).augmentation) == pytest.approx(half)


@pytest.mark.parametrize("standard", ["standard", "weak", "asymmetric"])
def test_views_grow_weaker_all_the_way_and_end_without_crop_and_jitter(standard: Standard) -> None:
    steps = [weaken_views(s / 20, standard) for s in range(21)]
    crops = [step["crop"] for step in steps]
    assert crops[0] == 1 and crops == sorted(crops, reverse=True) and len(set(crops)) == 21
    for key in ("jitter", "brightness", "hue"):
        amounts = [step[key] for step in steps]
        assert amounts[0] == 0 and amounts == sorted(amounts)
    for key in ("grey", "blur", "solarize"):
        assert len({step[key] for step in steps}) == 1


def test_supervised_training_follows_the_same_knob() -> None:
    arm = parse(strength=0.5)
    found = arm.augmentation.model_dump()
    assert (found["kind"], found["strength"], found["shift"]) == ("randaugment", 5.0, 1 / 16)
    assert arm.pairing == Mixup(alpha=0.5)
    full = parse(strength=1.0)
    assert full.augmentation.model_dump()["strength"] == 10 and full.pairing == Mixup(alpha=1.0)
    none = parse(strength=0.0)
    assert none.augmentation.model_dump() == {"kind": "flip_crop", "strength": 0.0} and none.pairing == NoPairing()


def test_each_value_may_be_given() -> None:
    views = parse(trainer="simclr", strength=0.5, augmentation={"kind": "views", "crop": 0.3, "flip": 0.0})
    assert read(views.augmentation) == (0.3, *PUBLISHED["adainf"][1:])
    assert parse(strength=0.5, pairing="none").pairing == NoPairing()
    assert parse(strength=0.5, augmentation="flip_crop").pairing == Mixup(alpha=0.5)


def test_an_arm_means_the_same_when_it_is_read_again() -> None:
    for keys in ({"strength": 0.3}, {"trainer": "byol", "strength": 0.3}, {"trainer": "moco"}, {"beta": 0.4}):
        arm = parse(**keys)
        assert parse(**arm.model_dump()) == arm and parse(**arm.model_dump(mode="json")) == arm


def test_arms_without_these_keys_are_dumped_as_before() -> None:
    assert not {"strength", "beta"} & set(Arm().model_dump())


@pytest.mark.parametrize("strength", [-0.1, 1.1, "much", True])
def test_other_strengths_are_refused(strength: Any) -> None:
    for trainer in ("supervised", "simclr"):
        with pytest.raises(ValidationError, match="strength"):
            parse(trainer=trainer, strength=strength)


def test_the_mapping_itself_refuses_what_is_not_in_0_to_1() -> None:
    with pytest.raises(ValueError, match=r"strength must be in 0\.\.1, not 2"):
        weaken_views(2.0, "standard")
    with pytest.raises(ValueError, match=r"strength must be in 0\.\.1, not -1"):
        weaken_labelled(-1.0)
