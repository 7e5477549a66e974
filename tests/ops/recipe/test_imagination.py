"""The section `sampler.imagination`: what it takes, what it refuses, and whose identity it is part of."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from ops.datasets.folds import assign_folds
from ops.errors import UserError
from ops.generators.imaginable import ImaginingKind
from ops.generators.registry import KINDS
from ops.imagination.ascent import Ascent
from ops.imagination.presets import PRESETS
from ops.planning.imagining import count_judged, count_made, estimate_variant
from ops.planning.speeds import weigh_decoding
from ops.recipe.fingerprints import list_inputs, stage_fingerprint, stage_settings
from ops.recipe.imagination import WHERE, ImaginationSettings, Mode, check_class_count, check_probed
from ops.recipe.kinds import KINDS as GENERATORS
from ops.recipe.kinds import PRIORS
from ops.recipe.loading import load_recipe, parse_recipe
from ops.recipe.rehearsal import shrink
from ops.recipe.schema import Recipe
from ops.recipe.stages import STAGES
from ops.settings.reading import read_yaml
from tests.recipes import refused

SMOKE = Path(__file__).parents[3] / "recipes" / "smoke.yaml"
OWN = {**read_yaml(SMOKE), "on_new_images": "retrain"}
PRIOR = {"kind": "latent", "pool": "others"}
PIPELINE = {"model": "models/one", "licence": "none"}
IMAGE = {"kind": "stable-diffusion", "mode": "image", **PIPELINE}
UNCLIP = {"kind": "unclip", **PIPELINE}

MILD = {"scorer": {"augmentation": {"kind": "policy", "shift": 0.1}}}  # what the medical profile asks of it
DRAWN = {"kind": "git", "by": ["generator"], "source": "drawn"}


def parse(imagination: Any = None, *, kind: str = "latent", **sections: Any) -> Recipe:
    sampler = {"strength": 0.4, "imagination": imagination, **sections.pop("sampler", {})}
    drawing = {"prior": {**PRIOR, "kind": kind}, "generator": {"kind": "prior"}, "sampler": sampler}
    return parse_recipe({**OWN, **drawing, **sections}, "mine.yaml")


def parse_pipeline(generator: dict[str, Any], imagination: Any, **sampler: Any) -> Recipe:
    if generator["kind"] == "stable-diffusion":
        sampler = {"strength": 0.4, **sampler}
    drawing = {"generator": generator, "sampler": {"imagination": imagination, **sampler}}
    return parse_recipe({**OWN, "prior": None, **drawing}, "mine.yaml")


@pytest.mark.parametrize("mode", get_args(Mode))
@pytest.mark.parametrize("kind", ["latent", "flow", "instance", "mae"])
def test_each_mode_is_possible_with_each_prior_that_imagines(mode: str, kind: str) -> None:
    recipe = parse({"mode": mode}, kind=kind)
    assert recipe.sampler.imagination == ImaginationSettings(mode=mode)
    assert parse_recipe(recipe.model_dump(mode="json"), "mine.yaml") == recipe


@pytest.mark.parametrize("mode", get_args(Mode))
@pytest.mark.parametrize("generator", [IMAGE, UNCLIP], ids=["stable-diffusion", "unclip"])
def test_a_pipeline_is_a_prior_by_itself(generator: dict[str, Any], mode: str) -> None:
    recipe = parse_pipeline(generator, {"mode": mode})
    assert recipe.sampler.imagination == ImaginationSettings(mode=mode)
    assert recipe.generator.find_prior() is recipe.generator and recipe.generator.rows == 1
    assert parse_recipe(recipe.model_dump(mode="json"), "mine.yaml") == recipe


@pytest.mark.parametrize(
    ("generator", "imagination", "sampler", "sentence"),
    [
        ({**IMAGE, "mode": "text"}, {}, {"strength": None}, "generator.mode: text has none; write mode: image"),
        (IMAGE, {}, {"strength": None}, "strength must be a number with mode: image"),
        (IMAGE, {}, {"precision": "int8"}, "precision has no effect with kind: stable-diffusion"),
        (UNCLIP, {}, {"strength": 0.4}, "strength has no effect with kind: unclip"),
        (UNCLIP, {"granularity": "channel"}, {}, "granularity: channel has no effect with a prior of kind: unclip"),
        (
            {**UNCLIP, "precision": "fp16"},
            {},
            {},
            "precision: fp16 is not possible with sampler.imagination.mode: guided",
        ),
    ],
)
def test_what_a_pipeline_cannot_imagine_gives_one_sentence(
    generator: dict[str, Any], imagination: Any, sampler: Any, sentence: str
) -> None:
    with refused(sentence):
        parse_pipeline(generator, imagination, **sampler)


def test_fp16_can_hold_what_needs_no_gradient_through_the_network() -> None:
    for generator, mode in ((UNCLIP, "random"), (IMAGE, "guided")):  # beside fp16 the autoencoder computes in fp32
        parse_pipeline({**generator, "precision": "fp16"}, {"mode": mode})


def test_a_kind_imagines_where_its_section_says_so() -> None:
    pipelines = {name: settings for name, settings in GENERATORS.items() if settings.learnt_elsewhere}
    assert set(pipelines) == {"stable-diffusion", "unclip"}
    for name, settings in {**PRIORS, **pipelines}.items():
        assert settings.imagines == isinstance(KINDS[name], ImaginingKind)
    assert set(PRESETS) == set(get_args(ImaginationSettings.model_fields["preset"].annotation))
    rules = get_args(get_args(ImaginationSettings.model_fields["optimizer"].annotation)[0])
    assert [Ascent(rule).rule for rule in rules] == ["sign", "plain", "adam"]


@pytest.mark.parametrize(
    ("imagination", "sections", "sentence"),
    [
        ({"mode": "guide"}, {}, "'sampler.imagination.mode' in mine.yaml"),
        ({"preset": "published"}, {}, "'sampler.imagination.preset' in mine.yaml"),
        ({"scorer": "clip"}, {}, "key 'sampler.imagination.scorer.model' is missing in mine.yaml"),
        (
            {"scorer": "dino"},
            {},
            "'sampler.imagination.scorer' in mine.yaml: unknown kind; choose one of scorer, clip,",
        ),
        ({"scorer": {"kind": "scorer", "model": "clip"}}, {}, "model has no effect with kind: scorer; it belongs to"),
        ({"scorer": {"kind": "clip", "model": "clip", "templates": ["a photo"]}}, {}, "must hold {class} once"),
        ({"scorer": {"kind": "probe", "sha256": "0" * 64}}, {}, "sha256 has no effect without a model; remove it"),
        ({"scorer": "probe"}, {}, "reads the encoder of a prior of kind: instance, and the prior is of kind: latent"),
        ({"radius": 0.0}, {}, "'sampler.imagination.radius' in mine.yaml"),
        ({"radius": 101.0}, {}, "'sampler.imagination.radius' in mine.yaml"),
        ({"steps": 0}, {}, "'sampler.imagination.steps' in mine.yaml"),
        ({"steps": 101}, {}, "'sampler.imagination.steps' in mine.yaml"),
        ({"step_size": -0.1}, {}, "'sampler.imagination.step_size' in mine.yaml"),
        ({"norm": "l2"}, {}, "norm: l2 needs a radius"),
        ({"group": 1}, {}, "group: 1 leaves diversity nothing to compare"),
        ({"group": 1, "preset": "release"}, {}, "group: 1 leaves diversity nothing to compare"),
        ({"group": 51}, {}, "'sampler.imagination.group' in mine.yaml"),
        ({"mode": "overdraw", "draws": 1}, {}, "'sampler.imagination.draws' in mine.yaml"),
        ({"mode": "overdraw", "group": 20, "draws": 6}, {}, "are 120 variants to be compared at once; at most 100"),
        ({"raduis": 1.0}, {}, "unknown key 'sampler.imagination.raduis' in mine.yaml; did you mean 'radius'?"),
        ({"mode": "random", "steps": 2}, {}, "steps has no effect with mode: random; remove it"),
        ({"mode": "prior", "radius": 1.0}, {}, "radius has no effect with mode: prior; remove it"),
        ({"mode": "guided", "draws": 3}, {}, "draws has no effect with mode: guided; remove it"),
        ({"mode": "random", "force": True}, {}, "force has no effect with mode: random; remove it"),
        ({"preset": "release", "entropy": 0.5}, {}, "entropy cannot be changed with preset: release"),
        ({"consistency": 0.0, "entropy": 0.0, "diversity": 0.0}, {}, "so that the scorer decides nothing"),
        (
            {},
            {"prior": None, "generator": {"kind": "flow"}},
            "{kind: prior}, and a prior, or kind: stable-diffusion or unclip; kind: flow cannot imagine",
        ),
        (
            {"granularity": "channel"},
            {"prior": {**PRIOR, "kind": "instance"}},
            "channel has no effect with a prior of kind: instance, whose latent has no channels; remove it",
        ),
        ({}, {"sampler": {"precision": "int8"}}, "sampler.precision: int8 has no effect with sampler.imagination"),
        (
            {},
            {"expanded": {"expanded": {}, "mine": {"variants": DRAWN}}},
            "source: drawn are drawn by the exported sampler, which does not imagine; write source: stored",
        ),
    ],
)
def test_what_does_not_belong_together_gives_one_sentence(imagination: Any, sections: Any, sentence: str) -> None:
    with refused(sentence):
        parse(imagination, **sections)


def test_a_prior_that_cannot_imagine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PRIORS["flow"], "imagines", False)
    with pytest.raises(UserError, match="sampler.imagination is not possible with a prior of kind: flow"):
        parse({}, kind="flow")


def test_one_class_is_too_few_where_the_scorer_decides() -> None:
    for mode, other in (("guided", "random"), ("overdraw", "prior")):
        with pytest.raises(ValueError, match=f"needs a scorer of two classes or more.*write mode: {other}"):
            check_class_count(ImaginationSettings(mode=mode), 1)
        check_class_count(ImaginationSettings(mode=other), 1)
        check_class_count(ImaginationSettings(mode=mode), 2)
        check_class_count(None, 1)


@pytest.mark.parametrize(("sizes", "found"), [((9, 1), "is 1"), ((1, 1, 1), "are 0"), ((5, 1, 1, 0), "is 1")])
def test_a_probe_is_refused_where_a_fold_may_leave_one_class(sizes: tuple[int, ...], found: str) -> None:
    with pytest.raises(ValueError, match=f"needs two classes of two training images or more.*and there {found}; write"):
        check_probed(sizes)
    labels = np.repeat(np.arange(4), (2, 2, 1, 0))
    check_probed((2, 2, 1, 0))
    for seed in range(20):
        folds = assign_folds(labels, 5, seed)
        assert all(len(np.unique(labels[folds != fold])) >= 2 for fold in range(5))


def test_it_is_part_of_the_samplers_identity_only_where_it_is_given() -> None:
    def find(recipe: Recipe) -> dict[str, str]:
        return {stage: stage_fingerprint(stage, 1, stage_settings(recipe, stage), {}) for stage in STAGES}

    absent = {key: value for key, value in OWN["sampler"].items() if key != "imagination"}
    assert "imagination" not in stage_settings(load_recipe(SMOKE), "generator_onnx")["sampler"]
    assert find(parse_recipe({**OWN, "sampler": absent}, "mine.yaml")) == find(parse_recipe(OWN, "mine.yaml"))
    plain, guided = find(parse()), find(parse({}))
    assert {stage for stage in STAGES if plain[stage] != guided[stage]} == {"generator_onnx"}


def test_the_keys_that_came_later_change_nothing_where_they_are_left_out() -> None:
    imagination = stage_settings(parse({}), "generator_onnx")["sampler"]["imagination"]
    assert imagination["scorer"] == "scorer" and "profile" not in imagination
    assert (
        "profile" in stage_settings(parse({"profile": "medical"}, **MILD), "generator_onnx")["sampler"]["imagination"]
    )
    clip = parse({"scorer": {"kind": "clip", "model": "clip", "sha256": "0" * 64, "class_names": {"bag": "handbag"}}})
    assert parse_recipe(clip.model_dump(mode="json"), "mine.yaml") == clip
    assert clip.sampler.imagination is not None and clip.sampler.imagination.drop_scorer().scorer.kind == "clip"


def test_hard_seeds_need_variants_and_change_the_plan_alone() -> None:
    plan, judged_by_others = {**OWN["plan"], "seeds": "hard"}, {"wrong_label": None, "atypical": None}
    with pytest.raises(
        UserError, match=r"plan\.seeds has no effect with generator\.kind: flow, whose images have no parent"
    ):
        parse_recipe({**OWN, "plan": plan, "filter": judged_by_others}, "mine.yaml")
    for key in judged_by_others:
        with pytest.raises(UserError, match=rf"plan\.seeds: hard and filter\.{key} work against each other"):
            parse(plan=plan, filter={**judged_by_others, key: 0.1})
    with pytest.raises(UserError, match=r"plan\.seeds: hard and filter\.wrong_label"):  # the default
        parse(plan=plan, filter={"atypical": None})
    all_, hard = parse(), parse(plan=plan, filter=judged_by_others)
    assert "seeds" not in stage_settings(all_, "expansion_plan")["plan"]
    assert [list_inputs(recipe, "expansion_plan") for recipe in (all_, hard)] == [
        ("real_images",),
        ("real_images", "scorer"),
    ]
    assert STAGES["expansion_plan"].recorded == ("real_images",)
    with pytest.raises(UserError, match="with source: drawn are made of every image, whatever plan.seeds says"):
        parse(plan=plan, filter=judged_by_others, expanded={"expanded": {}, "mine": {"variants": DRAWN}})


def test_without_the_scorer_only_keys_with_an_effect_are_left() -> None:
    guided = ImaginationSettings(radius=2.0, steps=3, optimizer="adam", consistency=2.0, force=True, group=4)
    assert guided.drop_scorer() == ImaginationSettings(mode="random", radius=2.0, group=4)
    overdraw = ImaginationSettings(mode="overdraw", draws=3)
    assert overdraw.drop_scorer() == ImaginationSettings(mode="prior")
    for mode in get_args(Mode):
        settings = ImaginationSettings(mode=mode).drop_scorer()
        assert ImaginationSettings.model_validate(settings.model_dump()) == settings
        assert settings.mode in ("random", "prior") and set(WHERE) <= set(ImaginationSettings.model_fields)


def test_a_rehearsal_guides_although_its_scorer_knows_little() -> None:
    changes = shrink(parse({"steps": 10}), "tiny", Path())
    assert changes["sampler.imagination.force"] is True and changes["sampler.imagination.steps"] == 2
    assert not any("imagination" in key for key in shrink(parse({"mode": "random"}), "tiny", Path()))


def test_a_plan_counts_whole_blocks_and_a_backward_pass_for_each_step() -> None:
    assert count_made([(10, 13)], 5) == 50 and count_made([(10, 60)], 5) == 100 and count_made([(3, 0), (0, 0)], 5) == 0
    assert count_made([(4, 10)], 1) == 10
    assert count_judged([3, 500], 5) == 5 * (3 + 200)
    made = {mode: estimate_variant(ImaginationSettings(mode=mode), 1.0, 0.25, 0.1) for mode in get_args(Mode)}
    assert made["prior"] == made["random"] == pytest.approx(1.1) and made["overdraw"] == pytest.approx(4.4)
    assert made["guided"] == pytest.approx(1.1 + 3 * 0.35)
    ten = estimate_variant(ImaginationSettings(steps=10), 1.0, 0.25, 0.1)
    assert ten - made["random"] == pytest.approx(10 * (made["guided"] - made["random"]))


def test_among_latents_little_of_a_variants_cost_is_decoding_and_in_pixels_all_of_it() -> None:
    flow, latent, instance = (
        weigh_decoding(parse({}, kind=kind), (1, 28, 28), Path()) for kind in ("flow", "latent", "instance")
    )
    assert flow == 1.0 and 0 < latent < 1 and 0.8 < instance < 1  # all but the encoder's
    assert weigh_decoding(parse(), (1, 28, 28), Path()) == 0


def test_a_group_of_several_calls_is_looked_at_once_more_unless_diversity_has_no_weight() -> None:
    small, large, alone = (
        estimate_variant(ImaginationSettings(group=group, diversity=weight), 1.0, 0.5, 0.1)
        for group, weight in ((10, None), (11, None), (11, 0.0))
    )
    assert large - small == pytest.approx(0.6) and alone == small
    # A pipeline makes variants one by one, so any group is one of several calls.
    settings = ImaginationSettings(group=2)
    one, ten = (estimate_variant(settings, 1.0, 0.5, 0.1, rows) for rows in (1, 10))
    assert one - ten == pytest.approx(0.6)
