"""An older tag restores the older bytes, in the workspace itself and in a clone."""

import shutil
from pathlib import Path

from ops.history.dvc_repository import changed_stages, stage_addresses
from tests.publications import digest
from tests.versions import Versions
from tests.workspaces import growset, run


def assert_holds(root: Path, versions: Versions, tag: str) -> None:
    assert digest(root / "published" / "digits") == versions.published[tag]
    assert digest(root / "data" / "digits") == versions.data[tag]


def test_the_two_versions_differ_in_pixels_files_and_in_stages(two_versions: Versions) -> None:
    first, second = two_versions.published.values()
    assert {name for name in first if first[name] != second[name]} >= {"README.md", "data/train-00000-of-00001.parquet"}
    assert first.keys() == second.keys()
    assert two_versions.data["digits/v1"] != two_versions.data["digits/v2"]


def test_checking_out_a_tag_restores_the_older_bytes_and_there_is_a_way_back(
    two_versions: Versions, tmp_path: Path
) -> None:
    root = shutil.copytree(two_versions.root, tmp_path / "workspace", symlinks=True)
    for commit, tag in (("digits/v1", "digits/v1"), ("main", "digits/v2")):
        run(root, "git", "checkout", "--quiet", commit)
        run(root, "dvc", "checkout")
        assert_holds(root, two_versions, tag)
        assert changed_stages(root, stage_addresses("digits")) == {}
    assert run(root, "git", "tag").stdout.split() == ["digits/v1", "digits/v2"]


def test_a_clone_gets_any_version_from_the_remote(two_versions: Versions, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    run(tmp_path, "git", "clone", "--quiet", "--branch", "digits/v1", str(two_versions.root), str(clone))
    run(clone, "dvc", "pull")
    assert_holds(clone, two_versions, "digits/v1")
    run(clone, "git", "checkout", "--quiet", "main")
    result = growset(clone, "pull", "digits")
    assert result.exit_code == 0, result.output
    assert_holds(clone, two_versions, "digits/v2")
