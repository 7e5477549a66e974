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
        raise EnvironmentFault(f"git {arguments[0]} failed in {root}: {done.stderr.strip()}")
    return done.stdout
