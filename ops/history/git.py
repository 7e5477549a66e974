"""git's command line, run in one workspace. What is committed and when is the callers' business."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ops.errors import EnvironmentFault


def run_git(
    root: Path,
    *arguments: str,
    text: str | None = None,
    environment: Mapping[str, str] | None = None,
    shielded: bool = False,
) -> str:
    """What `git ARGUMENTS` prints in `root`, given `text` as input; EnvironmentFault with git's words if it fails.

    `shielded` gives git a session of its own: killing our process group lets it finish its milliseconds, where a
    git that is killed itself would leave a lock file that stops every later one.
    """
    done = subprocess.run(
        ["git", "-C", str(root), *arguments],
        input=text,
        env={**os.environ, **(environment or {})},
        start_new_session=shielded,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        command = arguments[2] if arguments[0] == "-c" else arguments[0]
        raise EnvironmentFault(f"git {command} failed in {root}: {_reason(done.stderr)}; run it again")
    return done.stdout


def _reason(told: str) -> str:
    """The line on which git says why; hints and warnings stand around it."""
    lines = told.strip().splitlines() or ["it said nothing"]
    return next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[0]).rstrip(".")
