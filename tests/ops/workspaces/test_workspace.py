"""The workspace: how it is found, reading and editing params.yaml, errors for wrong names."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ops.errors import UserError
from ops.recipe.stages import STAGES
from ops.workspaces.workspace import Workspace, check_stage_name, find_workspace, suggest
from tests.workspaces import ROOT


@pytest.fixture
def outside(workspace: Workspace) -> Path:
    """A folder outside every workspace."""
    folder = workspace.root.parent / "elsewhere"
    folder.mkdir()
    return folder


def rewrite(workspace: Workspace, old: str, new: str) -> None:
    path = workspace.root / "params.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_workspace_is_found_from_its_folder_and_from_below(workspace: Workspace) -> None:
    below = workspace.root / "data" / "base"
    below.mkdir(parents=True)
    assert find_workspace(workspace.root) == workspace
    assert find_workspace(below) == workspace


def test_nearest_workspace_upwards_is_taken(workspace: Workspace) -> None:
    inner = workspace.root / "inner"
    (inner / "recipes").mkdir(parents=True)
    (inner / "params.yaml").write_text("expansions: []\n")
    assert find_workspace(inner / "recipes").root == inner


def test_workspace_is_found_by_the_environment(
    workspace: Workspace, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROWSET_HOME", str(workspace.root))
    assert find_workspace(outside) == workspace


def test_explicit_folder_goes_before_the_environment(
    workspace: Workspace, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROWSET_HOME", str(outside))
    assert find_workspace(outside, explicit=workspace.root) == workspace


def test_environment_goes_before_the_current_folder(
    workspace: Workspace, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROWSET_HOME", str(outside))
    with pytest.raises(UserError, match=r"elsewhere is not a Growset workspace"):
        find_workspace(workspace.root)


def test_a_stage_of_dvc_works_where_dvc_started_it(
    workspace: Workspace, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROWSET_HOME", str(outside))
    monkeypatch.setenv("DVC_STAGE", "scorer@base")
    assert find_workspace(workspace.root / "recipes") == workspace


@pytest.mark.parametrize("copy", [".dvc/tmp/exps/tmp1", ".dvc/tmp/exps/standalone/tmp2"])
def test_an_experiment_in_a_copy_of_a_workspace_logs_its_looks_in_the_workspace(
    workspace: Workspace, copy: str
) -> None:
    inside = Workspace(workspace.root / copy)
    assert (inside.evaluations, inside.known_evaluations) == (workspace.evaluations, workspace.known_evaluations)
    assert inside.output("base", "scorer").is_relative_to(inside.root)
    assert workspace.evaluations == workspace.root / "evaluations.jsonl"


def test_empty_environment_variable_counts_as_none(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROWSET_HOME", "")
    assert find_workspace(workspace.root) == workspace


def test_explicit_folder_is_not_searched_upwards(workspace: Workspace) -> None:
    with pytest.raises(UserError, match=r"recipes is not a Growset workspace"):
        find_workspace(workspace.root, explicit=workspace.root / "recipes")


def test_relative_folder_becomes_absolute(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace.root.parent)
    assert find_workspace(Path.cwd(), explicit=Path("workspace")) == workspace


def test_a_folder_outside_every_workspace_is_refused(outside: Path) -> None:
    with pytest.raises(UserError) as caught:
        find_workspace(outside)
    assert str(caught.value) == (
        f"{outside} is not a Growset workspace: it has no params.yaml beside a recipes/ folder"
    )


def test_paths_are_the_agreed_ones(workspace: Workspace) -> None:
    root = workspace.root
    assert workspace.output("base", "scorer") == root / "data" / "base" / "scorer"
    assert workspace.recipe_path("base") == root / "recipes" / "base.yaml"
    assert workspace.source_path("insects") == root / "sources" / "insects.yaml"
    assert workspace.published("base") == root / "published" / "base"
    assert workspace.staging("abc") == root / ".growset" / "staging" / "abc"
    assert workspace.evaluations == root / "evaluations.jsonl"


def test_params_are_read_anew_each_time(workspace: Workspace) -> None:
    assert workspace.expansions == ["base", "twin"]
    rewrite(workspace, "- twin\n", "")
    assert workspace.expansions == ["base"]


def test_no_expansions_are_an_empty_list(workspace: Workspace) -> None:
    workspace.edit_params(expansions=[])
    assert workspace.expansions == []
    (workspace.root / "params.yaml").write_text("expansions:\n", encoding="utf-8")
    assert workspace.expansions == []


def test_missing_stage_version_names_file_and_key(workspace: Workspace) -> None:
    rewrite(workspace, "  scorer: 1\n", "")
    with pytest.raises(UserError, match=r"^stage_versions\.scorer is missing in .*params\.yaml, .*: growset upgrade$"):
        workspace.stage_version("scorer")
    assert workspace.stage_version("generator") == 1


def test_a_pipeline_that_an_older_growset_wrote_is_known_by_the_stage_that_it_lacks(workspace: Workspace) -> None:
    workspace.require_stages()  # none is there
    path = workspace.root / "dvc.yaml"
    path.write_text((ROOT / "dvc.yaml").read_text())
    workspace.require_stages()
    path.write_text((ROOT / "dvc.yaml").read_text().replace("  label_curve:\n", "  other_curve:\n"))
    with pytest.raises(UserError, match=r"dvc\.yaml lacks the stage label_curve, .* up to date with: growset upgrade$"):
        workspace.require_stages()


def test_params_that_are_not_a_mapping_are_refused(workspace: Workspace) -> None:
    (workspace.root / "params.yaml").write_text("- base\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"params\.yaml must hold 'expansions:' and 'stage_versions:'$"):
        _ = workspace.expansions


@pytest.mark.parametrize("expansions", [["base", "twin", "idle"], ["base"], ["twin"]])
def test_edit_of_a_list_keeps_the_comments_around_it(workspace: Workspace, expansions: list[str]) -> None:
    workspace.edit_params(expansions=expansions)
    after = (workspace.root / "params.yaml").read_text(encoding="utf-8")
    assert [line for line in after.splitlines() if line.startswith("#")] == ["# The active ones.", "# Raised by hand."]
    assert workspace.expansions == expansions


def test_edits_of_several_processes_are_all_kept(workspace: Workspace) -> None:
    def add(number: int) -> None:
        workspace.edit_params(
            expansions=lambda active: [*active, f"own{number}"], source_versions={f"own{number}": str(number)}
        )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(16)))
    assert {f"own{number}" for number in range(16)} <= set(workspace.expansions)
    assert [workspace.source_version(f"own{number}") for number in range(16)] == [str(each) for each in range(16)]


def test_edit_of_a_mapping_keeps_all_comments(workspace: Workspace) -> None:
    before = (workspace.root / "params.yaml").read_text(encoding="utf-8")
    workspace.edit_params(source_versions={"base": "abc"})
    after = (workspace.root / "params.yaml").read_text(encoding="utf-8")
    assert after == before.replace("source_versions: {}", "source_versions:\n  base: abc")


def test_edit_keeps_order_and_other_keys(workspace: Workspace) -> None:
    before = (workspace.root / "params.yaml").read_text(encoding="utf-8")
    workspace.edit_params(expansions=["base", "twin", "idle"], source_versions={"base": "abc"})
    after = (workspace.root / "params.yaml").read_text(encoding="utf-8")
    assert (
        after.partition("stage_versions:")[2].partition("source_versions")[0]
        == (before.partition("stage_versions:")[2].partition("source_versions")[0])
    )
    assert workspace.expansions == ["base", "twin", "idle"]
    assert workspace.source_version("base") == "abc"
    assert list(workspace.params) == ["expansions", "stage_versions", "source_versions"]


def test_edit_of_a_mapping_keeps_its_other_entries(workspace: Workspace) -> None:
    workspace.edit_params(source_versions={"base": "1", "twin": "2"})
    workspace.edit_params(source_versions={"twin": "3"})
    assert workspace.params["source_versions"] == {"base": "1", "twin": "3"}
    assert workspace.params["stage_versions"] == dict.fromkeys(STAGES, 1)


@pytest.mark.parametrize("text", ["expansions: [base]\n", "expansions: [base]\nsource_versions:\n"])
def test_edit_adds_a_missing_mapping(workspace: Workspace, text: str) -> None:
    (workspace.root / "params.yaml").write_text(text, encoding="utf-8")
    workspace.edit_params(source_versions={"base": "abc"})
    assert workspace.source_version("base") == "abc"
    assert workspace.expansions == ["base"]


def test_edit_without_a_change_keeps_the_values(workspace: Workspace) -> None:
    before = workspace.params
    workspace.edit_params()
    assert workspace.params == before


def test_unknown_source_version_is_none(workspace: Workspace) -> None:
    assert workspace.source_version("base") is None


def test_recipe_of_an_active_expansion_loads(workspace: Workspace) -> None:
    assert workspace.load_recipe("base").source == "insects"


def test_unknown_recipe_is_answered_with_the_nearest(workspace: Workspace) -> None:
    with pytest.raises(UserError) as caught:
        workspace.load_recipe("twim")
    assert str(caught.value) == f"there is no recipe 'twim' in {workspace.root / 'recipes'}; did you mean 'twin'?"


def test_unknown_recipe_far_from_all_is_answered_with_the_list(workspace: Workspace) -> None:
    with pytest.raises(UserError, match=r"; there are: base, idle, twin$"):
        workspace.load_recipe("zzz")


def test_recipe_name_cannot_leave_the_folder(workspace: Workspace) -> None:
    (workspace.root / "outside.yaml").write_bytes(workspace.recipe_path("base").read_bytes())
    for name in ("../outside", "", ".hidden", "a b", "base\n", "base@x", "<img>"):
        with pytest.raises(UserError, match="cannot name a recipe; allowed: letters, digits"):
            workspace.load_recipe(name)


def test_inactive_expansion_is_told_how_to_activate_it(workspace: Workspace) -> None:
    with pytest.raises(UserError) as caught:
        workspace.load_recipe("idle")
    assert str(caught.value) == "expansion 'idle' is not active; run: growset activate idle"
    assert workspace.load_recipe("idle", active=False).source == "insects"


def test_suggestion_without_names_is_none() -> None:
    assert suggest("a", []) == "there are: none"


def test_unknown_stage_is_answered_with_the_nearest() -> None:
    check_stage_name("scorer")
    with pytest.raises(UserError, match=r"^there is no stage 'scorrer'; did you mean 'scorer'\?$"):
        check_stage_name("scorrer")


@pytest.mark.parametrize("value", ["x", "1.5", "null", "true", "0", "-1", "[1]", "'2'"])
def test_a_stage_version_that_is_not_a_whole_number_is_refused(workspace: Workspace, value: str) -> None:
    (workspace.root / "params.yaml").write_text(f"expansions: []\nstage_versions: {{scorer: {value}}}\n")
    with pytest.raises(UserError, match="stage_versions.scorer in .* allowed: whole numbers from 1"):
        workspace.stage_version("scorer")


@pytest.mark.parametrize("key", ["stage_versions", "source_versions"])
def test_versions_that_are_not_a_mapping_are_refused(workspace: Workspace, key: str) -> None:
    (workspace.root / "params.yaml").write_text(f"expansions: []\n{key}: [1]\n")
    ask = workspace.stage_version if key == "stage_versions" else workspace.source_version
    with pytest.raises(UserError, match=f"'{key}' in .* must hold keys and values; got \\[1\\]"):
        ask("scorer")


def test_owners_are_addresses_and_teams(workspace: Workspace) -> None:
    assert workspace.owners == []
    workspace.edit_params(owners=["team:vision", "ada.lovelace+x@example.org"])
    assert workspace.owners == ["team:vision", "ada.lovelace+x@example.org"]
    for wrong in ("ada", ["ada"], ["team:"], [3]):
        workspace.edit_params(owners=wrong)
        with pytest.raises(UserError, match="'owners' in .* must be a list of e-mail addresses and `team:NAME`"):
            _ = workspace.owners


def test_the_number_of_kept_runs_is_a_whole_number(workspace: Workspace) -> None:
    assert workspace.kept_runs == 100
    workspace.edit_params(history={"runs": 20})
    assert workspace.kept_runs == 20
    for wrong in ({"runs": 0}, {"runs": True}, {"runs": "many"}, {"run": 20}):
        (workspace.root / "params.yaml").write_text(f"expansions: []\nhistory: {json.dumps(wrong)}\n")
        with pytest.raises(UserError, match=r"'history' in .* allowed: \{runs: N\} with a whole number from 1"):
            _ = workspace.kept_runs


def test_the_pointer_of_a_name_with_a_dot_is_where_dvc_writes_it(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    assert workspace.pointer("v1.2") == workspace.published("v1.2").with_name("v1.2.dvc")
