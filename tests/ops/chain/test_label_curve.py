"""A finished chain whose recipe asks what gains are worth: one more stage, the report, and no look at test images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ops.files.outputs import LABEL_CURVE, REPORT, RESULTS, WORTH
from ops.files.storage import read_json
from ops.recipe.stages import STAGES
from ops.stages.materialization import find_staleness
from ops.verdict.worth.curve import LabelCurve
from ops.workspaces.workspace import Workspace
from tests.chains import run_stages


def test_worth_adds_a_stage_and_leaves_the_rest_current(
    finished_workspace: Path, edit_recipe: Callable[[Path, str, str], None]
) -> None:
    workspace = Workspace(finished_workspace)
    assert read_json(workspace.output("digits", "label_curve") / LABEL_CURVE) == {}
    looks = workspace.evaluations.read_bytes()
    asked = "worth: {shares: [0.25, 0.5], seeds: 2}, prices: {hour: 1 EUR}"
    edit_recipe(finished_workspace, "examples_per_class: 2", f"examples_per_class: 2, {asked}")
    page = (workspace.output("digits", "report") / REPORT).read_text(encoding="utf-8")
    assert "What would help most here" in page and "report.worth: {}" in page and "What gains are worth" not in page
    recipe = workspace.load_recipe("digits")
    stale = [s for s in STAGES if s != "real_images" and find_staleness(workspace, "digits", s, recipe)]
    assert stale == ["label_curve", "report"]
    run_stages(workspace, "label_curve", "report")
    curve = LabelCurve.from_dict(read_json(workspace.output("digits", "label_curve") / LABEL_CURVE))
    assert [(point.share, point.images) for point in curve.points] == [(0.25, 8), (0.5, 16), (1.0, 32)]
    assert [len(point.per_seed) for point in curve.points] == [2, 2, 2]
    entry = read_json(workspace.output("digits", "baseline_classifiers") / RESULTS)["arms"][curve.arm]
    assert curve.points[-1].per_seed == entry["per_seed"], "all labels: the stored networks, on the same images"
    assert workspace.evaluations.read_bytes() == looks
    report = workspace.output("digits", "report")
    worth = read_json(report / WORTH)
    assert worth["enough"] and worth["rows"]
    assert "This machine's time to make the images cost" in worth["sentences"][1] and "EUR" in worth["sentences"][1]
    states = {row["name"]: row["state"] for row in worth["steps"]["rows"]}
    assert (states["generated images"], states["half as many labels again"]) == ("open", "extrapolated")
    assert states["a prior"] == states["longer training"] == states["mixing images"] == "not measured"
    assert "What gains are worth in real labels" in (report / REPORT).read_text(encoding="utf-8")
