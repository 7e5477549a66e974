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


def test_a_file_of_an_older_growset_gets_what_it_lacks(fresh_workspace: Path) -> None:
    own = {"pools": {"granularity": "op", "default_limit": 3}}
    settings = prepare(fresh_workspace, yaml.safe_dump({"concurrency": own, "telemetry": {"enabled": False}}))
    assert settings == {**SHIPPED, "concurrency": own}
    assert settings["nux"] == {"enabled": False}  # a dialog on the first page
    with open_instance(Workspace(fresh_workspace)) as instance:
        assert instance.nux_enabled is False and instance.telemetry_enabled is False
    assert (fresh_workspace / "dagster.yaml").read_text().count("nux") == 0  # the user's file stays


def test_a_complete_file_is_taken_as_it_is(fresh_workspace: Path) -> None:
    text = (fresh_workspace / "dagster.yaml").read_text()
    prepare(fresh_workspace, text)
    assert (fresh_workspace / ".growset" / "dagster" / "dagster.yaml").read_text() == text


def test_a_file_that_is_not_yaml_is_named(fresh_workspace: Path) -> None:
    with pytest.raises(UserError, match=r"dagster\.yaml"):
        prepare(fresh_workspace, "telemetry: {{")
