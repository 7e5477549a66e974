"""Objects that were changed in remote, cache or workspace: pull, run and push find them and do not pass them on."""

import shutil
from pathlib import Path

import pytest

from ops.chain.publishing import publish
from ops.errors import DamagedData
from ops.history.dvc_repository import stage_addresses
from ops.remotes.transfer import find_faults, push
from ops.workspaces.workspace import Workspace
from tests.damage import DAMAGES, find_cached, find_object, find_sent, flip, truncate
from tests.publications import digest
from tests.versions import Versions
from tests.workspaces import growset, remove_remote, run, set_remote

SHARD = "data/digits/real_images/train-00000-of-00001.parquet"
CARD = "published/digits/README.md"
FIRST = [name if name == "flip" else pytest.param(name, marks=pytest.mark.slow) for name in DAMAGES]


@pytest.fixture
def root(two_versions: Versions, tmp_path: Path) -> Path:
    """Published as digits/v2, with a remote of its own beside it."""
    root = shutil.copytree(two_versions.root, tmp_path / "workspace", symlinks=True)
    shutil.copytree(two_versions.root.parent / "storage", tmp_path / "storage", symlinks=True)
    set_remote(root, tmp_path / "storage")
    run(root, "git", "commit", "--quiet", "--all", "--message", "A remote of its own")
    recipe = root / "recipes" / "digits.yaml"
    assert "real_weight: 7.0" in recipe.read_text()
    return root


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    return tmp_path / "storage"


@pytest.fixture
def clone(root: Path, tmp_path: Path) -> Path:
    run(tmp_path, "git", "clone", "--quiet", str(root), str(tmp_path / "clone"))
    return tmp_path / "clone"


def targets(root: Path) -> list[str]:
    return [str(root / "published" / "digits.dvc"), *stage_addresses("digits")]


def pull(root: Path, code: int = 0) -> str:
    result = growset(root, "pull", "digits")
    assert (result.exit_code, "Traceback" in result.output) == (code, False), result.output
    return result.output


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        (SHARD, "flip"),
        ("data/digits/scorer", "truncate"),
        *(
            pytest.param(file, damage, marks=pytest.mark.slow)
            for file in (SHARD, CARD, "data/digits/scorer")
            for damage in ("flip", "truncate", "replace")
        ),
    ],
)
def test_a_pull_refuses_an_object_that_was_changed_in_the_remote(
    root: Path, storage: Path, clone: Path, file: str, damage: str
) -> None:
    sent = find_sent(storage, root, file)
    DAMAGES[damage](sent)
    told = pull(clone, 4)
    assert "1 object in the remote changed since the push" in told and str(sent) in told and str(clone / file) in told
    assert "`growset push digits` in a workspace with an intact copy sends it again" in told
    assert not (clone / "data").exists() and not (clone / "published" / "digits").exists()
    result = growset(root, "push", "digits")
    assert (result.exit_code, result.output.splitlines()[-1]) == (
        0,
        "digits: 1 object sent; the remote has everything as it is here",
    )
    pull(clone)
    assert digest(clone / "data") == digest(root / "data")
    assert digest(clone / "published") == digest(root / "published")


def test_an_unchanged_run_checks_every_object_and_sends_a_damaged_one_again(root: Path, storage: Path) -> None:
    before = digest(storage)
    pointer = (root / "published" / "digits.dvc").read_bytes()
    for damage in (flip, Path.unlink):
        damage(find_sent(storage, root, SHARD))
        result = growset(root, "run", "digits")
        assert result.exit_code == 0, result.output
        assert f"its copy of {root / SHARD}" in result.output and "it is sent again" in result.output
        assert digest(storage) == before
    assert (root / "published" / "digits.dvc").read_bytes() == pointer
    assert "digits: unchanged" in growset(root, "run", "digits").output


def test_objects_pulled_unverified_by_plain_dvc_are_not_passed_on(root: Path, storage: Path, clone: Path) -> None:
    """DVC takes the object for what its name says; Growset puts the right bytes back, or stops."""
    sent = find_sent(storage, root, SHARD)
    flip(sent)
    run(clone, "dvc", "pull", check=False)
    pointer = (clone / "published" / "digits.dvc").read_bytes()
    told = pull(clone, 4)
    assert str(sent) in told
    with pytest.raises(DamagedData, match="is intact neither in DVC's cache nor in the workspace"):
        push(clone, targets(clone), every_byte=True)
    assert (clone / "published" / "digits.dvc").read_bytes() == pointer
    assert growset(root, "push", "digits").exit_code == 0
    pull(clone)
    assert digest(clone / "data") == digest(root / "data")
    verified = growset(clone, "verify", "digits")
    assert verified.exit_code == 0 and "digits: everything is as it was made (18 outputs" in verified.output


