"""The Dagster instance of a workspace: history and logs under .growset/dagster, settings from dagster.yaml."""

import os
import shutil
from pathlib import Path

import dagster as dg

from ops.workspace import Workspace


def prepare_home(workspace: Workspace) -> Path:
    """$DAGSTER_HOME if the user set it, else .growset/dagster with the workspace's dagster.yaml copied in."""
    if home := os.environ.get("DAGSTER_HOME"):
        return Path(home)
    folder = workspace.root / ".growset" / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    settings = workspace.root / "dagster.yaml"
    if settings.exists():
        shutil.copyfile(settings, folder / "dagster.yaml")
    os.environ["DAGSTER_HOME"] = str(folder)
    return folder


def open_instance(workspace: Workspace) -> dg.DagsterInstance:
    """The workspace's persistent instance."""
    prepare_home(workspace)
    return dg.DagsterInstance.get()
