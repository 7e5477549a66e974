"""The Dagster UI as `growset ui` starts it: the location loads, a run launched there goes through the multiprocess
executor, and DVC finds its outputs current afterwards."""

from pathlib import Path

import pytest

from ops.versioning import changed_stages, stage_addresses
from tests.ui import serve


@pytest.mark.slow
def test_a_run_launched_in_the_ui_makes_the_chain_and_leaves_dvc_clean(fresh_workspace: Path) -> None:
    with serve(fresh_workspace) as client:
        assert client.wait_for_end(client.launch("digits"), seconds=400) == "SUCCESS"
    assert changed_stages(fresh_workspace, stage_addresses("digits")) == {}
    assert (fresh_workspace / "published" / "digits" / "README.md").exists()
