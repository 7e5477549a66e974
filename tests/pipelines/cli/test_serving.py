"""What Dagster's processes read from the environment that a UI gives them."""

from __future__ import annotations

import json
import subprocess
import sys

from pipelines.cli.serving import TIMES
from tests.workspaces import user_environment

READ = """
import json
import dagster._daemon
from dagster._grpc.utils import default_grpc_server_shutdown_grace_period, default_grpc_timeout
from dagster._scheduler.scheduler import RETAIN_ORPHANED_STATE_INTERVAL_SECONDS as kept
print(json.dumps([default_grpc_timeout(), default_grpc_server_shutdown_grace_period(), kept]))
"""


def test_dagster_reads_our_times_and_keeps_the_switch_of_a_schedule_that_is_missing_for_a_year() -> None:
    """It is missing while its recipe is wrong."""
    told = subprocess.check_output([sys.executable, "-c", READ], env=user_environment() | TIMES)
    assert json.loads(told) == [300, 60, 365 * 24 * 60 * 60]
