"""The Dagster instance of a workspace: history and logs under .growset/dagster, settings from dagster.yaml."""

import os
from io import StringIO
from pathlib import Path

import dagster as dg
from ruamel.yaml import YAML

from ops.files.shipped import shipped
from ops.files.storage import write_text
from ops.settings.reading import read_yaml
from ops.workspaces.workspace import Workspace

IN_PROCESS = "in_process.yaml"

# Dagster mirrors a step's output through two helper processes. A run in our own terminal needs no mirroring,
# and starting them costs about a second per step.
NO_MIRRORING = """
compute_logs:
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager
"""


def prepare_home(workspace: Workspace) -> Path:
    """$DAGSTER_HOME if the user set it, else .growset/dagster with the workspace's dagster.yaml copied in.

    Sections that the workspace's file lacks, because an older Growset wrote it, are added from the shipped one.
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
    """The text of a dagster.yaml, and the sections that it lacks."""
    text, known, ours = settings.read_text(encoding="utf-8"), read_yaml(settings), read_yaml(shipped() / "dagster.yaml")
    lacking = {name: section for name, section in ours.items() if isinstance(known, dict) and name not in known}
    if not lacking:
        return text
    added = StringIO()
    YAML(typ="safe").dump(lacking, added)
    return f"{text.rstrip()}\n\n{added.getvalue()}"


def open_instance(workspace: Workspace) -> dg.DagsterInstance:
    """The workspace's persistent instance, for a run in this process; the UI reads the same history."""
    home = prepare_home(workspace)
    settings = home / "dagster.yaml"
    text = settings.read_text(encoding="utf-8") if settings.exists() else ""
    write_text(home / IN_PROCESS, text if "compute_logs:" in text else text + NO_MIRRORING)
    return dg.DagsterInstance.from_config(str(home), IN_PROCESS)


def is_history_inside(workspace: Workspace, instance: dg.DagsterInstance) -> bool:
    """Whether the history lies in the workspace; one outside may hold that of other workspaces too."""
    return Path(instance.root_directory).is_relative_to(workspace.root)
