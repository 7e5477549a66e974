"""Dagster and DVC share their data: outputs of `growset run` are current for DVC, and the other way round."""

import json
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from ruamel.yaml import YAML

from ops.files.manifests import read_manifest
from ops.history.dvc_repository import changed_stages, stage_addresses
from ops.recipe.stages import STAGES
from ops.workspaces.workspace import Workspace
from pipelines.definitions import build_definitions
from pipelines.instance import open_instance
from tests.workspaces import ROOT, growset, run

Edit = Callable[[Path, str, str], None]


def contents(root: Path) -> dict[str, str]:
    """Content hash of every stage's output."""
    return {stage: read_manifest(Workspace(root).output("digits", stage))["content"] for stage in STAGES}


def test_after_a_run_dvc_status_is_empty_and_repro_runs_nothing(finished_workspace: Path) -> None:
    assert changed_stages(finished_workspace, stage_addresses("digits")) == {}
    done = run(finished_workspace, "dvc", "repro")
    assert "Running stage" not in done.stdout
    assert run(finished_workspace, "dvc", "status").stdout.strip() == "Data and pipelines are up to date."


def test_an_unchanged_run_says_so_and_starts_no_dagster_run(finished_workspace: Path) -> None:
    before = count_runs(finished_workspace)
    result = growset(finished_workspace, "run", "digits")
    assert result.exit_code == 0, result.output
    assert "digits: unchanged" in result.output
    assert count_runs(finished_workspace) == before


def count_runs(root: Path) -> int:
    with open_instance(Workspace(root)) as instance:
        return len(instance.get_runs())


def test_dvc_repro_and_a_run_make_exactly_the_stages_that_a_changed_key_affects(
    finished_workspace: Path, edit_recipe: Edit
) -> None:
    before = contents(finished_workspace)
    edit_recipe(finished_workspace, "real_weight: 4.0", "real_weight: 7.0")
    # DVC watches whole sections, so it asks `folds`, which reads every section, and which finds nothing to do.
    changed = set(changed_stages(finished_workspace, stage_addresses("digits")))
    assert changed == {"mixed_dataset@digits", "folds@digits"}

    done = run(finished_workspace, "dvc", "repro", "expanded_classifiers@digits")
    ran = {line.split("'")[1].split("@")[0] for line in done.stdout.splitlines() if line.startswith("Running stage")}
    assert ran == {"mixed_dataset", "expanded_classifiers"}
    rest = json.loads(growset(finished_workspace, "run", "digits", "--json").stdout)  # the other door goes on
    assert set(rest["ran"]) == {"verdict", "report"}

    after = contents(finished_workspace)
    assert {stage for stage in STAGES if before[stage] != after[stage]} == {*ran, "verdict", "report"}
    assert changed_stages(finished_workspace, stage_addresses("digits")) == {}
    with open_instance(Workspace(finished_workspace)) as instance:  # Dagster saw what DVC ran
        event = instance.get_latest_materialization_event(dg.AssetKey(["digits", "mixed_dataset"]))
    assert event and event.asset_materialization
    assert event.asset_materialization.metadata["real_weight"].value == 7.0


def test_growset_run_reports_reuse_when_an_input_changed_nothing(finished_workspace: Path, edit_recipe: Edit) -> None:
    before = contents(finished_workspace)
    edit_recipe(finished_workspace, "examples_per_class: 2", "examples_per_class: 3")
    result = growset(finished_workspace, "run", "digits")
    assert result.exit_code == 0, result.output
    assert f"1 of {len(STAGES)} stages" in result.output
    assert {stage for stage, content in contents(finished_workspace).items() if content != before[stage]} == {"report"}


@pytest.mark.slow
def test_new_images_are_seen_by_growset_and_refused_by_a_bare_repro(
    finished_workspace: Path, edit_recipe: Edit
) -> None:
    edit_recipe(finished_workspace, "images_per_class: 16", "images_per_class: 15")
    source = finished_workspace / "sources" / "digits.yaml"
    shard = finished_workspace / "images" / "train-00000-of-00001.parquet"
    from ops.datasets.pixels import read_shards, write_shard

    write_shard(shard, read_shards([shard]).select(list(range(60))))
    assert source.exists()
    refused = run(finished_workspace, "dvc", "repro", check=False)
    assert refused.returncode != 0
    assert "accept them with: growset run digits" in refused.stdout + refused.stderr
    accepted = growset(finished_workspace, "run", "digits")
    assert accepted.exit_code == 0, accepted.output
    assert changed_stages(finished_workspace, stage_addresses("digits")) == {}


def test_groups_list_and_matrix_are_the_same(finished_workspace: Path) -> None:
    definitions = build_definitions(Workspace(finished_workspace))
    groups = {spec.group_name for spec in definitions.resolve_all_asset_specs()}
    listed = YAML(typ="safe").load((finished_workspace / "params.yaml").read_text())["expansions"]
    from ops.history.dvc_repository import open_repo

    with open_repo(finished_workspace) as repo:
        matrix = {stage.name.split("@")[1] for stage in repo.index.stages if "@" in (getattr(stage, "name", "") or "")}
    assert groups - {"sources"} == set(listed) == matrix == {"digits"}


def test_the_repo_itself_agrees_with_its_table() -> None:
    from ops.documents.dvcfile import render

    assert (ROOT / "dvc.yaml").read_text() == render()
