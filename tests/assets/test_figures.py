"""What Dagster is told of an asset's figures: plots, row counts, tables with units and directions."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.figures import MOST_PLOTTED, PLOTTED, choose_plotted, describe_figures, find_figure, is_number
from assets.looks import LOOKS
from assets.outcome import describe_outcome
from ops.files.manifests import PUBLISHED, read_manifest
from ops.files.storage import write_json
from ops.recipe.stages import STAGES
from ops.stages.materialization import Outcome
from ops.workspaces.workspace import Workspace


def rows(value: Any) -> list[dict[str, Any]]:
    assert isinstance(value, dg.TableMetadataValue)
    return [dict(record.data) for record in value.records]


@pytest.fixture
def described(finished_workspace: Path) -> dict[str, dict[str, Any]]:
    """The metadata of every stage of a real run."""
    workspace = Workspace(finished_workspace)
    found = {}
    for stage in STAGES:
        folder = workspace.output("digits", stage)
        found[stage] = describe_outcome(
            Outcome(read_manifest(folder), folder, 1.0, reused=False), "digits", LOOKS[stage]
        )
    folder = workspace.published("digits")
    found[PUBLISHED] = describe_figures(PUBLISHED, read_manifest(folder)["metrics"], folder)
    return found


def test_every_figure_of_a_real_run_has_a_meaning_and_is_in_the_table(
    described: dict[str, dict[str, Any]], finished_workspace: Path
) -> None:
    workspace = Workspace(finished_workspace)
    for stage in STAGES:
        metrics = read_manifest(workspace.output("digits", stage))["metrics"]
        numbers = {name: value for name, value in metrics.items() if is_number(value)}
        shown = {row["figure"]: row for row in rows(described[stage]["figures"])} if numbers else {}
        assert {name: row["value"] for name, row in shown.items()} == numbers
        assert all(row["meaning"] for row in shown.values()), [row for row in shown.values() if not row["meaning"]]
        plotted = [name for name, value in described[stage].items() if is_number(value)]
        assert len(plotted) <= MOST_PLOTTED + 3  # bytes, seconds and rows
        assert (set(plotted) & set(numbers)) or not numbers


def test_rows_are_counted(described: dict[str, dict[str, Any]]) -> None:
    counted = {asset: found["dagster/row_count"] for asset, found in described.items() if "dagster/row_count" in found}
    assert counted == {
        "real_images": 32 + 32 + 232,
        "generated_images": 96,
        "accepted_images": 32,
        "mixed_dataset": 64,
        PUBLISHED: 64 + 32 + 232,
    }


def test_the_funnel_adds_up(described: dict[str, dict[str, Any]]) -> None:
    first, *removed, last = rows(described["accepted_images"]["funnel"])
    assert (first["step"], last["step"]) == ("drawn", "accepted")
    assert first["images"] + sum(row["images"] for row in removed) == last["images"] == 32
    assert all(row["meaning"] and 0 < row["share"] <= 1 for row in (first, *removed, last))


def test_the_verdict_has_a_row_for_each_arm(described: dict[str, dict[str, Any]]) -> None:
    arms = {row["arm"]: row for row in rows(described["verdict"]["arms"])}
    assert set(arms) == {"real", "oversampled", "expanded"}
    assert all(row["low"] <= row["test"] <= row["high"] for row in arms.values())
    assert (arms["oversampled"]["equal to"], arms["real"]["equal to"]) == ("real", "")


def test_a_generator_that_was_not_used_has_an_empty_funnel(tmp_path: Path) -> None:
    metrics = {"generated": 0, "accepted": 0, "shortfall": 4, "shortfall_by_class": {"a": 4}}
    found = describe_figures("accepted_images", metrics, tmp_path)
    assert [(row["images"], row["share"]) for row in rows(found["funnel"])] == [(0, None), (0, None)]


def test_what_an_earlier_growset_wrote_in_another_form_gets_no_table(tmp_path: Path) -> None:
    write_json(tmp_path / "verdict.json", {"arms": [{"arm": "real", "kind": "baseline", "test": 0.8}]})
    found = describe_figures("verdict", {"decision": "hurts", "difference": -0.01}, tmp_path)
    assert "arms" not in found and found["difference"] == -0.01
    found = describe_figures("accepted_images", {"kept": 4}, tmp_path)
    assert "funnel" not in found and "dagster/row_count" not in found
    old = describe_figures("accepted_images", {"generated": 4, "accepted": 3, "rejected_blurred": 1}, tmp_path)
    assert [row["step"] for row in rows(old["funnel"])] == ["drawn", "blurred", "accepted"]


def test_only_some_figures_are_plotted_and_the_most_telling_first() -> None:
    names = [f"validation_arm{number}" for number in range(40)]
    assert choose_plotted("baseline_classifiers", names) == set(names[:MOST_PLOTTED])
    assert choose_plotted("accepted_images", ["rejected_blank", "accepted", "FD_random"]) == {"accepted", "FD_random"}
    assert all(find_figure(name).meaning for plotted in PLOTTED.values() for name in plotted)


@pytest.mark.parametrize(
    ("name", "unit", "better"),
    [
        ("rejected_surplus", "images", ""),
        ("rejected_blank", "images", "lower"),
        ("test_real", "share", "higher"),
        ("x", "", ""),
    ],
)
def test_the_nearest_description_holds(name: str, unit: str, better: str) -> None:
    assert (find_figure(name).unit, find_figure(name).better) == (unit, better)
