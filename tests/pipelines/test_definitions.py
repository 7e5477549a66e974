"""The code location: what it defines, that it loads from workspace.yaml, and that selections by string work."""

from pathlib import Path

import dagster as dg

from ops.chain.checks import CHECKS
from ops.files.manifests import PUBLISHED
from ops.recipe.stages import STAGES
from ops.workspaces.workspace import Workspace
from pipelines.definitions import JOB, build_definitions
from tests.workspaces import ROOT, run


def test_every_stage_is_an_asset_with_the_tables_dependencies() -> None:
    definitions = build_definitions(Workspace(ROOT))
    specs = {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}
    assert set(specs) == {*STAGES, PUBLISHED}
    for name, stage in STAGES.items():
        assert {dep.asset_key.to_user_string() for dep in specs[name].deps} == set(stage.inputs)
        assert specs[name].description and specs[name].group_name != "default" and specs[name].kinds
        assert specs[name].code_version == str(Workspace(ROOT).stage_version(name))


def test_every_check_is_defined_per_expansion() -> None:
    definitions = build_definitions(Workspace(ROOT))
    assert definitions.asset_checks is not None
    keys = {key.name: check for check in definitions.asset_checks for key in check.check_keys}  # type: ignore[union-attr]
    assert set(keys) == {check.name for check in CHECKS}
    for check in keys.values():
        assert all(spec.partitions_def is not None for spec in check.check_specs)  # type: ignore[union-attr]


def test_a_string_selection_resolves() -> None:
    graph = build_definitions(Workspace(ROOT)).resolve_asset_graph()
    selected = dg.AssetSelection.from_string('key:"verdict"+').resolve(graph)
    assert {key.to_user_string() for key in selected} == {"verdict", "report", PUBLISHED}


def test_the_job_covers_everything() -> None:
    job = build_definitions(Workspace(ROOT)).resolve_job_def(JOB)
    assert {key.to_user_string() for key in job.asset_layer.executable_asset_keys} == {*STAGES, PUBLISHED}


def test_workspace_yaml_loads(tmp_path: Path) -> None:
    done = run(ROOT, "dagster", "definitions", "validate", "-w", "workspace.yaml")
    assert "growset" in done.stdout + done.stderr


def test_no_block_in_pyproject_disables_workspace_yaml() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert "[tool.dagster" not in text and "[tool.dg" not in text
