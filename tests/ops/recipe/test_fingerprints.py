"""Fingerprints: which change of a recipe changes which stages' fingerprints, compared with the stage table.

Every leaf of the demo recipe is changed to another valid value, one at a time; the stages whose fingerprint moves must
be exactly those that declare the key.
"""

from __future__ import annotations

import copy
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from ruamel.yaml import YAML

from ops.files.hashing import hash_file, hash_json
from ops.recipe.arms import ONLY_EXPANDED, Arm
from ops.recipe.denoisers import FlowSettings
from ops.recipe.fingerprints import stage_fingerprint, stage_settings
from ops.recipe.loading import load_recipe, parse_recipe
from ops.recipe.schema import Recipe
from ops.recipe.stages import STAGES
from ops.settings.reading import read_yaml
from tests.recipes import AUTOMATION_KEYS

DEMO = Path(__file__).parents[3] / "recipes" / "fashion-flow.yaml"
RESOLVED: dict[str, Any] = load_recipe(DEMO).model_dump(mode="json")
# Only null and lists are given here: no rule could find another valid value for them.
OTHER_VALUES: dict[str, Any] = {
    "source": "another",
    "data.classes": ["Bag", "Sandal"],
    "data.images_per_class": 25,
    "data.long_tail": {"law": "step"},
    "data.nuisance": "rotation",
    "generator.seeds": 3,
    "generator.widths": [16, 32],
    "sampler.solver": "euler",
    "filter.clip": {"model": "clip"},
    "filter.extractor": {"model": "dinov2"},
    "filter.safety": {"model": "safety", "unsafe": ["unsafe"]},
    "classifier.network.stride": 4,
    "verdict.metric": "worst_class",
    "verdict.reference": {"model": "dinov2"},
    "classifier.grid.learning_rate": [0.2],
    "classifier.grid.weight_decay": [0.0, 0.001],
    "classifier.grid.steps": [400, 800],
    "classifier.grid.real_weight": [5.0, 20.0],
    "classifier.network.stem": 2,
    "classifier.race": 3.0,
    "automation": {"schedule": "0 3 * * 0"},
}
# Another kind has other keys, a student other steps, guidance needs label_dropout, and a flow's images have no parents.
FIXED = {
    "data.unlabelled",  # needs arms that learn without labels
    "tuning.policy",
    "tuning.folds",
    "tuning.steps",
    "tuning.most_steps",  # these need arms that say `auto`
    "generator.kind",
    "generator.distillation",
    "generator.pseudo_labels",  # needs a prior
    "sampler.guidance",
    "sampler.strength",
    "sampler.truncation",
    "filter.near_parent",
    "sampler.moves",
    "sampler.keeps",
    "plan.seeds",
    "sampler.imagination",  # needs a generator of kind prior
    "prior",  # needs a generator of kind prior
    "report.worth",  # a stage of its own does nothing without it; see below
    "report.prices",  # needs report.worth
    "verdict.folds",  # the demo takes only some images of its source
}

Place = tuple[str, ...]


def leaves(value: dict[str, Any], prefix: Place = ()) -> Iterator[Place]:
    for key, inner in value.items():
        if isinstance(inner, dict):
            yield from leaves(inner, (*prefix, key))
        else:
            yield (*prefix, key)


def read_place(place: Place, content: dict[str, Any]) -> Any:
    for part in place:
        content = content[part]
    return content


def is_free(place: Place) -> bool:
    """Whether the value at `place` may be another one while all others stay."""
    if place[-1] == "kind":
        return False  # another kind has other keys; see below
    if place[0] == "baselines" and place[2] in ONLY_EXPANDED:
        return False  # an error without generated images
    if place[-1] == "separate" and RESOLVED["expanded"][place[1]]["loss"]["kind"] == "logit_adjusted":
        return False  # an error beside a loss that balances all images together
    if place[0] == "filter" and place[-1] == "threshold":
        return False  # an error beside a share
    return place[:2] != ("baselines", "real") and ".".join(place) not in FIXED


