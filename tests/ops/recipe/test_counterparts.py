"""Teachers and consistency: what a recipe may say, the counterpart that it must have, and the pairs of a verdict."""

from __future__ import annotations

from typing import Any

import pytest

from ops.recipe.arms import Arm
from ops.recipe.costs import measure_cost
from ops.recipe.counterparts import check_guidance, find_counterpart, name_kind, pair_counterparts
from ops.recipe.ratios import check_ratios, check_smallest_ratios

TAUGHT = {"kind": "teacher", "of": "mixup"}
BASELINES = {
    "real": {},
    "mixup": {"pairing": "mixup"},
    "taught-real": {"pairing": "mixup", "targets": {**TAUGHT, "images": "real"}},
    "agreeing-real": {"consistency": {"kind": "ema", "images": "real"}},
}


def read(arms: dict[str, Any]) -> dict[str, Arm]:
    return {name: Arm.model_validate(keys) for name, keys in arms.items()}


def refuse(baselines: dict[str, Any], expanded: dict[str, Any]) -> str:
    with pytest.raises(ValueError) as refusal:
        check_guidance(read({**BASELINES, **baselines}), read(expanded))
    return str(refusal.value)


@pytest.mark.parametrize(
    ("baselines", "expanded", "sentence"),
    [
        ({}, {"a": {"targets": {"kind": "teacher", "of": "mixpu"}}}, "'mixpu'; it must name an arm of baselines"),
        ({}, {"a": {"targets": {"kind": "teacher", "of": "a"}}}, "'a'; it must name an arm of baselines"),
        ({}, {"a": {"targets": {"kind": "teacher", "of": "taught-real"}}}, "which has a teacher itself"),
        ({"b": {"targets": {"kind": "teacher", "of": "b"}}}, {}, "'b', which has a teacher itself"),
        ({"b": {"targets": {**TAUGHT, "images": "generated"}}}, {}, "targets.images: generated has no effect in the"),
        ({"b": {"consistency": "ema"}}, {}, "consistency.images: generated has no effect in the baseline 'b'"),
        ({"b": {"targets": {**TAUGHT, "relabel": True}}}, {}, "targets.relabel has no effect in the baseline 'b'"),
        ({}, {"a": {"consistency": "ema", "finish": 0.2}}, "finish has no effect in the arm 'a'"),
        ({}, {"a": {"consistency": "ema", "real_weight": 2.0}}, "real_weight has no effect in the arm 'a'"),
        ({}, {"a": {"consistency": "ema", "separate": "norm"}}, "both separate and consistency"),
        ({}, {"a": {"consistency": "ema", "targets": TAUGHT}}, "write targets.images: real"),
        (
            {},
            {"a": {"targets": {**TAUGHT, "images": "real", "relabel": True}}},
            "would teach the labels that were reject",
        ),
        ({}, {"a": {"targets": {**TAUGHT, "weight": 0.5, "relabel": True}}}, "it needs weight: 1.0"),
        ({}, {"a": {"targets": TAUGHT, "loss": "logit_adjusted"}}, "loss has no effect in the arm 'a', whose teachers"),
        (
            {"b": {"targets": {**TAUGHT, "images": "real"}, "loss": "ldam"}},
            {},
            "loss has no effect in the baseline 'b'",
        ),
        ({"b": {"trainer": "refitted", "targets": {**TAUGHT, "images": "real"}}}, {}, "would undo its targets"),
        ({}, {"a": {"trainer": "feature_diffusion", "finish": 0.5}}, "of the arm 'a' would undo its finish"),
        ({"b": {"trainer": "feature_diffusion", "sampler": "class_balanced"}}, {}, "would undo its sampler"),
        (
            {},
            {"a": {"consistency": "ema", "targets": {**TAUGHT, "images": "real"}, "loss": "class_weighted"}},
            "loss has no effect in the arm 'a', whose real images have their labels from teachers",
        ),
        ({}, {"a": {"separate": "norm", "pairing": "samplepairing"}}, "joins the images that separate keeps apart"),
        (
            {},
            {"a": {"separate": "head", "loss": "logit_adjusted"}},
            "whose classes its loss balances together",
        ),
        ({}, {"a": {"separate": "norm", "loss": "ldam"}}, "whose classes its loss balances together"),
        ({}, {"a": {"separate": "both", "sampler": "class_balanced"}}, "whose classes its sampler balances together"),
        (
            {},
            {"a": {"loss": "logit_adjusted", "targets": {**TAUGHT, "images": "generated"}}},
            "a-real: {targets: {kind: teacher, of: mixup, images: real}}",
        ),
        (
            {},
            {"a": {"loss": "class_weighted", "targets": {**TAUGHT, "weight": 0.5}}},
            "a-real: {loss: {kind: class_weighted}, targets: {kind: teacher, of: mixup, weight: 0.5, images: real}}",
        ),
        ({}, {"a": {"consistency": {"kind": "ema", "ratio": 2.0}}}, "a-real: {consistency: {kind: ema, images: real, "),
    ],
)
def test_what_a_recipe_may_not_say_is_refused(baselines: Any, expanded: Any, sentence: str) -> None:
    assert sentence in refuse(baselines, expanded)


