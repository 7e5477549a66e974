"""git's command line, run in one workspace. What is committed and when is the callers' business."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ops.errors import EnvironmentFault


def run_git(root: Path, *arguments: str, text: str | None = None) -> str:
    """What `git ARGUMENTS` prints in `root`, given `text` as input; EnvironmentFault with git's words if it fails."""
    done = subprocess.run(["git", "-C", str(root), *arguments], input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EnvironmentFault(f"git {arguments[0]} failed in {root}: {done.stderr.strip()}")
    return done.stdout
