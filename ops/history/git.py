"""Run git's command line in a workspace. This module does not know what is committed, or when."""

from __future__ import annotations

import os
import re
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
    """The output of `git ARGUMENTS` in `root` with `text` as input; EnvironmentFault with git's message if it fails.

    `shielded` starts git in a session of its own, so that it finishes even if our process group is killed. A killed git
    would leave a lock file that blocks every later git.
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
        command = arguments[2 * arguments.count("-c")]  # after the options
        raise EnvironmentFault(f"git {command} failed in {root}: {_find_reason(done.stderr)}; run it again")
    return done.stdout


def sign_anonymously(root: Path) -> tuple[str, ...]:
    """Options of git with which a user who has given git no name and address can commit; none for others."""
    named = run_git(root, "config", "--default", "", "user.email").strip() or os.environ.get("GIT_COMMITTER_EMAIL")
    return () if named else ("-c", "user.name=Growset", "-c", "user.email=growset@localhost")


_HOSTED = re.compile(
    r"(?:https?://(?:[^/@]+@)?|ssh://git@|git@)(?P<host>git(?:hub|lab)\.[\w.-]+)[:/](?P<path>[\w./-]+?)(?:\.git)?/?"
)


def find_page(root: Path, revision: str | None = None) -> str | None:
    """The address below which GitHub or GitLab shows the files of `root`, by default in its present branch.

    It follows from the remote `origin`, without user name and password; None if that is elsewhere.
    """
    asked = (["remote", "get-url", "origin"], ["rev-parse", "--abbrev-ref", "HEAD"], ["rev-parse", "--show-prefix"])
    answers = []
    for arguments in asked:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            return None  # no repository, no such remote, or no commit yet
        answers.append(done.stdout.strip())
    origin, branch, folder = answers
    hosted = _HOSTED.fullmatch(origin)
    if hosted is None:
        return None
    blob = "blob" if hosted["host"].startswith("github") else "-/blob"
    return f"https://{hosted['host']}/{hosted['path']}/{blob}/{revision or branch}/{folder}".rstrip("/")


def find_top(root: Path) -> tuple[str, str]:
    """The folder of the repository that `root` lies in, and the way from there: empty, or a path that ends with /."""
    top, way = run_git(root, "rev-parse", "--show-toplevel", "--show-prefix").split("\n")[:2]
    return top, way


def describe_head(root: Path) -> str:
    """The commit that is checked out, with its branches and tags; empty outside a repository and before any commit."""
    asked = ["git", "-C", str(root), "log", "-1", "--format=%H %D"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


def list_uncommitted(root: Path) -> tuple[list[str], list[str]]:
    """Paths in `root` that git does not track, and tracked ones that have changed; none outside a repository.

    A folder of untracked files is one path that ends with a slash.
    """
    top = subprocess.run(["git", "-C", str(root), "rev-parse"], capture_output=True, check=False)
    if top.returncode:
        return [], []
    lines = run_git(root, "-c", "core.quotePath=false", "status", "--porcelain", "--", ".").splitlines()
    found = [(line[:2], line[3:].strip('"')) for line in lines]
    return [path for code, path in found if code == "??"], [path for code, path in found if code != "??"]


def _find_reason(message: str) -> str:
    """The line of git's message with the reason, without the hints and warnings around it."""
    lines = message.strip().splitlines() or ["it printed no message"]
    return next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[0]).rstrip(".")
