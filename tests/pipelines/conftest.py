"""A workspace that has published twice, made once per session."""

from pathlib import Path

import pytest

from tests.versions import Versions, publish_twice


@pytest.fixture(scope="session")
def two_versions(_finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Versions:
    """To be read only."""
    return publish_twice(_finished, tmp_path_factory.mktemp("versions"))
