"""The settings of Dagster's instance: the workspace's own, and those that its file lacks."""

from pathlib import Path

import pytest
import yaml

from ops.errors import UserError
from ops.workspaces.workspace import Workspace
from pipelines.instance import open_instance, prepare_home
from tests.workspaces import ROOT

SHIPPED = yaml.safe_load((ROOT / "dagster.yaml").read_text(encoding="utf-8"))


def prepare(root: Path, text: str) -> dict[str, object]:
    (root / "dagster.yaml").write_text(text)
    home = prepare_home(Workspace(root))
    settings: dict[str, object] = yaml.safe_load((home / "dagster.yaml").read_text())
    return settings


OLDER = """\
telemetry: {enabled: false}
concurrency:
  pools: {granularity: op, default_limit: 3}  # three GPUs
run_retries:
  max_retries: 2
# The end.
"""


def test_a_file_of_an_older_growset_gets_what_it_lacks(fresh_workspace: Path) -> None:
    settings = prepare(fresh_workspace, OLDER)
    pools = {"granularity": "op", "default_limit": 3}
    assert settings == {
        **SHIPPED,
        "concurrency": {**SHIPPED["concurrency"], "pools": pools},
        "run_retries": {**SHIPPED["run_retries"], "max_retries": 2},
    }
    text = (fresh_workspace / ".growset" / "dagster" / "dagster.yaml").read_text()
    assert "default_limit: 3}  # three GPUs\n" in text and "# The end.\n" in text
    with open_instance(Workspace(fresh_workspace)) as instance:
        assert instance.nux_enabled is False and instance.telemetry_enabled is False  # no dialog on the first page
        assert (instance.run_retries_enabled, instance.run_retries_max_retries) == (True, 2)
        limits = instance.get_concurrency_config()
        assert (limits.pool_config.default_pool_limit, limits.run_queue_config.max_concurrent_runs) == (3, 2)
    assert (fresh_workspace / "dagster.yaml").read_text() == OLDER  # the user's file stays


@pytest.mark.parametrize(
    "own",
    [
        {"run_queue": {"max_concurrent_runs": 4}},
        {"run_coordinator": {"module": "dagster._core.run_coordinator", "class": "DefaultRunCoordinator"}},
        {"concurrency": {"default_op_concurrency_limit": 1}},
    ],
)
def test_nothing_is_added_that_dagster_refuses_beside_the_users_own(
    fresh_workspace: Path, own: dict[str, dict[str, object]]
) -> None:
    settings = prepare(fresh_workspace, yaml.safe_dump(own))
    assert settings.get("concurrency") == own.get("concurrency")
    assert settings["nux"] == {"enabled": False}
    with open_instance(Workspace(fresh_workspace)) as instance:
        instance.get_concurrency_config()


def test_a_complete_file_is_taken_as_it_is(fresh_workspace: Path) -> None:
    text = (fresh_workspace / "dagster.yaml").read_text()
    prepare(fresh_workspace, text)
    assert (fresh_workspace / ".growset" / "dagster" / "dagster.yaml").read_text() == text


def test_a_file_that_is_not_yaml_is_named(fresh_workspace: Path) -> None:
    with pytest.raises(UserError, match=r"dagster\.yaml"):
        prepare(fresh_workspace, "telemetry: {{")
