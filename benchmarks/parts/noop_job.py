"""Fifteen assets in a chain that do nothing, in the pool and by the executor of the UI's runs: the cost of Dagster.

`python -m benchmarks.parts.noop_job FOLDER RUNS` prints the seconds and CPU seconds of each run; FOLDER becomes a
workspace with a history of its own. $GROWSET_EXECUTOR chooses the executor.
"""

import json
import sys
import time
from pathlib import Path

import dagster as dg

from assets.pools import COMPUTE
from ops.files.shipped import shipped
from ops.workspaces.workspace import Workspace, find_workspace
from pipelines.executor import build_executor
from pipelines.instance import prepare_home

COUNT = 15


def _build_asset(number: int) -> dg.AssetsDefinition:
    @dg.asset(name=f"nothing_{number:02d}", deps=[f"nothing_{number - 1:02d}"] if number else [], pool=COMPUTE)
    def nothing() -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata={"number": number})

    return nothing


def build_job() -> dg.JobDefinition:
    """The job of COUNT assets."""
    definitions = dg.Definitions(
        assets=[_build_asset(number) for number in range(COUNT)],
        jobs=[dg.define_asset_job("nothing")],
        executor=build_executor(find_workspace(Path.cwd())),
    )
    return definitions.resolve_job_def("nothing")


def time_runs(folder: Path, runs: int) -> list[tuple[float, float]]:
    """Seconds and CPU seconds of this process for each of the runs."""
    home, job, found = prepare_home(Workspace(folder)), dg.reconstructable(build_job), []
    with dg.DagsterInstance.from_config(str(home)) as instance:
        for _ in range(runs):
            started, computed = time.perf_counter(), time.process_time()
            with dg.execute_job(job, instance) as result:
                assert result.success
            found.append((time.perf_counter() - started, time.process_time() - computed))
    return found


def prepare(folder: Path) -> None:
    """Make the folder a workspace as far as this job needs one."""
    (folder / "recipes").mkdir()
    (folder / "params.yaml").write_text("expansions: []\n", encoding="utf-8")
    (folder / "dagster.yaml").write_bytes((shipped() / "dagster.yaml").read_bytes())


if __name__ == "__main__":
    from benchmarks.parts import noop_job  # processes of single steps find the job under this name

    print(json.dumps(noop_job.time_runs(Path(sys.argv[1]), int(sys.argv[2]))))
