"""Validation of an expansion: the same answer before and after its images are stored, from few looks at them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest

from ops.chain import driver
from ops.chain.parts import fold_images
from ops.chain.parts.fold_images import read_pool
from ops.chain.real_images import build_real_images, source_content
from ops.datasets.identity import content_ids, number_repeats
from ops.datasets.pixels import PixelDataset, build_rows, write_shards
from ops.errors import UserError
from ops.recipe.automatic import LEAST_VALIDATION
from ops.stages.materialization import Runtime, materialize
from ops.workspaces.workspace import Workspace
from tests.priors import change_recipe
from tests.workspaces import digit_splits, growset, make_folder


def store(workspace: Workspace) -> None:
    """Run the stage real_images, without DVC."""
    content = source_content(workspace, workspace.load_recipe("digits"))
    materialize(workspace, "digits", driver.FIRST, build_real_images, Runtime(workers=1), source=content)


def hold(root: Path, count: int) -> None:
    """Leave so many validation images, of which the last two of a class are copies."""
    split = digit_splits()["validation"]
    kept = np.concatenate([np.flatnonzero(split.labels == label)[: count // 2] for label in (0, 1)])
    images = split.images[kept]
    images[-1] = images[-2]
    rows = build_rows(split.labels[kept], number_repeats(content_ids(images)), split="validation")
    write_shards(root / "images", PixelDataset(images, rows, split.class_names), prefix="validation")


def test_copies_count_as_validation_images_before_and_after_they_are_stored(tmp_path: Path) -> None:
    root, workspace = make_folder(tmp_path / "workspace"), Workspace(tmp_path / "workspace")
    change_recipe(root, "digits", baselines={"real": {}, "gentle": {"strength": "auto"}})
    for count in (LEAST_VALIDATION, LEAST_VALIDATION - 2):
        hold(root, count)
        for is_stored in (False, True):
            if is_stored:
                store(workspace)
            if count == LEAST_VALIDATION:
                driver.validate(workspace, "digits")
                continue
            with pytest.raises(UserError, match=f"on validation images, of which there are {count}; at least"):
                driver.validate(workspace, "digits")


def test_stored_images_are_read_once_until_they_are_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, workspace = make_folder(tmp_path / "workspace"), Workspace(tmp_path / "workspace")
    read, real = list[str](), fold_images.read_rows
    monkeypatch.setattr(fold_images, "read_rows", lambda paths: (read.append(paths[0].name), real(paths))[1])
    for count in (20, 24):
        hold(root, count)
        store(workspace)
        for _ in range(3):
            driver.validate(workspace, "digits")
        assert read_pool(workspace.output("digits", driver.FIRST)).held == count
    assert len(read) == 2 * len(("train", "validation", "test"))


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[fsspec.AbstractFileSystem]:
    """A workspace in `tmp_path`, whose source is a bucket in memory."""
    root, system = make_folder(tmp_path / "workspace"), fsspec.filesystem("memory")
    system.put(str(root / "images"), "/validated", recursive=True)
    (root / "sources" / "digits.yaml").write_text("kind: parquet\npath: memory://validated\nlicence: BSD-3-Clause\n")
    yield system
    system.rm("/validated", recursive=True)


def test_a_command_lists_the_bucket_of_its_source_once(
    tmp_path: Path, bucket: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, real = list[str](), type(bucket).find
    monkeypatch.setattr(type(bucket), "find", lambda s, root, **o: (looks.append(root), real(s, root, **o))[1])
    root = tmp_path / "workspace"
    for place in ("source", "stored images"):
        assert growset(root, "check", "digits").exit_code == 0 and looks == ["/validated"], place
        del looks[:]
        driver.Chain(Workspace(root)).validate("digits")
        assert len(looks) == 1, place
        store(Workspace(root))
        del looks[:]