@pytest.mark.parametrize("damage", FIRST)
def test_a_pull_puts_damaged_files_of_the_workspace_back(root: Path, damage: str) -> None:
    before = digest(root / "data"), digest(root / "published")
    for file in (SHARD, "data/digits/verdict/manifest.json", CARD):
        DAMAGES[damage](root / file)
    assert "digits: everything is here" in pull(root)
    assert (digest(root / "data"), digest(root / "published")) == before


@pytest.mark.parametrize("damage", FIRST)
@pytest.mark.parametrize("source", ["remote", "workspace"])
def test_a_pull_replaces_damaged_objects_of_the_cache(root: Path, damage: str, source: str) -> None:
    paths = [find_cached(root, file) for file in (SHARD, "data/digits/scorer")]
    whole, before = [path.read_bytes() for path in paths], digest(root / "data")
    for path in paths:
        DAMAGES[damage](path)
    if source == "remote":
        shutil.rmtree(root / "data")
    else:
        remove_remote(root)
    pull(root)
    assert [path.read_bytes() for path in paths] == whole
    assert not any(path.stat().st_mode & 0o222 for path in paths)
    assert digest(root / "data") == before


def test_a_push_repairs_the_cache_before_it_sends(root: Path, storage: Path) -> None:
    sent, cached = find_sent(storage, root, SHARD), find_cached(root, SHARD)
    whole = sent.read_bytes()
    sent.unlink()
    flip(cached)
    publish(Workspace(root), "digits")
    assert sent.read_bytes() == cached.read_bytes() == whole


def test_an_object_without_an_intact_copy_is_not_sent(root: Path, storage: Path) -> None:
    for path in (find_sent(storage, root, SHARD), find_cached(root, SHARD), root / SHARD):
        flip(path)
    result = growset(root, "push", "digits")
    assert result.exit_code == 4 and f"{root / SHARD} is intact neither" in result.output
    assert "1 object in the remote changed since the push" in pull(root, 4)


def test_an_output_without_an_intact_copy_or_a_remote_is_made_again(root: Path) -> None:
    remove_remote(root)
    flip(find_cached(root, SHARD))
    flip(root / SHARD)
    told = pull(root, 4)
    assert f"{root / SHARD} is intact neither in DVC's cache nor in the workspace" in told
    assert "and the workspace has no remote" in told
    assert "make it again with: growset run digits" in told


def test_sizes_are_compared_where_the_mark_is_the_same(root: Path, storage: Path) -> None:
    assert find_faults(root, targets(root)) == {}
    truncate(find_sent(storage, root, SHARD))
    (fault,) = find_faults(root, targets(root)).items()
    assert fault[0] == root / SHARD and "bytes and should have" in fault[1]


def test_a_different_but_intact_output_is_not_damage(root: Path) -> None:
    """A pull takes back what dvc.lock names, as DVC does: what is in the cache may go, and comes back with the lock."""
    newer = digest(root / "data" / "digits" / "mixed_dataset")
    run(root, "git", "checkout", "--quiet", "digits/v1", "--", "dvc.lock", "published")
    pull(root)
    older = digest(root / "data" / "digits" / "mixed_dataset")
    assert older != newer
    run(root, "git", "checkout", "--quiet", "HEAD", "--", "dvc.lock", "published")
    pull(root)
    assert digest(root / "data" / "digits" / "mixed_dataset") == newer


def test_an_output_without_a_saved_copy_is_not_removed(root: Path) -> None:
    from ops.files.manifests import MANIFEST, describe_output
    from ops.files.storage import write_json

    folder = root / "data" / "digits" / "scorer"
    (folder / "new.txt").write_text("hours of work\n")
    write_json(folder / MANIFEST, describe_output(folder, {"fingerprint": "f"}, {}))
    result = growset(root, "pull", "digits")
    assert result.exit_code != 0 and (folder / "new.txt").read_text() == "hours of work\n"


def test_push_needs_a_remote_and_a_publication(fresh_workspace: Path, tmp_path: Path) -> None:
    result = growset(fresh_workspace, "push", "digits")
    assert result.exit_code == 2 and "has no default DVC remote; name one with" in result.stderr
    set_remote(fresh_workspace, tmp_path / "storage")
    result = growset(fresh_workspace, "push", "digits")
    assert (result.exit_code, result.stderr) == (
        2, "growset: 'digits' is not published yet; run: growset run digits\n",
    )  # fmt: skip


def test_objects_are_found_by_their_files(root: Path) -> None:
    assert find_object(root, "data/digits/scorer").endswith(".dir")
