"""The code location for tests with a real daemon: the usual one, but sensors look at sources every few seconds."""

from pathlib import Path

import dagster as dg

from ops.workspaces.workspace import find_workspace
from pipelines import automation
from pipelines.definitions import build_definitions

automation.INTERVAL = 5


@dg.definitions
def defs() -> dg.Definitions:
    """As `pipelines.definitions.defs`."""
    return build_definitions(find_workspace(Path.cwd()))
