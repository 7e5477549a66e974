"""`growset ui`: what a UI needs before it is served, the environment of its processes and a history that is right."""

import os
from collections.abc import Sequence
from pathlib import Path

from ops.workspaces.locks import exclusive_ui
from ops.workspaces.workspace import Workspace

TIMES = {  # seconds, other than Dagster's own
    "DAGSTER_GRPC_TIMEOUT_SECONDS": "300",  # for 60; on a busy machine a run's process may take longer to start
    "DAGSTER_GRPC_SHUTDOWN_GRACE_PERIOD": "60",
    # A year for 12 hours: while a recipe is wrong its schedule is missing, and would come back switched off.
    "DAGSTER_SCHEDULE_ORPHANED_STATE_RETENTION_SECONDS": "31536000",
}


def start_ui(workspace: Workspace, port: int, hosts: Sequence[str]) -> None:
    """Serve the Dagster UI on the loopback address until it is stopped.

    EnvironmentFault if the workspace has one already, which is told before a taken port: on another port a second one
    would start every scheduled run again.
    """
    for name, seconds in TIMES.items():
        os.environ.setdefault(name, seconds)  # Dagster reads them when it is loaded, here and in the daemon
    os.environ["DAGSTER_DISABLE_TELEMETRY"] = "1"
    from assets.pools import read_device
    from pipelines.executor import read_kind
    from pipelines.instance import prepare_home
    from pipelines.telling import check_environment
    from pipelines.ui import ADDRESS, serve

    read_kind(), read_device()  # a mistake in the environment is told here, not on a page of the UI
    check_environment(os.environ)
    with exclusive_ui(workspace, f"http://{ADDRESS}:{port}"):
        home = prepare_home(workspace)
        if home.is_relative_to(workspace.root):  # a home elsewhere may hold the runs of other workspaces too
            _tidy_history(workspace)
        os.environ["DAGSTER_HOME"] = str(home)
        os.chdir(workspace.root)
        os.environ["GROWSET_HOME"] = str(workspace.root)
        serve(workspace, Path("workspace.yaml"), port, hosts)


def _tidy_history(workspace: Workspace) -> None:
    """Make the history of a workspace without a UI agree with its processes and its files."""
    from pipelines.history import prune_history
    from pipelines.instance import is_history_inside, open_instance
    from pipelines.lost_runs import free_lost_runs
    from pipelines.recording import forget_old_keys, record_outputs

    with open_instance(workspace) as instance:
        free_lost_runs(workspace, instance, no_ui_lives=is_history_inside(workspace, instance))
        prune_history(workspace, instance)
        forget_old_keys(workspace, instance)
        record_outputs(workspace, instance)
