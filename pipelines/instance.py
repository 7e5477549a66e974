"""The Dagster instance of a workspace: history and logs under .growset/dagster, settings from dagster.yaml."""

import os
from collections.abc import Mapping, MutableMapping
from io import StringIO
from pathlib import Path
from typing import Any

import dagster as dg
from ruamel.yaml import YAML

from ops.files.shipped import shipped
from ops.files.storage import write_text
from ops.settings.reading import read_yaml
from ops.workspaces.workspace import Workspace

IN_PROCESS = "in_process.yaml"
WIDTH = 4096  # characters; ruamel breaks longer lines
OLD_LIMITS = {"max_concurrent_runs", "tag_concurrency_limits", "block_op_concurrency_limited_runs"}  # of `run_queue`
OLD_POOLS = "default_op_concurrency_limit"  # of `concurrency`
STORAGES = {"storage", "run_storage", "event_log_storage", "schedule_storage"}  # where Dagster keeps its history

# Dagster mirrors a step's output through two helper processes. A run in our own terminal needs no mirroring,
# and starting them costs about a second per step.
NO_MIRRORING = """
compute_logs:
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager
"""


def prepare_home(workspace: Workspace) -> Path:
    """$DAGSTER_HOME if the user set it, else .growset/dagster with the workspace's dagster.yaml copied in.

    Settings that the workspace's file lacks, because an older Growset wrote it, are added to the copy from the shipped
    one. What the file says, and its comments, stay. UserError if it is not YAML.
    """
    if home := os.environ.get("DAGSTER_HOME"):
        return Path(home)
    folder = workspace.root / ".growset" / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    settings = workspace.root / "dagster.yaml"
    if settings.exists():
        write_text(folder / "dagster.yaml", _complete(settings))
    return folder


def _complete(settings: Path) -> str:
    """The text of a dagster.yaml with the settings that it lacks."""
    text, known, ours = settings.read_text(encoding="utf-8"), read_yaml(settings), read_yaml(shipped() / "dagster.yaml")
    if not isinstance(known, dict):
        return text
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = WIDTH
    content = yaml.load(text)
    if not _add_missing(content, _drop_clashes(ours, known)):
        return text
    completed = StringIO()
    yaml.dump(content, completed)
    return completed.getvalue()


def _add_missing(content: MutableMapping[str, Any], ours: Mapping[str, Any]) -> bool:
    """Add the keys of `ours` that `content` lacks, at every level; whether there were any."""
    added = False
    for key, value in ours.items():
        if key not in content:
            content[key], added = value, True
        elif isinstance(value, dict) and isinstance(content[key], MutableMapping):
            added |= _add_missing(content[key], value)
    return added


def _drop_clashes(ours: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Our settings without those that Dagster refuses beside the user's, who limits runs or pools in its older way."""
    queue, pools = known.get("run_queue") or {}, known.get("concurrency") or {}
    dropped = set()
    if "run_coordinator" in known:
        dropped = {"run_queue", "concurrency"}
    elif OLD_LIMITS & set(queue) or OLD_POOLS in pools:
        dropped = {"concurrency"}
    return {name: section for name, section in ours.items() if name not in dropped}


def open_instance(workspace: Workspace) -> dg.DagsterInstance:
    """The workspace's persistent instance, for a run in this process; the UI reads the same history."""
    home = prepare_home(workspace)
    settings = home / "dagster.yaml"
    text = settings.read_text(encoding="utf-8") if settings.exists() else ""
    write_text(home / IN_PROCESS, text if "compute_logs:" in text else text + NO_MIRRORING)
    return dg.DagsterInstance.from_config(str(home), IN_PROCESS)


def is_history_inside(workspace: Workspace, instance: dg.DagsterInstance) -> bool:
    """Whether the history lies in the workspace; one outside may hold that of other workspaces too.

    A history whose place dagster.yaml names, a database say, counts as outside.
    """
    home = Path(instance.root_directory)
    if not home.is_relative_to(workspace.root):
        return False
    settings = home / "dagster.yaml"
    named = read_yaml(settings) if settings.exists() else None
    return not (isinstance(named, dict) and STORAGES & set(named))