PLACES = [place for place in leaves(RESOLVED) if is_free(place)]


def write_place(place: Place, value: Any) -> dict[str, Any]:
    """The demo recipe, resolved, with one other value."""
    changed = copy.deepcopy(RESOLVED)
    read_place(place[:-1], changed)[place[-1]] = value
    return changed


def other_value(place: Place) -> Any:
    """A valid value that differs from the one at `place`."""
    value = read_place(place, RESOLVED)
    if (name := ".".join(place)) in OTHER_VALUES:
        return OTHER_VALUES[name]
    if place[-1] in (words := {"separate": "norm", "per": "element"}):
        return words[place[-1]]
    if options := allowed_values(place):
        return next(option for option in options if option != value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    return value * 0.9 if value else 0.1


def is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def allowed_values(place: Place) -> tuple[Any, ...]:
    """The options of a Literal key; none for others."""
    model: type[BaseModel] = Arm if place[0] in ("baselines", "expanded") else Recipe
    annotation: Any = None
    for part in place[2:] if model is Arm else place:
        if part not in model.model_fields:
            return ()  # a key of an ingredient's kind: all are numbers
        annotation = FlowSettings if part == "generator" else model.model_fields[part].annotation
        if inner := next((a for a in (annotation, *get_args(annotation)) if is_model(a)), None):
            model = inner
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def fingerprints(content: dict[str, Any]) -> dict[str, str]:
    """Of all stages, with the same version and inputs throughout."""
    recipe = parse_recipe(content, DEMO)
    return {
        stage: stage_fingerprint(stage, 1, stage_settings(recipe, stage), {"real_images": "abc"}) for stage in STAGES
    }


def readers(*place: str) -> set[str]:
    """Stages that declare the key at `place`, or a section that it is in; `folds` is off in the demo."""
    sections = {".".join(place[:depth]) for depth in range(1, len(place) + 1)}
    return {name for name, stage in STAGES.items() if stage.switch is None and sections & set(stage.keys)}


BEFORE = fingerprints(RESOLVED)


@pytest.mark.parametrize("place", PLACES, ids=".".join)
def test_changing_a_key_changes_exactly_the_stages_that_declare_it(place: Place) -> None:
    after = fingerprints(write_place(place, other_value(place)))
    assert {stage for stage in STAGES if after[stage] != BEFORE[stage]} == readers(*place)


def test_a_recipe_with_folds_repeats_them_for_every_key_that_a_fold_reads() -> None:
    plain = write_place(("data", "images_per_class"), None)
    folded = copy.deepcopy(plain)
    folded["verdict"]["folds"] = 5
    before = fingerprints(folded)
    changed = {stage for stage, found in fingerprints(plain).items() if found != before[stage]}
    assert changed == {"folds", "verdict"}
    for key, value in (("generator", "steps"), ("mix", "real_weight"), ("scorer", "width"), ("classifier", "seeds")):
        other = copy.deepcopy(folded)
        other[key][value] += 1
        assert fingerprints(other)["folds"] != before["folds"]
    other = copy.deepcopy(folded)
    other["verdict"]["confidence"] = 0.9
    assert fingerprints(other)["folds"] == before["folds"]


def test_a_key_that_came_later_is_part_of_the_identity_only_where_it_does_something() -> None:
    """Verdicts from before the key stay current, and the test images are not looked at again."""
    for stage, section, key, values in (
        ("verdict", "verdict", "curve_seeds", (0, 2)),
        ("generator_onnx", "sampler", "strength", (None, 0.3)),
    ):
        for value, is_there in zip(values, (False, True), strict=True):
            recipe = parse_recipe(write_place((section, key), value), DEMO)
            assert (key in stage_settings(recipe, stage)[section]) == is_there


def test_the_strength_of_variants_is_part_of_the_identity_only_where_it_is_given() -> None:
    """Samplers from before the key stay current; another strength exports the same generator again."""
    varied = {**RESOLVED, "generator": {"kind": "munit"}, "sampler": {}}
    strong, weak = ({**varied, "sampler": {"strength": value}} for value in (1.0, 0.5))
    assert "strength" not in stage_settings(parse_recipe(varied, DEMO), "generator_onnx")["sampler"]
    before, after, weaker = fingerprints(varied), fingerprints(strong), fingerprints(weak)
    for one, other in ((before, after), (after, weaker)):
        assert {stage for stage in STAGES if one[stage] != other[stage]} == {"generator_onnx"}


@pytest.mark.parametrize(("key", "later"), [("moves", 2.0), ("keeps", 0.9)])
def test_limits_of_variants_are_part_of_the_sampler_only_where_they_are_others(key: str, later: float) -> None:
    """Generators that were exported before the keys stay current, in the chain and in folds."""
    recipe = parse_recipe(RESOLVED, DEMO)
    for value, is_there in ((later, False), (0.5, True), (None, True)):
        other = recipe.model_copy(update={"sampler": recipe.sampler.model_copy(update={key: value})})
        assert (key in stage_settings(other, "generator_onnx")["sampler"]) == is_there
        folds = other.model_copy(update={"verdict": other.verdict.model_copy(update={"folds": 5})})
        assert (key in stage_settings(folds, "folds")["sampler"]) == is_there


def test_a_mend_is_part_of_the_identity_only_of_the_recipes_that_it_changed() -> None:
    plain = parse_recipe(RESOLVED, DEMO)
    faster = plain.model_copy(update={"sampler": plain.sampler.model_copy(update={"precision": "int8"})})
    assert stage_settings(faster, "generator_onnx")["mends"] == [
        "variants of the sampler are judged in the class shares of validation"
    ]
    assert "mends" not in stage_settings(plain, "generator_onnx")
    assert "mends" not in stage_settings(faster, "generator")


@pytest.mark.parametrize(
    ("arm", "mended"),
    [
        ({"loss": "class_weighted", "finish": 0.2}, True),
        ({"loss": "ldam", "finish": 0.2}, True),
        ({"trainer": "feature_diffusion"}, True),
        ({"loss": "class_weighted"}, False),
        ({"loss": "focal", "finish": 0.2}, False),
    ],
)
def test_arms_whose_loss_met_other_class_sizes_are_trained_anew(arm: dict[str, Any], mended: bool) -> None:
    recipe = parse_recipe({**RESOLVED, "expanded": {**RESOLVED["expanded"], "other": arm}}, DEMO)
    assert ("mends" in stage_settings(recipe, "expanded_classifiers")) == mended
    assert "mends" not in stage_settings(recipe, "baseline_classifiers")


def test_a_search_with_a_stride_of_4_is_made_anew() -> None:
    network = {**RESOLVED["classifier"]["network"], "stride": 4}
    classifier = {**RESOLVED["classifier"], "network": network}
    arms = {**RESOLVED["baselines"], "augmented": {"augmentation": "auto"}}
    for policy in (True, False):
        tuning = {**RESOLVED["tuning"], "policy": policy}
        content = {**RESOLVED, "classifier": classifier, "tuning": tuning, **({"baselines": arms} if policy else {})}
        assert ("mends" in stage_settings(parse_recipe(content, DEMO), "training_policy")) == policy


def test_worth_trains_on_parts_of_the_labels_and_changes_nothing_but_the_report() -> None:
    """No test image is looked at again, and what was made before the keys stays current."""
    report = stage_settings(parse_recipe(RESOLVED, DEMO), "report")["report"]
    assert "worth" not in report and "prices" not in report
    asked = write_place(("report", "worth"), {"shares": [0.25, 0.5]})
    before = fingerprints(asked)
    assert [stage for stage in STAGES if before[stage] != BEFORE[stage]] == ["label_curve", "report"]
    priced = {**asked, "report": {**asked["report"], "prices": {"label": "0.10 EUR"}}}
    assert [stage for stage, found in fingerprints(priced).items() if found != before[stage]] == ["report"]
    generator = copy.deepcopy(asked)
    generator["generator"]["steps"] += 1
    assert fingerprints(generator)["label_curve"] == before["label_curve"], "recipes with the same arms share it"
    seeds = fingerprints(write_place(("report", "worth"), {"shares": [0.25, 0.5], "seeds": 4}))
    assert [stage for stage, found in seeds.items() if found != before[stage]] == ["label_curve", "report"]


def test_tuning_changes_the_stage_that_chooses() -> None:
    auto = write_place(("baselines", "augmented", "augmentation"), {"kind": "auto"})
    chosen = {**auto, "tuning": {"policy": True}}
    before = fingerprints(chosen)
    for key, value in (("steps", 100), ("most_steps", 1600), ("folds", 5)):
        after = fingerprints({**chosen, "tuning": {"policy": True, key: value}})
        assert [stage for stage in STAGES if after[stage] != before[stage]] == ["training_policy"]


def test_guidance_changes_the_exported_sampler_only() -> None:
    trained = write_place(("generator", "label_dropout"), 0.1)
    guided = {**trained, "sampler": {**trained["sampler"], "guidance": 2.0}}
    before, after = fingerprints(trained), fingerprints(guided)
    assert {stage for stage in STAGES if after[stage] != before[stage]} == {"generator_onnx"}


def test_distillation_changes_the_generator_and_the_exported_sampler() -> None:
    distilled = {**RESOLVED, "generator": {**RESOLVED["generator"], "distillation": {}}, "sampler": {}}
    after = fingerprints(distilled)
    assert {stage for stage in STAGES if after[stage] != BEFORE[stage]} == {"generator", "generator_onnx"}


def test_a_default_of_the_kind_and_the_same_value_written_out_are_the_same() -> None:
    for kind in ("flow", "edm", "ddpm", "latent"):
        short = {**RESOLVED, "generator": {"kind": kind}, "sampler": {}}
        resolved = parse_recipe(short, DEMO).model_dump(mode="json")
        assert resolved["sampler"]["solver"] is not None
        assert fingerprints(resolved) == fingerprints(short)


@pytest.mark.parametrize("side", ["baselines", "expanded"])
def test_adding_an_arm_changes_exactly_the_stages_that_train_it(side: str) -> None:
    after = fingerprints(write_place((side, "another"), {"augmentation": "randaugment"}))
    readers = {"baselines": ["baseline_classifiers"], "expanded": ["teachers", "expanded_classifiers"]}[side]
    assert [stage for stage in STAGES if after[stage] != BEFORE[stage]] == [*readers, "verdict"]


def test_publishing_settings_change_no_fingerprint() -> None:
    assert readers("publish") == set()
    assert ("publish", "commit") in PLACES


def test_key_order_does_not_change_fingerprints() -> None:
    def reverse(value: Any) -> Any:
        return {key: reverse(value[key]) for key in reversed(value)} if isinstance(value, dict) else value

    assert fingerprints(reverse(RESOLVED)) == BEFORE


def test_comments_and_layout_do_not_change_fingerprints(tmp_path: Path) -> None:
    path, buffer = tmp_path / "plain.yaml", io.StringIO()
    YAML(typ="safe").dump(read_yaml(DEMO), buffer)
    assert "#" not in buffer.getvalue()
    path.write_text(buffer.getvalue(), encoding="utf-8")
    assert fingerprints(load_recipe(path).model_dump(mode="json")) == BEFORE


def test_defaults_written_out_do_not_change_fingerprints() -> None:
    plain = {"source": "a", "seed": 3, "on_new_images": "retrain"}
    others = (*plain, "baselines", "expanded", *AUTOMATION_KEYS, "prior")
    sections: dict[str, Any] = {name: {} for name in Recipe.model_fields if name not in others}
    short = {**plain, **sections, "prior": None, "baselines": {"real": {}}, "expanded": {"expanded": {}}}
    written = parse_recipe(short, DEMO).model_dump(mode="json")
    assert written != short
    assert fingerprints(written) == fingerprints(short)


def test_a_bare_name_and_its_kind_with_defaults_are_the_same() -> None:
    given = fingerprints(write_place(("baselines", "mixup"), {"pairing": {"kind": "mixup", "alpha": 1.0}}))
    for short in ({"kind": "mixup"}, "mixup", {"kind": "mixup", "alpha": 1}):
        assert fingerprints(write_place(("baselines", "mixup"), {"pairing": short})) == given
    assert RESOLVED["baselines"]["augmented"]["pairing"] == {"kind": "none"}


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("baselines", "mixup", "augmentation"), "randaugment"),
        (("baselines", "mixup", "pairing"), "none"),
        (("baselines", "mixup", "sampler"), "class_balanced"),
        (("expanded", "expanded", "loss"), "class_weighted"),
        (("expanded", "expanded", "real_weight"), 3.0),
        (("classifier", "network"), {"kind": "mlp"}),
    ],
)
def test_another_kind_changes_exactly_the_stages_that_train_with_it(place: Place, value: Any) -> None:
    after = fingerprints(write_place(place, value))
    assert {stage for stage in STAGES if after[stage] != BEFORE[stage]} == readers(*place)


