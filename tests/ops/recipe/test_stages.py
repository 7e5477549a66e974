"""The stage table agrees with everything derived from it: dvc.yaml, params.yaml, the recipe, the keys of a builder."""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from ruamel.yaml import YAML

from ops.chain import find_builder
from ops.documents.dvcfile import render
from ops.files.manifests import PUBLISHED
from ops.recipe.arms import Arm, Network, SmallResNet
from ops.recipe.denoisers import FlowSettings
from ops.recipe.loading import load_recipe
from ops.recipe.schema import Recipe
from ops.recipe.stages import PUBLISHED_INPUTS, PUBLISHED_KEYS, STAGES, upstream
from ops.settings.kinds import Kind
from ops.settings.reading import read_yaml
from ops.stages.materialization import _narrow
from tests.recipes import AUTOMATION_KEYS

ROOT = Path(__file__).parents[3]
DEMO = ROOT / "recipes" / "fashion-flow.yaml"
# Keys that need no explanation; every other key of the demo recipe has a comment where it first appears.
PLAIN = {
    "batch_size", "label_smoothing", "kind", "layers_per_block", "warmup_steps", "weight_decay",
    "examples_per_class",
}  # fmt: skip
ARMS = ("baselines", "expanded")


def schema_keys(model: type[BaseModel], prefix: str = "") -> set[str]:
    """Dotted names of all keys below `model`, sections included; arms are the user's and left out."""
    found = set()
    for name, field in model.model_fields.items():
        found.add(prefix + name)
        section = FlowSettings if field.annotation == Recipe.model_fields["generator"].annotation else field.annotation
        section = {Network: SmallResNet, Kind: None}.get(section, section)  # an augmentation is written as a name
        if isinstance(section, type) and issubclass(section, BaseModel):
            found |= schema_keys(section, f"{prefix}{name}.")
    return found


def file_keys(content: dict[str, Any], prefix: str = "") -> set[str]:
    found = set()
    for name, value in content.items():
        found.add(prefix + name)
        if isinstance(value, dict) and name not in ARMS and set(value) != {"threshold"}:  # that is one value
            found |= file_keys(value, f"{prefix}{name}.")
    return found


def commented_keys(text: str) -> set[str]:
    """Last parts of the keys on whose line stands a comment."""
    lines = (line.partition("#") for line in text.splitlines())
    return {before.partition(":")[0].strip() for before, _, comment in lines if ":" in before and comment.strip()}


def test_every_recipe_key_is_read_by_some_stage() -> None:
    read = {section for stage in STAGES.values() for section in stage.sections} | set(PUBLISHED_KEYS)
    assert set(Recipe.model_fields) - read == set(AUTOMATION_KEYS)


def test_no_stage_reads_when_it_runs_by_itself() -> None:
    for stage in STAGES.values():
        assert not set(stage.sections) & set(AUTOMATION_KEYS), "its fingerprint and DVC's parameters would have it"


def test_every_declared_key_is_a_recipe_key_and_stands_once() -> None:
    for stage in STAGES.values():
        assert set(stage.keys) <= schema_keys(Recipe), stage.name
        assert len(set(stage.keys)) == len(stage.keys), stage.name
    assert set(PUBLISHED_KEYS) <= set(Recipe.model_fields)


def test_inputs_are_stages_that_stand_earlier_in_the_table() -> None:
    seen: set[str] = set()
    for name, stage in STAGES.items():
        assert stage.name == name
        assert set(stage.inputs) <= seen, name
        assert len(set(stage.inputs)) == len(stage.inputs), name
        seen.add(name)
    assert set(PUBLISHED_INPUTS) <= seen
    assert PUBLISHED not in seen


def test_only_the_first_stage_has_no_inputs() -> None:
    assert [name for name, stage in STAGES.items() if not stage.inputs] == ["real_images"]


def test_upstream_is_the_transitive_closure_in_table_order() -> None:
    assert upstream("real_images") == []
    assert upstream("generator_onnx") == ["real_images", "training_policy", "scorer", "prior", "generator"]
    assert upstream("report") == [name for name in STAGES if name != "report"]
    for name, stage in STAGES.items():
        closed = set(stage.inputs).union(*(upstream(parent) for parent in stage.inputs))
        assert upstream(name) == [other for other in STAGES if other in closed]


