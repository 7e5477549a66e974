"""The job whose runs tell what Dagster costs has the steps that are claimed, and they take turns as real ones do."""

from pathlib import Path

import pytest

from assets.pools import COMPUTE
from benchmarks.parts import noop_job


def test_the_job_has_its_steps_in_the_pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noop_job.prepare(tmp_path)
    monkeypatch.chdir(tmp_path)
    job = noop_job.build_job()
    pools = [node.definition.pool for node in job.nodes]  # type: ignore[attr-defined]
    assert pools == [COMPUTE] * noop_job.COUNT
    assert [len(needed) for needed in job.graph.dependencies.values()] == [0, *[1] * (noop_job.COUNT - 1)]
