"""`growset funnel`: tables that add up and fit, JSON for scripts, one sentence if there are no filtered images."""

import io
import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

from ops.files.manifests import MANIFEST, describe_output
from ops.files.storage import write_json
from ops.filters.results import Results, read_results
from ops.workspaces.workspace import Workspace
from pipelines.cli.funnel import print_funnel
from tests.filtering import make_held_out, make_index, make_rule, write_results
from tests.workspaces import growset

NAMES = ["zero", "[bold]one[/bold]"]


def fill(root: Path, names: list[str] = NAMES) -> Path:
    """The two stages' outputs in a workspace: two rounds, the last class short of three images."""
    reasons = [[]] * 20 + [["wrong_label", "near_repeat"]] * 5 + [["near_copy_of_train"]] * 3 + [["surplus"]] * 2
    last = len(names) - 1
    labels = [row % len(names) for row in range(20)] + [last] * 8 + [0] * 2
    kept = labels[:20].count(last)
    workspace = Workspace(root)
    write_results(
        workspace.output("digits", "accepted_images"), workspace.output("digits", "expansion_plan"),
        make_index(reasons, labels, rounds=[0] * 20 + [1] * 10), make_held_out([0] * 30 + [last] * 30),
        names, [labels[:20].count(label) for label in range(last)] + [kept + 3], stopped=["quota"] * last + ["stall"],
        rules=[make_rule("wrong_label", 0.5, len(names)),
               make_rule("near_copy_of_train", 0.45, len(names), thresholds=[0.4] * last + [0.5], calibrated=False),
               make_rule("clip_disagrees", None, len(names), real_rejected=[None] * len(names))],
    )  # fmt: skip
    for stage in ("accepted_images", "expansion_plan"):
        folder = workspace.output("digits", stage)
        identity = {"stage": stage, "version": 1, "fingerprint": "f" * 64, "settings": {}, "inputs": {}}
        write_json(folder / MANIFEST, describe_output(folder, identity, {}))
    return root


def read(root: Path) -> Results:
    folders = (Workspace(root).output("digits", stage) for stage in ("accepted_images", "expansion_plan"))
    return read_results(*folders)


def show(root: Path, width: int, results: Results | None = None) -> list[list[str]]:
    """The lines that people see, cut at wide gaps."""
    buffer, results = io.StringIO(), results or read(root)
    print_funnel(results, "digits", Console(file=buffer, width=width, highlight=False))
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in buffer.getvalue().splitlines()]


def test_the_steps_add_up_and_classes_stand_beside_the_sum(fresh_workspace: Path) -> None:
    lines = show(fill(fresh_workspace), 120)
    assert ["digits: 30 drawn, 20 accepted of 23 wanted, 3 missing"] in lines
    assert ["all", "share", "zero", "[bold]one[/bold]"] in lines
    rows = [line for line in lines if len(line) == 5 and line[0][0] in "-da"]
    steps = {line[0]: [int(cell) for cell in (line[1], *line[3:])] for line in rows}
    assert steps["drawn"] == [30, 12, 18] and steps["accepted"] == [20, 10, 10]
    assert steps["- wrong label"] == [5, 0, 5] and steps["- near repeat"] == [0, 0, 0]
    rejected = [counts for name, counts in steps.items() if name.startswith("-")]
    assert [sum(column) for column in zip(*rejected, steps["accepted"], strict=True)] == steps["drawn"]
    assert ["passed the rules", "22", "73.3 %", "100.0 %", "55.6 %"] in lines


def test_rules_rounds_and_shortfall_are_shown(fresh_workspace: Path) -> None:
    lines = show(fill(fresh_workspace), 120)
    assert ["wrong label", "label probability below 0.5", "1.0 %"] in lines
    assert ["near copy of train", "train distance below 0.4 to 0.5", "1.0 % (as given)"] in lines
    assert ["clip disagrees", "not applied", "not known"] in lines
    assert ["2", "10", "8", "2", "0", "20.0 %"] in lines
    assert ["[bold]one[/bold]", "13", "10", "3", "18", "55.6 %", "too few draws passed to go on"] in lines
    assert ["safety: not checked"] in lines
    assert lines[-1][0].startswith("Too few images to tell")


def test_what_the_generators_own_checker_flagged_is_told(fresh_workspace: Path) -> None:
    found = read(fill(fresh_workspace))
    index = found.index.with_columns(flagged=pl.int_range(pl.len()) < 3)
    lines = show(fresh_workspace, 120, replace(found, index=index))
    assert ["safety: the generator's own safety checker flagged 3 of 30 drawn images (10.0 %)"] in lines
    assert ["safety: not checked"] not in lines


def test_many_classes_are_rows_and_not_columns(fresh_workspace: Path) -> None:
    names = [f"class {number}" for number in range(10)]
    lines = show(fill(fresh_workspace, names), 80)
    assert ["all", "share"] in lines
    assert ["drawn", "30", "100.0 %"] in lines
    assert sum(line[0].startswith("class ") for line in lines if line) == 10


def test_the_command_and_its_json(fresh_workspace: Path) -> None:
    fill(fresh_workspace)
    result = growset(fresh_workspace, "funnel", "digits")
    assert result.exit_code == 0, result.output
    assert "30 drawn, 20 accepted" in result.stdout
    found = json.loads(growset(fresh_workspace, "funnel", "digits", "--json").stdout)
    assert found["drawn"] == sum(found["rejected"].values()) + found["surplus"] + found["accepted"] == 30
    assert (found["expansion"], found["missing"], found["safety_checked"]) == ("digits", 3, False)
    assert found["stopped"] == {"zero": "quota", "[bold]one[/bold]": "stall"}
    assert found["rules"][0]["real_rejected_in_all"] == pytest.approx(0.01)
    assert found["copying"]["whole"]["decision"] == "too few"


def test_without_filtered_images_the_error_names_the_command_to_run(fresh_workspace: Path) -> None:
    result = growset(fresh_workspace, "funnel", "digits")
    assert result.exit_code == 2
    assert "'digits' has no filtered images yet; run: growset run digits" in result.output
    assert growset(fresh_workspace, "funnel", "digit").exit_code == 2
