"""The code location: what it defines, that it loads from workspace.yaml, and that selections by string work."""

import warnings
from pathlib import Path

import dagster as dg
import pytest

from assets.checks import REMOTE_VERIFIED
from ops.chain.checks import CHECKS
from ops.errors import UserError
from ops.files.manifests import PUBLISHED
from ops.recipe.stages import STAGES
from ops.workspaces.workspace import Workspace
from pipelines.definitions import build_definitions
from tests.workspaces import ROOT, run

EXPANSIONS = Workspace(ROOT).expansions
SOURCE = dg.AssetKey(["sources", "fashion-mnist"])  # of both


def test_every_stage_of_every_expansion_is_an_asset_with_the_tables_dependencies() -> None:
    definitions = build_definitions(Workspace(ROOT))
    specs = {spec.key: spec for spec in definitions.resolve_all_asset_specs()}
    chains = {dg.AssetKey([name, asset]) for name in EXPANSIONS for asset in (*STAGES, PUBLISHED)}
    assert set(specs) == chains | {SOURCE}
    for name in EXPANSIONS:
        for stage in STAGES:
            spec = specs[dg.AssetKey([name, stage])]
            inputs = {dg.AssetKey([name, put]) for put in STAGES[stage].inputs}
            assert {dep.asset_key for dep in spec.deps} == inputs | ({SOURCE} if stage == "real_images" else set())
            assert spec.description and spec.group_name == name.replace("-", "_") and spec.kinds
            assert spec.code_version == str(Workspace(ROOT).stage_version(stage))
            assert spec.tags.items() >= {"expansion": name, "stage": stage, "kind": "flow"}.items()


def test_every_check_is_defined_for_every_expansion() -> None:
    definitions = build_definitions(Workspace(ROOT))
    assert definitions.asset_checks is not None
    keys = {key for check in definitions.asset_checks for key in check.check_keys}
    expected = {(check.stage, check.name) for check in CHECKS} | {(PUBLISHED, REMOTE_VERIFIED)}
    assert keys == {
        dg.AssetCheckKey(dg.AssetKey([name, asset]), check) for name in EXPANSIONS for asset, check in expected
    }


def test_a_string_selection_resolves() -> None:
    graph = build_definitions(Workspace(ROOT)).resolve_asset_graph()
    selected = dg.AssetSelection.from_string('key:"smoke/verdict"+').resolve(graph)
    assert {key.to_user_string() for key in selected} == {f"smoke/{name}" for name in ("verdict", "report", PUBLISHED)}


def test_each_job_covers_its_expansion() -> None:
    definitions = build_definitions(Workspace(ROOT))
    for name, job_name in (("smoke", "expand_smoke"), ("fashion-flow", "expand_fashion_flow")):
        job = definitions.resolve_job_def(job_name)
        chain = {dg.AssetKey([name, asset]) for asset in (*STAGES, PUBLISHED)}
        assert job.asset_layer.executable_asset_keys == chain | {SOURCE}
        assert job.run_tags == {"growset/expansion": name}


def test_a_wrong_recipe_leaves_the_other_expansions_as_they_are(fresh_workspace: Path) -> None:
    recipes = fresh_workspace / "recipes"
    (recipes / "broken.yaml").write_text((recipes / "digits.yaml").read_text().replace("real_weight", "weight"))
    workspace = Workspace(fresh_workspace)
    workspace.edit_params(expansions=["digits", "broken"])
    specs = {spec.key: spec for spec in build_definitions(workspace).resolve_all_asset_specs()}
    for stage in STAGES:
        assert "unknown key 'mix.weight'" in (specs[dg.AssetKey(["broken", stage])].description or "")
        assert "cannot be made" not in (specs[dg.AssetKey(["digits", stage])].description or "")


def test_owners_and_code_references_are_on_every_asset(fresh_workspace: Path) -> None:
    workspace = Workspace(fresh_workspace)
    workspace.edit_params(owners=["team:vision"])
    for spec in build_definitions(workspace).resolve_all_asset_specs():
        assert list(spec.owners) == ["team:vision"]
        assert "dagster/code_references" in spec.metadata


def test_names_that_dagster_cannot_tell_apart_are_refused(fresh_workspace: Path) -> None:
    workspace = Workspace(fresh_workspace)
    workspace.edit_params(expansions=["a-b", "a_b"])
    with pytest.raises(UserError, match="cannot both be active"):
        build_definitions(workspace)


def test_the_location_loads_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        definitions = build_definitions(Workspace(ROOT))
        dg.Definitions.validate_loadable(definitions)


def test_workspace_yaml_loads(tmp_path: Path) -> None:
    done = run(ROOT, "dagster", "definitions", "validate", "-w", "workspace.yaml")
    assert "growset" in done.stdout + done.stderr


def test_no_block_in_pyproject_disables_workspace_yaml() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert "[tool.dagster" not in text and "[tool.dg" not in text