def test_a_start_of_0_does_not_change_fingerprints() -> None:
    """So that results from before that key stay valid."""
    given = fingerprints(write_place(("baselines", "mixup"), {"sampler": "class_balanced"}))
    for start in (0, 0.0):
        keys = {"sampler": {"kind": "class_balanced", "start": start}}
        assert fingerprints(write_place(("baselines", "mixup"), keys)) == given
    later = {"sampler": {"kind": "class_balanced", "start": 0.5}}
    assert fingerprints(write_place(("baselines", "mixup"), later)) != given


def test_whole_number_for_a_float_does_not_change_fingerprints() -> None:
    assert RESOLVED["plan"]["ratio"] == 10.0
    assert fingerprints(write_place(("plan", "ratio"), 10)) == BEFORE


TEXT = st.text(max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@given(settings_=st.dictionaries(TEXT, VALUES, max_size=3), inputs=st.dictionaries(TEXT, TEXT, max_size=3))
@settings(deadline=None, max_examples=50)
def test_fingerprint_depends_on_stage_version_settings_and_inputs_alone(
    settings_: dict[str, Any], inputs: dict[str, str]
) -> None:
    fingerprint = stage_fingerprint("scorer", 1, settings_, inputs)
    assert fingerprint == stage_fingerprint("scorer", 1, copy.deepcopy(settings_), dict(reversed(inputs.items())))
    others = {
        stage_fingerprint("generator", 1, settings_, inputs),
        stage_fingerprint("scorer", 2, settings_, inputs),
        stage_fingerprint("scorer", 1, {**settings_, "a new key": 0}, inputs),
        stage_fingerprint("scorer", 1, settings_, {**inputs, "a new input": "0"}),
    }
    assert len(others) == 4
    assert fingerprint not in others
    assert len(fingerprint) == 64


def test_input_and_setting_of_the_same_name_give_different_fingerprints() -> None:
    assert stage_fingerprint("scorer", 1, {"a": "b"}, {}) != stage_fingerprint("scorer", 1, {}, {"a": "b"})


def test_hash_is_that_of_canonical_json() -> None:
    assert hash_json({"b": [1, 2.5], "a": "ä"}) == hashlib.sha256('{"a":"ä","b":[1,2.5]}'.encode()).hexdigest()


def test_file_hash_is_that_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "bytes"
    path.write_bytes(b"growset" * 100_000)
    assert hash_file(path) == hashlib.sha256(b"growset" * 100_000).hexdigest()
