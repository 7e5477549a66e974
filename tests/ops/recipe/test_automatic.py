"""Arms that say auto: what they may say beside it, what stands in its place, and that nothing else changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ops.errors import UserError
from ops.recipe.arms import Arm
from ops.recipe.automatic import (
    describe_settled,
    is_automatic,
    leave_out_generated,
    may_fall_back,
    read_settled,
    settle_arm,
    uses_generated,
)
from ops.recipe.counterparts import find_counterpart, pair_counterparts, simplify
from ops.recipe.loading import parse_recipe
from ops.recipe.rehearsal import shrink
from ops.recipe.schema import Recipe
from ops.settings.reading import read_yaml

SMOKE = Path(__file__).parents[3] / "recipes" / "smoke.yaml"
KEYS = read_yaml(SMOKE)
AUTO: dict[str, Any] = {"strength": "auto"}
BOTH: dict[str, Any] = {"strength": "auto", "real_weight": "auto"}
SIMCLR: dict[str, Any] = {"trainer": "simclr", "strength": "auto"}
FIXED: dict[str, Any] = {"trainer": "simclr", "strength": 0.3, "real_weight": "auto"}
EMA = {"kind": "ema", "images": "real"}


def parse(expanded: dict[str, Any] | None = None, classifier: dict[str, Any] | None = None, **baselines: Any) -> Recipe:
    changed = {"baselines": {"real": {}, **baselines}, "expanded": expanded or {"expanded": {}}}
    return parse_recipe({**KEYS, **changed, "classifier": {**KEYS["classifier"], **(classifier or {})}}, "mine.yaml")


def read(**keys: Any) -> Arm:
    return Arm.model_validate(keys)


def grid(**axes: list[float]) -> dict[str, Any]:
    return {"grid": {"learning_rate": [0.02], "weight_decay": [0.1], **axes}}


@pytest.mark.parametrize(
    ("expanded", "baselines", "classifier", "sentence"),
    [
        ({"y": BOTH}, {}, {}, "auto of the arm 'y' needs the same arm under baselines, where as many strengths are"),
        ({"y": BOTH}, {"x": {"strength": 0.5}}, {}, "on real images alone: y-real: {strength: auto}"),
        ({"y": FIXED}, {"x": AUTO}, {}, "y-real: {trainer: {kind: simclr}, strength: auto}"),
        ({"y": FIXED}, {"x": {**SIMCLR, "strength": 0.3}}, {}, "y-real: {trainer: {kind: simclr}, strength: auto}"),
        (
            {"y": {"real_weight": "auto"}},
            {"x": AUTO},
            {},
            "so the arm needs a strength; add strength: auto, or a number",
        ),
        ({"y": {**BOTH, "beta": 0.3}}, {"x": AUTO}, {}, "beta 0.3 and real_weight auto both say how much real images"),
        ({}, {"x": BOTH}, {}, "real_weight has no effect in the baseline 'x'"),
        ({}, {"x": {**AUTO, "augmentation": "flip_crop", "pairing": "none"}}, {}, "strength has no effect in the arm"),
        ({}, {"x": {**AUTO, "trainer": "refitted"}}, {}, "strength: auto of the arm 'x' needs trainer: supervised or"),
        ({}, {"x": {**AUTO, "consistency": EMA}}, {}, "and the arm has consistency: ema; remove one"),
        ({"e": {}, "y": {**BOTH, "placebo": "mixed"}}, {"x": AUTO}, {}, "and the arm has placebo: mixed; remove one"),
        ({}, {"x": AUTO}, grid(**{"pairing.alpha": [0.5]}), "classifier.grid.pairing.alpha and strength: auto of"),
        ({"y": BOTH}, {"x": AUTO}, grid(real_weight=[10.0]), "classifier.grid.real_weight and real_weight: auto of"),
        ({}, {"x": AUTO}, {"steps": 8, "seeds": 3}, "auto of the arm 'x': 3 trainings of 8 steps leave none for"),
        ({}, {"x": {"strength": "automatic"}}, {}, "'baselines.x.strength'"),
        ({"y": {"real_weight": "much"}}, {}, {}, "'expanded.y.real_weight'"),
    ],
)
def test_what_cannot_race_gives_one_sentence(
    expanded: dict[str, Any], baselines: dict[str, Any], classifier: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError) as caught:
        parse(expanded, classifier, **baselines)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_the_same_arm_on_real_images_may_choose_its_strength_too() -> None:
    recipe = parse(
        {
            "y": {**SIMCLR, "real_weight": "auto"},
            "fixed": {**SIMCLR, "strength": 0.3, "real_weight": "auto"},
            "n": SIMCLR,
        },
        x=SIMCLR,
    )
    assert all(find_counterpart(arm, recipe.baselines) == "x" for arm in recipe.expanded.values())
    assert pair_counterparts(recipe.baselines, recipe.expanded, {}) == [("fixed", "x"), ("n", "x"), ("y", "x")]
    assert [may_fall_back(arm) for arm in recipe.expanded.values()] == [True, True, False]
    assert is_automatic(recipe.expanded["n"]) and not is_automatic(recipe.baselines["real"])
    assert simplify(recipe.expanded["fixed"]) == recipe.baselines["x"]
    assert parse_recipe(recipe.model_dump(mode="json"), "mine.yaml") == recipe


def test_a_settled_arm_is_the_one_that_says_the_numbers_itself() -> None:
    own = {"trainer": "simclr", "augmentation": {"kind": "views", "flip": 0.0}}
    assert settle_arm(read(**own, **BOTH), strength=0.5, real_weight=3.0) == read(**own, strength=0.5, real_weight=3.0)
    assert settle_arm(read(**AUTO), strength=0.25) == read(strength=0.25)
    assert settle_arm(read(strength=0.4, real_weight="auto"), real_weight=30.0) == read(strength=0.4, real_weight=30.0)
    assert settle_arm(read(**AUTO, pairing="none"), strength=0.0) == read(strength=0.0, pairing="none")


def test_settled_arms_are_read_back_and_only_they_replace_what_is_written() -> None:
    written = {"a": read(**BOTH), "b": read(**BOTH), "c": read(pairing="mixup")}
    kept = settle_arm(written["a"], strength=0.5, real_weight=10.0)
    without = leave_out_generated(settle_arm(simplify(written["b"]), strength=1.0))
    stored = json.loads(json.dumps({"settled": {"a": describe_settled(kept), "b": describe_settled(without), "z": {}}}))
    assert read_settled(written, stored) == {"a": kept, "b": without, "c": written["c"]}
    assert uses_generated(kept) and not uses_generated(without) and uses_generated(written["c"])
    assert read_settled(written, {}) == written


def test_a_rehearsal_races_too() -> None:
    recipe = parse({"y": {**SIMCLR, "real_weight": "auto"}}, x=SIMCLR)
    changes = shrink(recipe, "few", Path())
    short = {"steps": changes["classifier.steps"], "seeds": changes["classifier.seeds"]}
    assert parse({"y": {**SIMCLR, "real_weight": "auto"}}, short, x=SIMCLR).classifier.seeds == 2
