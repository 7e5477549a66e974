"""Each mistake in a grid.yaml is one sentence that names the file, before anything is computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ops.errors import UserError
from ops.study.design import ClassifierPart, Study, build_recipe, load_study
from ops.workspaces.workspace import Workspace
from tests.studies import Content

ROOT = Path(__file__).parents[3]


def put(content: Content, way: str, value: Any) -> None:
    *sections, last = way.split("/")
    place: Any = content
    for section in sections:
        place = place.setdefault(section, {})
    if value is None:
        del place[last]
    else:
        place[last] = value


CLAIM = {"says": "It helps", "arms": ["taught"], "over": "plain", "settings": ["6"]}
TEACHER = {"targets": {"kind": "teacher", "of": "gone"}}


@pytest.mark.parametrize(
    ("way", "value", "sentence"),
    [
        ("question", None, "key 'question' is missing"),
        ("parts", {}, "'parts'"),
        ("parts/small/kind", "classifier", "unknown kind; choose one of classifiers"),
        ("parts/small/step", [4], "unknown key 'parts.small.step'"),
        ("parts/small/images/source", None, "key 'parts.small.images.source' is missing"),
        ("parts/small/images/evaluation", 0, "evaluation"),
        ("parts/small/recipe", "digit", "part 'small': there is no recipe 'digit'; did you mean 'digits'?"),
        ("parts/small/steps", [4, 4], "4 is there twice"),
        ("parts/small/seeds", [1, 0, 1], "1 is there twice"),
        ("parts/small/seeds", [], "seeds"),
        ("parts/small/measures", ["f1"], "measures"),
        ("parts/small/measures", ["accuracy", "agreement"], "setting '6': measures: agreement needs data.nuisance"),
        ("parts/small/curves", ["ekld"], "setting '6': curves: ekld needs data.nuisance, which this setting has not"),
        ("parts/small/curves", ["precision"], "curves"),
        ("parts/small/curves", ["recall", "recall"], "recall is there twice"),
        ("parts/small/baselines", {}, "it trains no arm; add one under baselines or expanded"),
        ("parts/small/networks/plane", 2, "networks names 'plane', which is not an arm of this part"),
        ("parts/small/networks/plain", 0, "networks"),
        ("parts/small/ensembles/both", "gone", "ensembles names 'gone', which is not an arm of this part"),
        ("parts/small/ensembles/taught", "plain", "ensembles gives the name 'taught' of an arm"),
        ("parts/small/pairs", {"taught": "gone"}, "pairs names 'gone', which is not an arm of this part"),
        (
            "parts/small/shares/taught",
            {"over": "plain", "ceiling": "gone"},
            "shares names 'gone', which is not an arm of this part",
        ),
        ("parts/small/shares/taught", {"over": "plain"}, "key 'parts.small.shares.taught.ceiling' is missing"),
        ("parts/small/measures", ["alignment", "accuracy"], "measures begins with alignment, which arms that learn"),
        ("parts/small/measures", ["accuracy", "alignment"], "measures: alignment is of arms that learn without labels"),
        ("parts/small/drawn", ["plain", "gone"], "drawn names 'gone', which is not an arm of this part"),
        ("parts/small/drawn", ["plain", "plain"], "plain is there twice"),
        ("parts/small/against", {"6": "7"}, "against names '7', which is not one of settings"),
        ("parts/small/turns", {"7": 2}, "turns names '7', which is not one of settings"),
        ("parts/small/turns", {"6": 0}, "turns"),
        ("parts/small/budget", "images", "budget"),
        ("parts/small/leave_out", {"7": ["plain"]}, "leave_out names '7', which is not one of settings"),
        ("parts/small/leave_out", {"6": ["plain"]}, "leave_out.6 names 'plain', which is not an arm under expanded"),
        (
            "parts/small/claims",
            {"it": {**CLAIM, "arms": ["gone"]}},
            "claims names 'gone', which is not an arm of this part",
        ),
        (
            "parts/small/claims",
            {"it": {**CLAIM, "over": "gone"}},
            "claims names 'gone', which is not an arm of this part",
        ),
        ("parts/small/claims", {"it": {**CLAIM, "settings": ["7"]}}, "claims names '7', which is not one of settings"),
        ("parts/small/claims", {"it": {**CLAIM, "than": ["7"]}}, "claims names '7', which is not one of settings"),
        (
            "parts/small/claims",
            {"it": {**CLAIM, "measure": "gap"}},
            "claims.it.measure is 'gap', which is not",
        ),
        ("parts/small/claims", {"it": {**CLAIM, "over": "taught"}}, "claims.it compares 'taught' with itself"),
        ("parts/small/claims", {"it": {**CLAIM, "expects": "equal"}}, "expects"),
        ("parts/small/claims", {"it": {**CLAIM, "says": None}}, "says"),
        ("parts/small/gains", {"flow": ["6", "7"]}, "gains names '7', which is not one of settings"),
        ("parts/small/gains", {"flow": ["6"]}, "gains.flow needs two settings or more, each with another number of"),
        ("parts/small/gains", {"flow": ["6", "12"]}, "gains needs two arms under expanded that differ in their ratio"),
        ("parts/small/quick/settings", ["60"], "quick.settings names '60', which is not one of settings"),
        ("parts/small/set/generator.stepz", 9, "unknown key 'generator.stepz': did you mean 'steps'"),
        ("parts/small/settings/12/plan.ration", 2, "setting '12': did you mean"),
        ("parts/small/quick/set", {"scorer.step": 4}, "setting '6', quick"),
        ("parts/small/set/classifier.batch_size", 0, "'classifier.batch_size'"),
        ("parts/small/set/classifier.steps", 9, "a change of classifier.steps has no effect"),
        ("parts/small/set/verdict.looks", 2, "a change of verdict.looks has no effect"),
        ("parts/small/set/seed", 1, "a change of seed has no effect"),
        ("parts/small/set/seed.x", 1, "a change of seed.x has no effect"),
        ("parts/small/set/baselines.plain.loss", "focal", "a change of baselines.plain.loss has no effect"),
        ("parts/small/set/plan.ratio.x", 1, "'plan.ratio' in"),
        ("parts/small/set/classifier.grid.weight_decay", [0.1, 0.2], "must have one value for each key"),
        ("parts/small/set/classifier.grid", {"pairing.alpah": [0.1]}, "pairing.alpah"),
        ("parts/small/set/classifier.seeds", 3, "a change of classifier.seeds has no effect"),
        ("parts/small/set/generator.seeds", 2, "generator.seeds must be 1"),
        (
            "parts/small/baselines/bad",
            {"strength": "auto"},
            "auto of the arm 'bad', with steps: 4: 2 trainings of 4 steps leave none for a race",
        ),
        ("parts/small/baselines/bad", {"loss": {"kind": "focal", "gama": 1}}, "gama"),
        ("parts/small/baselines/bad", {"loss": "vocal"}, "unknown kind; choose one of plain"),
        (
            "parts/small/baselines/bad",
            TEACHER,
            "targets.of of the arm 'bad' is 'gone'; it must name",
        ),
        (
            "parts/small/baselines/bad",
            {"targets": {"kind": "teacher", "of": "taught"}},
            "'taught', which has a teacher itself",
        ),
        ("parts/small/baselines/bad", {"loss": "ldam", "pairing": "mixup"}, "loss: ldam needs hard labels"),
        ("parts/small/baselines/bad arm", {}, "bad arm"),
        ("parts/small/expanded/grown", {"consistency": "ema"}, "baselines needs the same on real images"),
        ("parts/small/expanded/grown", {"sampler": {"kind": "class_balanced", "start": 1.0}}, "start"),
    ],
)
def test_each_mistake_is_one_sentence_that_names_the_file(
    main: Workspace, write: Callable[[Content], Study], content: Content, way: str, value: Any, sentence: str
) -> None:
    put(content, way, value)
    with pytest.raises(UserError) as caught:
        write(content)
    told = str(caught.value)
    assert str(main.root / "studies" / "digits" / "grid.yaml") in told
    assert all(part in told for part in sentence.split(": did you mean")), told
    assert "\n" not in told
    assert "--set" not in told


def test_every_setting_and_a_quick_run_need_the_nuisance_that_is_measured(
    write: Callable[[Content], Study], content: Content
) -> None:
    put(content, "parts/small/curves", ["recall"])
    write(content)
    put(content, "parts/small/measures", ["ekld"])
    put(content, "parts/small/set/data.nuisance", "strokes")
    write(content)
    content["parts"]["small"]["settings"]["12"]["data.nuisance"] = None
    with pytest.raises(UserError, match="setting '12': measures: ekld needs data.nuisance"):
        write(content)
    del content["parts"]["small"]["settings"]["12"]["data.nuisance"]
    put(content, "parts/small/quick/set", {"data.nuisance": None})
    with pytest.raises(UserError, match="setting '6', quick: measures: ekld needs data.nuisance"):
        write(content)


def test_settings_are_not_searched_for(main: Workspace, write: Callable[[Content], Study], content: Content) -> None:
    put(content, "parts/small/baselines/searched", {"augmentation": "auto"})
    put(content, "parts/small/set/tuning.policy", True)
    with pytest.raises(UserError, match=r"grid\.yaml, part 'small', setting '6': tuning\.policy must be false"):
        write(content)


def test_a_workspace_without_studies_says_how_to_write_one(main: Workspace) -> None:
    with pytest.raises(UserError, match=r"this workspace has no study; .* write .*grid\.yaml: growset docs studies"):
        load_study(main, "mine")


def test_an_unknown_name_is_told_the_known_ones(
    main: Workspace, write: Callable[[Content], Study], content: Content
) -> None:
    write(content)
    with pytest.raises(UserError, match="there is no study 'digit' in .*; did you mean 'digits'"):
        load_study(main, "digit")
    (main.root / "studies" / "digits" / "grid.yaml").write_text("- 1\n")
    with pytest.raises(UserError, match="must hold 'question:' and 'parts:'; it holds list"):
        load_study(main, "digits")


def test_the_recipe_of_a_setting(main: Workspace, write: Callable[[Content], Study], content: Content) -> None:
    content["parts"]["small"]["set"]["scorer.steps"] = 30
    content["parts"]["small"]["settings"]["12"]["scorer.steps"] = 50
    content["parts"]["small"]["quick"]["set"] = {"generator.steps": 7}
    part = write(content).design.parts["small"]
    assert isinstance(part, ClassifierPart)
    six, twelve, quick = (
        build_recipe(main, part, name, "here", quick=is_quick)
        for name, is_quick in (("6", False), ("12", False), ("6", True))
    )
    assert (six.scorer.steps, twelve.scorer.steps) == (30, 50)
    assert (six.data.images_per_class, twelve.data.images_per_class) == (6, 12)
    assert [recipe.generator.model_dump()["steps"] for recipe in (six, quick)] == [60, 7]
    assert list(six.baselines) == ["real", "plain", "taught"]
    assert list(six.expanded) == ["expanded"], "a recipe needs one; the study does not train it"


def test_a_setting_that_changes_a_whole_section_leaves_nothing_of_the_parts_changes_in_it(
    main: Workspace, write: Callable[[Content], Study], content: Content
) -> None:
    own = content["parts"]["small"]
    own["set"] |= {"generator": {"kind": "flow"}, "generator.steps": 9, "sampler": {}}
    own["settings"]["12"] |= {"generator": {"kind": "geometry"}}
    own["settings"]["6"] |= {"sampler.strength": 0.3, "generator.widths": [8, 8]}
    part = write(content).design.parts["small"]
    assert isinstance(part, ClassifierPart)
    six, twelve = (build_recipe(main, part, name, "here") for name in ("6", "12"))
    assert (six.generator.kind, six.generator.model_dump()["steps"], six.sampler.strength) == ("flow", 9, 0.3)
    assert (twelve.generator.kind, twelve.sampler.strength) == ("geometry", None)


@pytest.mark.parametrize("name", sorted(path.parent.name for path in (ROOT / "studies").glob("*/grid.yaml")))
def test_the_studies_of_this_repository_have_no_mistake(name: str) -> None:
    study = load_study(Workspace(ROOT), name)
    assert study.design.question.endswith("?")
    assert all(part.seeds for part in study.design.parts.values())


GROWN = {
    "plain+x1": {"augmentation": "flip_crop", "ratio": 1.0},
    "plain+x2": {"augmentation": "flip_crop", "ratio": 2.0},
}


def test_gains_need_a_number_of_real_images_in_each_setting(
    write: Callable[[Content], Study], content: Content
) -> None:
    part = content["parts"]["small"]
    part |= {"expanded": GROWN, "gains": {"flow": ["6", "12"]}}
    part["set"]["plan.ratio"] = 2.0
    write(content)
    part["set"]["data.images_per_class"] = part["settings"]["12"].pop("data.images_per_class")
    write(content)
    part["settings"]["6"] = part["settings"]["12"]
    with pytest.raises(UserError, match=r"each with another number of data\.images_per_class; it has 12, 12"):
        write(content)
    del part["set"]["data.images_per_class"]
    with pytest.raises(UserError, match=r"gains\.flow needs data\.images_per_class in each .*; '6' has none"):
        write(content)
    part["images"]["unlabelled"] = 24
    with pytest.raises(UserError, match=r"gains\.flow counts .* and '6' expands images\.unlabelled; name"):
        write(content)
    part["settings"]["6"] = {"images.unlabelled": None}
    with pytest.raises(UserError, match=r"gains\.flow counts .* and '12' expands images\.unlabelled"):
        write(content)


def test_a_setting_that_leaves_everything_out_or_all_of_a_claim_is_refused(
    write: Callable[[Content], Study], content: Content
) -> None:
    part = content["parts"]["small"]
    part |= {"expanded": GROWN, "leave_out": {"6": ["plain+x2"]}}
    part["set"]["plan.ratio"] = 2.0
    part["claims"] = {"it": {**CLAIM, "arms": list(GROWN)}}
    write(content)
    part["claims"] = {"it": {**CLAIM, "arms": ["plain+x2"]}}
    with pytest.raises(UserError, match=r"claims\.it names '6', which leaves out all arms of the claim"):
        write(content)
    part |= {"claims": {}, "leave_out": {"6": list(GROWN)}}
    with pytest.raises(UserError, match=r"leave_out\.6 names every arm under expanded; keep one"):
        write(content)