def test_nothing_before_the_verdict_depends_on_it() -> None:
    assert [name for name in STAGES if "verdict" in upstream(name)] == ["report"]


def test_baselines_do_not_wait_for_generated_data() -> None:
    assert upstream("baseline_classifiers") == ["real_images", "training_policy", "prior"]


def test_dvc_yaml_is_generated_from_the_table() -> None:
    assert (ROOT / "dvc.yaml").read_text(encoding="utf-8") == render()


def test_dvc_yaml_tracks_exactly_the_declared_keys_and_inputs() -> None:
    described = YAML(typ="safe").load(render())["stages"]
    assert list(described) == list(STAGES)
    for name, stage in STAGES.items():
        params = {file: keys for entry in described[name]["params"] for file, keys in entry.items()}
        assert tuple(params["recipes/${item.expansion}.yaml"]) == stage.sections
        assert params["params.yaml"][0] == f"stage_versions.{name}"
        assert [dep.rpartition("/")[2] for dep in described[name].get("deps", [])] == list(stage.inputs)
        assert described[name]["outs"] == [{f"data/${{item.expansion}}/{name}": {"persist": True}}]
        assert described[name]["matrix"] == {"expansion": "${expansions}"}


def test_source_version_is_a_parameter_of_the_first_stage_alone() -> None:
    described = YAML(typ="safe").load(render())["stages"]
    with_source = [name for name, stage in described.items() if "source_versions" in str(stage["params"])]
    assert with_source == ["real_images"]


def test_params_yaml_has_a_version_for_exactly_the_stages() -> None:
    versions = read_yaml(ROOT / "params.yaml")["stage_versions"]
    assert list(versions) == list(STAGES)
    assert all(isinstance(version, int) and version >= 1 for version in versions.values())


def test_active_expansions_are_recipes() -> None:
    params = read_yaml(ROOT / "params.yaml")
    assert {"smoke", "fashion-flow"} <= set(params["expansions"])
    assert all((ROOT / "recipes" / f"{name}.yaml").is_file() for name in params["expansions"])


@pytest.mark.parametrize("stage", list(STAGES))
def test_every_stage_has_a_builder(stage: str) -> None:
    assert callable(find_builder(stage))


def test_demo_recipe_writes_out_every_key_of_the_schema() -> None:
    assert file_keys(read_yaml(DEMO)) == schema_keys(Recipe)


def test_demo_recipe_shows_every_key_of_an_arm() -> None:
    content = read_yaml(DEMO)
    shown = {key for side in ARMS for arm in content[side].values() for key in arm}
    explained = DEMO.read_text(encoding="utf-8").partition("# An arm's keys")[2].partition("real: {}")[0]
    others = {"trainer", "real_weight", "targets", "consistency", "finish", "separate", "variants", "unlabelled"}
    others |= {"beta", "ratio", "strength"}
    assert set(Arm.model_fields) - shown == others  # there is one trainer, and one N suits all
    assert all(f"{key}" in explained for key in Arm.model_fields)


def test_demo_recipe_explains_every_key_by_a_comment_on_its_line() -> None:
    commented = commented_keys(DEMO.read_text(encoding="utf-8"))
    keys = schema_keys(Recipe)
    leaves = {key.rpartition(".")[2] for key in keys if not any(other.startswith(f"{key}.") for other in keys)}
    assert leaves - commented - PLAIN == set()
    assert leaves >= PLAIN


def test_smoke_recipe_leaves_no_key_to_a_default() -> None:
    assert file_keys(read_yaml(ROOT / "recipes" / "smoke.yaml")) == schema_keys(Recipe)


@pytest.mark.parametrize("stage", list(STAGES))
def test_builder_can_read_the_declared_keys_and_no_other(stage: str) -> None:
    recipe = load_recipe(DEMO)
    narrow = _narrow(recipe, stage)
    for key in STAGES[stage].keys:
        assert attrgetter(key)(narrow) == attrgetter(key)(recipe)
    for key in set(Recipe.model_fields) - set(STAGES[stage].sections):
        with pytest.raises(AttributeError):
            getattr(narrow, key)


def test_a_stage_that_declares_one_key_of_a_section_cannot_read_the_others() -> None:
    narrow = _narrow(load_recipe(DEMO), "baseline_classifiers")
    assert narrow.verdict.metric is None
    with pytest.raises(AttributeError):
        _ = narrow.verdict.confidence
