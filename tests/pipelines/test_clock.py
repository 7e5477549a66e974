"""The machine's clock is set back and forward while a chain runs, by Debian's libfaketime: nothing waits, nothing is
lost, and the outputs are those of a run whose clock was right."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ops.workspaces.workspace import Workspace
from tests.equality import find_differences
from tests.kills import EXPANSION, PATIENCE, find_phase, make_template
from tests.workspaces import growset, one_core, run, user_environment

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
JUMPS = {"generator": "-2h", "baseline_classifiers": "+30d", "expanded_classifiers": "-1d"}


@pytest.mark.slow
@pytest.mark.skipif(not LIBRARIES, reason="the clock is set by libfaketime, which is not here (Debian: faketime)")
def test_a_clock_that_jumps_changes_nothing(finished_workspace: Path, tmp_path: Path) -> None:
    root = make_template(tmp_path / "jumping" / "workspace")
    clock = tmp_path / "clock"
    environment = user_environment() | {
        "LD_PRELOAD": str(LIBRARIES[0]),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # nobody can set that clock
        "NO_FAKE_STAT": "1",
    }
    clock.write_text("+400d")
    told = [subprocess.check_output(["date", "+%Y"], env=each) for each in (user_environment(), environment)]
    assert told[0] != told[1]
    clock.write_text("+0")
    seen = set()
    with one_core(), (tmp_path / "output.txt").open("wb") as log:
        process = subprocess.Popen(
            ["growset", "run", EXPANSION], cwd=root, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            while process.poll() is None:
                if (phase := find_phase(root)) in JUMPS and phase not in seen:
                    clock.write_text(JUMPS[phase])
                    seen.add(phase)
        finally:
            process.kill()
            process.wait(PATIENCE)
    output = (tmp_path / "output.txt").read_text()
    assert process.returncode == 0 and "Traceback" not in output, output
    assert seen == set(JUMPS)
    assert find_differences(finished_workspace, root, EXPANSION, 0) == []
    with one_core():
        assert "unchanged" in growset(root, "run", EXPANSION).output
    assert growset(root, "verify", EXPANSION).exit_code == 0
    assert run(root, "git", "tag").stdout.split() == [f"{EXPANSION}/v1"]
    assert Workspace(root).evaluations.read_text().count("\n") == 1