def test_the_counterpart_has_the_same_ingredients_on_real_images() -> None:
    baselines = read(BASELINES)
    taught = {"pairing": "mixup", "targets": {**TAUGHT, "relabel": True}, "real_weight": 5.0, "finish": 0.1}
    expanded = read({"taught": taught, "agreeing": {"consistency": "ema"}, "mixed": {"pairing": "mixup"}})
    check_guidance(baselines, expanded)
    found = {name: find_counterpart(arm, baselines) for name, arm in expanded.items()}
    assert found == {"taught": "taught-real", "agreeing": "agreeing-real", "mixed": "mixup"}
    assert find_counterpart(Arm.model_validate({"pairing": {"kind": "mixup", "alpha": 0.3}}), baselines) is None


def test_a_strength_and_a_preset_are_what_they_stand_for() -> None:
    views = {"kind": "views", "preset": "asymmetric_adainf"}
    named, strong = {"trainer": "byol", "augmentation": views}, {"trainer": "byol", "strength": 0.5}
    spelt = {"augmentation": {"kind": "randaugment", "strength": 5.0, "shift": 1 / 16}}
    spelt |= {"pairing": {"kind": "mixup", "alpha": 0.5}}
    moco = {"trainer": "moco"}
    for one, other in ((named, strong), (spelt, {"strength": 0.5}), (moco, {**moco, "strength": 1.0})):
        arm, baselines = Arm.model_validate(other), read({"real": {}, "same": one})
        assert arm != baselines["same"] and arm.spell_out() == baselines["same"].spell_out()
        assert find_counterpart(arm, baselines) == "same"
        check_guidance(baselines, {"a": arm})
        sham = read({"a": one, "sham": {**other, "placebo": "mixed"}})
        assert pair_counterparts({"real": Arm()}, sham, {})[-1] == ("a", "sham")
    gentler = Arm.model_validate({"trainer": "byol", "strength": 0.4})
    assert find_counterpart(gentler, read({"real": {}, "named": named})) is None


def test_an_arm_is_paired_with_its_counterpart_and_its_placebo() -> None:
    baselines = read(BASELINES)
    expanded = read(
        {
            "mixed": {"pairing": "mixup"},
            "sham": {"pairing": "mixup", "placebo": "augmented"},
            "other-sham": {"placebo": "mixed"},
            "plain": {},
        }
    )
    assert pair_counterparts(baselines, expanded, {"plain": "mixed"}) == [
        ("mixed", "mixup"), ("mixed", "sham"), ("mixed", "real"), ("mixed", "other-sham"),
    ]  # fmt: skip
    kinds = {name: name_kind(name, baselines, expanded) for name in (*baselines, *expanded)}
    assert {name for name, kind in kinds.items() if kind == "expanded"} == {"mixed", "plain"}
    assert {name for name, kind in kinds.items() if kind == "placebo"} == {"sham", "other-sham"}


def test_a_step_costs_what_its_evaluations_of_the_network_cost() -> None:
    assert measure_cost(Arm.model_validate({"pairing": "mixup"}), 5) == 1
    assert measure_cost(Arm.model_validate({"targets": TAUGHT}), 5) == pytest.approx((3 + 5) / 3)
    twice = {"consistency": {"kind": "ema", "ratio": 2.0}}
    assert measure_cost(Arm.model_validate(twice), 5) == pytest.approx((3 + 2 * 4) / 3)


def test_a_ratio_counts_accepted_images_of_which_there_are_enough() -> None:
    relabelled = {"targets": {**TAUGHT, "relabel": True}}
    for keys, most, sentence in (
        ({"ratio": 5.5}, 5.0, "ratio 5.5 of the arm 'a' is above plan.ratio 5, and no more images are made"),
        ({"ratio": 1.0, **relabelled}, 5.0, "and targets.relabel adds rejected ones; remove one of them"),
    ):
        with pytest.raises(ValueError, match=sentence):
            check_ratios({"a": Arm.model_validate(keys)}, most)
    check_ratios({"a": Arm.model_validate({"ratio": 5.0}), "b": Arm.model_validate(relabelled)}, 5.0)
    check_ratios({"a": Arm.model_validate({"ratio": 50.0})}, None)  # classes that grow by different ratios
    assert find_counterpart(Arm.model_validate({"ratio": 5.0}), {"real": Arm()}) == "real"
    assert "ratio" not in Arm().model_dump()


def test_a_ratio_that_leaves_no_class_an_image_is_refused() -> None:
    def check(ratio: float, *sizes: int, wanted: tuple[int, ...] = (9, 9)) -> None:
        check_smallest_ratios({"a": Arm.model_validate({"ratio": ratio}), "b": Arm()}, sizes, wanted)

    check(0.1, 6, 2)
    sentence = "ratio 0.1 of the arm 'a' is rounded to no generated image .* grows has 5 real ones; raise it"
    with pytest.raises(ValueError, match=sentence):  # 0.5 is rounded to 0, the nearest even number
        check(0.1, 5, 2)
    with pytest.raises(ValueError, match="has 2 real ones"):
        check(0.1, 600, 2, wanted=(0, 9))  # the large class grows by no image
    check(0.3, 600, 2, wanted=(0, 9))
