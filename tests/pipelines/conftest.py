"""A workspace that has published twice, made once for all test processes."""

import pickle
from pathlib import Path

import pytest

from tests.sharing import make_once
from tests.versions import Versions, publish_twice


@pytest.fixture(scope="session")
def two_versions(_finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Versions:
    """To be read only."""

    def make(folder: Path) -> None:
        versions = publish_twice(_finished, folder)
        (folder / "versions").write_bytes(pickle.dumps(versions))

    folder = make_once(tmp_path_factory, "versions", make)
    versions: Versions = pickle.loads((folder / "versions").read_bytes())
    return versions
