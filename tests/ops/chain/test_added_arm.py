"""A recipe that gains an arm trains that arm alone; the others are kept, with equal results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ops.chain.driver import Chain
from ops.chain.parts.classifiers import weights_file
from ops.files.outputs import RESULTS
from ops.files.storage import read_json
from ops.stages.materialization import Runtime
from ops.workspaces.workspace import Workspace

STAGE = "baseline_classifiers"


def test_an_added_arm_is_the_only_one_that_is_trained(
    finished_workspace: Path, edit_recipe: Callable[[Path, str, str], None]
) -> None:
    folder = Workspace(finished_workspace).output("digits", STAGE)
    before, networks = read_json(folder / RESULTS), (folder / weights_file("real")).read_bytes()
    edit_recipe(finished_workspace, "baselines:\n", "baselines:\n  mixup: {pairing: mixup}\n")
    lines: list[str] = []
    outcome = Chain(Workspace(finished_workspace), Runtime(workers=1, sink=lines.append)).run("digits", STAGE)
    assert not outcome.reused
    # Of `real`: one where the settings are tried, one at the second seed.
    assert lines.count(f"{STAGE}: 1 of the next 2 trainings are kept from earlier ones") == 2
    after = read_json(folder / RESULTS)
    assert set(after["arms"]) == {"real", "mixup"} and after["arms"]["real"] == before["arms"]["real"]
    assert (folder / weights_file("real")).read_bytes() == networks
