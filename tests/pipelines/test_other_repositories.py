"""Another repository uses a published dataset, with DVC's own commands and API and without Growset."""

import shlex
import sys
from pathlib import Path

import dagster as dg
import polars as pl
import pyarrow.parquet as pq
import pytest

from assets.published import describe_version
from ops.workspaces.workspace import Workspace
from tests.publications import digest
from tests.versions import Versions
from tests.workspaces import run

TRAIN = "published/digits/data/train-00000-of-00001.parquet"


@pytest.fixture
def url(two_versions: Versions, tmp_path: Path) -> str:
    """The workspace as a git server would offer it: nothing but commits, no data and no cache."""
    run(tmp_path, "git", "clone", "--quiet", "--bare", str(two_versions.root), "server.git")
    return (tmp_path / "server.git").as_uri()


def test_dvc_get_fetches_a_version_without_any_repository(two_versions: Versions, url: str, tmp_path: Path) -> None:
    run(tmp_path, "dvc", "get", "--quiet", "--rev", "digits/v1", "--out", "got", url, "published/digits")
    assert digest(tmp_path / "got") == two_versions.published["digits/v1"]


def test_the_command_on_the_assets_page_fetches_the_version(
    two_versions: Versions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dvc.cli import main

    told = describe_version(Workspace(two_versions.root), "digits")
    program, *arguments = shlex.split(told["dvc_version"].value.strip("`"))
    monkeypatch.chdir(tmp_path)
    assert (told["version"], program, main(arguments)) == ("digits/v2", "dvc", 0)
    assert digest(tmp_path / "digits-v2") == two_versions.published["digits/v2"]


def test_where_the_origin_has_pages_the_assets_page_links_to_the_pointer(
    two_versions: Versions, tmp_path: Path
) -> None:
    run(tmp_path, "git", "clone", "--quiet", str(two_versions.root), "clone")
    run(tmp_path / "clone", "git", "remote", "set-url", "origin", "https://user:secret@gitlab.com/lab/leaves.git")
    page = "https://gitlab.com/lab/leaves/-/blob/digits/v2/published/digits.dvc"
    assert describe_version(Workspace(tmp_path / "clone"), "digits")["dvc_version"] == dg.MetadataValue.url(page)


def test_dvc_import_notes_where_it_is_from_and_update_follows(two_versions: Versions, url: str, tmp_path: Path) -> None:
    server = tmp_path / "server.git"
    second = run(server, "git", "rev-parse", "main").stdout.strip()
    run(server, "git", "update-ref", "refs/heads/main", "digits/v1^{commit}")
    other = tmp_path / "other"
    other.mkdir()
    run(other, "git", "init", "--quiet")
    run(other, sys.executable, "-m", "dvc", "init", "--quiet")
    run(other, "dvc", "import", "--quiet", url, "published/digits")
    assert digest(other / "digits") == two_versions.published["digits/v1"]
    run(server, "git", "update-ref", "refs/heads/main", second)
    run(other, "dvc", "update", "--quiet", "digits.dvc")
    assert digest(other / "digits") == two_versions.published["digits/v2"]
    assert second in (other / "digits.dvc").read_text()


def test_dvc_lists_the_files_of_a_version(two_versions: Versions, url: str, tmp_path: Path) -> None:
    listed = run(tmp_path, "dvc", "list", "--recursive", "--size", "--rev", "digits/v1", url, "published/digits").stdout
    assert {line.split()[-1] for line in listed.splitlines()} == set(two_versions.published["digits/v1"])


@pytest.mark.parametrize(("tag", "weight"), [("digits/v1", 4.0), ("digits/v2", 7.0)])
def test_one_file_of_one_version_is_read_as_if_it_were_here(
    two_versions: Versions, url: str, tag: str, weight: float
) -> None:
    from dvc.api import DVCFileSystem

    files = DVCFileSystem(url, rev=tag)
    with files.open(TRAIN) as file:
        frame = pl.read_parquet(file)
    assert set(frame.filter(~pl.col("is_generated"))["weight"]) == {weight}
    assert pq.read_table(TRAIN, filesystem=files).num_rows == len(frame)
    assert files.cat_file(TRAIN) == two_versions.published[tag]["data/train-00000-of-00001.parquet"]
