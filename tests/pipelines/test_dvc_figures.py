"""What a DVC user types first: `dvc metrics`, `dvc plots` and `dvc exp`, and the files in figures/ that they read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ops.chain.figures import collect_figures, write_figures
from ops.files.storage import read_json
from ops.history.figures import EMPTY, METRICS, PLOTS, list_figures
from ops.verdict.evaluation_log import read_log
from ops.workspaces.workspace import Workspace
from tests.damage import flip
from tests.workspaces import growset, run

Edit = Callable[[Path, str, str], None]
FILE = f"{METRICS}/digits.json"


def show(root: Path, *command: str) -> Any:
    """The JSON that a command of DVC prints; it must not complain."""
    done = run(root, "dvc", *command)
    assert done.stderr == "", done.stderr
    return json.loads(done.stdout)


def read_metrics(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_json(root / FILE)
    return found


def commit(root: Path) -> None:
    run(root, "git", "add", "--all")
    run(root, "git", "commit", "--quiet", "--message", "All")


def test_the_metrics_say_what_the_outputs_say(finished_workspace: Path) -> None:
    data = finished_workspace / "data" / "digits"
    verdict, found = read_json(data / "verdict" / "verdict.json"), read_metrics(finished_workspace)
    gap = next(c["difference"] for c in verdict["contrasts"] if c["role"] == "decisive")
    assert [found[key] for key in ("difference", "low", "high")] == pytest.approx(
        [gap["estimate"], gap["low"], gap["high"]], abs=1e-6
    )
    assert (found["decision"], found["looks"]) == (verdict["decision"], 1)
    results = [read_json(data / f"{side}_classifiers" / "results.json") for side in ("baseline", "expanded")]
    arms = {arm: entry["validation"] for side in results for arm, entry in side["arms"].items()}
    assert found["validation"] == pytest.approx(arms, abs=1e-6)
    assert list(found["validation"]) == ["real", "expanded"], "an arm that equals another has no column of its own"


def test_the_rows_of_the_plots_say_what_the_outputs_say(finished_workspace: Path) -> None:
    data = finished_workspace / "data" / "digits"
    rows = {folder: read_json(finished_workspace / folder / "digits.json") for folder in PLOTS}
    for folder, plot in PLOTS.items():
        assert rows[folder] and all(set(row) == {plot.x, plot.y} for row in rows[folder]), folder
    verdict = read_json(data / "verdict" / "verdict.json")
    assert [row["class"] for row in rows["figures/classes"]] == [row["name"] for row in verdict["per_class"]]
    curve = read_json(data / "generator" / "learning_curve.json")
    assert [row["step"] for row in rows["figures/learning"]] == [row["step"] for row in curve]
    outcomes = {row["outcome"]: row["images"] for row in rows["figures/outcomes"]}
    counts = read_json(data / "accepted_images" / "manifest.json")["metrics"]
    assert outcomes["accepted"] == counts["accepted"] and outcomes["wrong_label"] == counts["rejected_wrong_label"]


def test_dvc_shows_metrics_and_plots_and_compares_them_with_a_commit(finished_workspace: Path) -> None:
    commit(finished_workspace)
    before = read_metrics(finished_workspace)
    assert show(finished_workspace, "metrics", "show", "--json")[""]["data"] == {FILE: {"data": before}}
    (finished_workspace / FILE).write_text(json.dumps(before | {"difference": before["difference"] + 1}))
    changed = show(finished_workspace, "metrics", "diff", "--json")[FILE]
    assert changed.keys() == {"difference"} and changed["difference"]["diff"] == pytest.approx(1.0)
    for command in ("show", "diff"):
        plots = show(finished_workspace, "plots", command, "--json")["data"]
        assert set(plots) == {f"{folder}/digits.json" for folder in PLOTS}, command
    drawn = run(finished_workspace, "dvc", "plots", "show")
    page = (finished_workspace / "dvc_plots" / "index.html").read_text()
    assert drawn.stderr == "" and all(f"{folder}/digits.json" in page for folder in PLOTS)
    assert run(finished_workspace, "git", "status", "--porcelain").stdout == f" M {FILE}\n", "the page is not for git"


def test_the_commands_of_the_vs_code_extension_give_what_it_reads(finished_workspace: Path) -> None:
    """As `extension/src/cli/dvc/{reader,contract}.ts` of iterative/vscode-dvc calls and types them."""
    commit(finished_workspace)
    head = run(finished_workspace, "git", "rev-parse", "HEAD").stdout.strip()
    recipe = finished_workspace / "recipes" / "digits.yaml"
    recipe.write_text(recipe.read_text().replace("real_weight: 4.0", "real_weight: 5.0"))
    run(finished_workspace, "dvc", "exp", "save", "--name", "heavier")
    rows = show(finished_workspace, "exp", "show", "--rev", head, "--json")
    assert [row["rev"] for row in rows] == ["workspace", head] and not any(row.get("error") for row in rows)
    (experiment,) = rows[1]["experiments"]
    (heavier,) = experiment["revs"]
    assert heavier["name"] == "heavier"
    weights = []
    for row in (rows[1], heavier):
        data = row["data"]
        assert data["metrics"] == {FILE: {"data": read_metrics(finished_workspace)}}
        assert not any(file.get("error") for file in data["params"].values())
        weights.append(data["params"]["recipes/digits.yaml"]["data"]["mix"]["real_weight"])
        assert {name for name, out in data["outs"].items() if out["use_cache"]} >= {"data/digits/verdict"}
        assert all(out["hash"] for out in data["outs"].values())
    assert weights == [4.0, 5.0]

    folder = finished_workspace / ".dvc" / "tmp" / "plots"
    found = show(finished_workspace, "plots", "diff", "HEAD", "heavier", "-o", str(folder), "--split", "--json")
    assert not found.get("errors") and found["data"].keys() == {f"{name}/digits.json" for name in PLOTS}
    for name, plot in PLOTS.items():
        for drawn in found["data"][f"{name}/digits.json"]:
            anchors = drawn["anchor_definitions"]
            assert drawn["type"] == "vega" and drawn["content"]
            data = anchors["<DVC_METRIC_DATA>"]
            data = json.loads(data) if isinstance(data, str) else data
            assert {row["rev"] for row in data} == set(drawn["revisions"]) == {"HEAD", "heavier"}
            assert all({plot.x, plot.y} <= row.keys() for row in data)

    state = show(finished_workspace, "data", "status", "--granular", "--unchanged", "--json")
    assert not state.get("not_in_cache") and not state.get("uncommitted")
    assert any(path.startswith("data/digits/verdict/") for path in state["unchanged"])


def test_an_older_verdict_does_not_stand_beside_new_images(finished_workspace: Path) -> None:
    changed = growset(finished_workspace, "materialize", "mixed_dataset", "digits", "--set", "mix.real_weight=5")
    assert changed.exit_code == 0, changed.output
    found = read_metrics(finished_workspace)
    assert found["decision"] == "not run yet" and not {"difference", "low", "high", "looks"} & found.keys()
    assert list(found["validation"]) == ["real"] and "accept_rate" in found
    assert read_json(finished_workspace / "figures" / "classes" / "digits.json") == []


def test_damaged_outputs_are_not_shown(finished_workspace: Path) -> None:
    workspace = Workspace(finished_workspace)
    for stage, name in (("verdict", "verdict.json"), ("generator", "learning_curve.json")):
        flip(workspace.output("digits", stage) / name)
        (finished_workspace / ".growset" / "hashes" / f"digits.{stage}.json").unlink(missing_ok=True)
    flip(workspace.output("digits", "expanded_classifiers") / "manifest.json")
    found = collect_figures(workspace, "digits")
    assert found[METRICS]["decision"] == "not run yet"
    assert "frechet" not in found[METRICS] and "expanded" not in found[METRICS]["validation"]
    assert found["figures/classes"] == found["figures/learning"] == []


def test_figures_follow_the_active_expansions(finished_workspace: Path) -> None:
    files = [finished_workspace / name for name in list_figures("digits")]
    before = [file.read_bytes() for file in files]
    assert growset(finished_workspace, "deactivate", "digits").exit_code == 0
    assert not any(file.exists() for file in files)
    assert growset(finished_workspace, "activate", "digits").exit_code == 0
    assert [file.read_bytes() for file in files] == before, "its outputs are still here"
    for file in files:
        file.unlink()
    assert "unchanged" in growset(finished_workspace, "run", "digits").output
    assert [file.read_bytes() for file in files] == before


def test_before_the_first_run_dvc_has_something_to_show(fresh_workspace: Path) -> None:
    write_figures(Workspace(fresh_workspace), "digits")
    assert [read_json(fresh_workspace / name) for name in list_figures("digits")] == list(EMPTY.values())
    assert show(fresh_workspace, "metrics", "show", "--json")[""]["data"][FILE]["data"] == {"decision": "not run yet"}
    assert show(fresh_workspace, "plots", "show", "--json")["data"].keys() == {f"{f}/digits.json" for f in PLOTS}


@pytest.mark.slow
def test_an_experiment_changes_a_recipe_and_stands_in_the_table(finished_workspace: Path) -> None:
    commit(finished_workspace)
    recipe = finished_workspace / "recipes" / "digits.yaml"
    recipe.write_text(recipe.read_text().replace("mix: {real_weight: 4.0}", "mix:  # mine\n  real_weight: 4.0"))
    commit(finished_workspace)
    change = "recipes/digits.yaml:mix.real_weight=5"
    run(finished_workspace, "dvc", "exp", "run", "--name", "heavier", "-S", change, "expanded_classifiers@digits")
    assert "# mine" in recipe.read_text() and "real_weight: 5" in recipe.read_text()
    assert len(read_log(finished_workspace / "evaluations.jsonl")) == 1, "the test images were not looked at"
    _, main = show(finished_workspace, "exp", "show", "--json")
    (heavier,) = [entry for experiment in main["experiments"] for entry in experiment["revs"]]
    shown, base = (entry["data"]["metrics"][FILE]["data"] for entry in (heavier, main))
    assert heavier["name"] == "heavier"
    assert heavier["data"]["params"]["recipes/digits.yaml"]["data"]["mix"]["real_weight"] == 5
    assert base["decision"] == "no evidence" and shown["decision"] == "not run yet"
    assert shown["validation"].keys() == {"real", "expanded"}
    assert shown["validation"]["real"] == base["validation"]["real"]


@pytest.mark.slow
def test_a_look_in_a_copy_of_the_workspace_is_logged_in_the_workspace(
    finished_workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--temp` and `--queue` run in a copy that is deleted; an exported GROWSET_HOME must not lead out of it."""
    commit(finished_workspace)
    monkeypatch.setenv("GROWSET_HOME", str(finished_workspace))
    change = "recipes/digits.yaml:mix.real_weight=5"
    run(finished_workspace, "dvc", "exp", "run", "--temp", "--name", "heavier", "-S", change, "verdict@digits")
    assert run(finished_workspace, "git", "status", "--porcelain").stdout == " M evaluations.jsonl\n"
    assert len(read_log(finished_workspace / "evaluations.jsonl")) == 2
    _, main = show(finished_workspace, "exp", "show", "--json")
    (heavier,) = [entry for experiment in main["experiments"] for entry in experiment["revs"]]
    assert heavier["data"]["metrics"][FILE]["data"]["looks"] == 2
    # Applying it brings the log back that was committed. The run says so, and which command restores the looks.
    run(finished_workspace, "dvc", "exp", "apply", "heavier")
    refused = growset(finished_workspace, "run", "digits")
    assert refused.exit_code == 4, refused.output
    assert "lacks an evaluation that was recorded here" in refused.output
    kept, log = finished_workspace / ".growset" / "evaluations.jsonl", finished_workspace / "evaluations.jsonl"
    assert f"cp {kept} {log}" in refused.output
    log.write_bytes(kept.read_bytes())
    assert growset(finished_workspace, "run", "digits").exit_code == 0
    assert len(read_log(log)) == 2, "the verdict of the experiment is taken over, not asked again"
