"""`growset inspect`: a source of a workspace, a recipe's, or a path; text, JSON and a page."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ops.errors import UserError
from ops.workspaces.workspace import Workspace
from pipelines.cli.inspection import find_source
from tests.sources import make_folder, make_truth
from tests.workspaces import digit_splits, growset


def write_images(root: Path) -> Path:
    for split, dataset in digit_splits().items():
        for i, (image, label) in enumerate(zip(dataset.images, dataset.labels, strict=True)):
            path = root / split / dataset.class_names[label] / f"{i:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[..., 0]).save(path)
    return root


def test_a_path_is_inspected_outside_of_a_workspace(tmp_path: Path) -> None:
    images = write_images(tmp_path / "my digits")
    result = growset(tmp_path, "inspect", str(images), "--html", str(tmp_path / "pages" / "found.html"))
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0].startswith("my digits: folder, 2 classes, 64 train, 64 validation, ")
    assert any(line.split() == ["zero", *line.split()[1:]] for line in lines)
    assert "  stored sizes (width x height): 16 x 16 (" in result.output
    assert f"with pictures: {tmp_path}/pages/found.html" in result.output
    assert "<h1>What is in my digits</h1>" in (tmp_path / "pages" / "found.html").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my digits", "pages"]  # nothing else was written
    shutil.copy(images / "train" / "zero" / "000.png", images / "test" / "zero" / "copy.png")
    shutil.copy(images / "train" / "one" / "001.png", images / "train" / "zero" / "one.png")
    result = growset(tmp_path, "inspect", str(images), "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    levels = {message["level"] for message in facts["messages"]}
    assert "fault" in levels and facts["page"] is None
    exact = [group for group in facts["duplicates"] if group["kind"] == "exact"]
    assert any(group["across_splits"] for group in exact) and any(group["across_labels"] for group in exact)
    assert not (tmp_path / ".growset").exists()


def test_conflicting_labels_stop_check_until_they_are_allowed(tmp_path: Path) -> None:
    images = write_images(tmp_path / "digits")
    root = tmp_path / "work"
    assert growset(tmp_path, "init", str(root), "--source", str(images)).exit_code == 0
    shutil.copy(images / "train" / "one" / "001.png", images / "train" / "zero" / "one.png")
    result = growset(root, "check")
    assert result.exit_code == 2
    assert "train/one/001.png as one and " in result.output and "train/zero/one.png as zero" in result.output
    assert "`growset inspect digits`" in result.output and "`allow_conflicts: true`" in result.output
    assert growset(root, "run", "digits").exit_code == 2
    found = growset(root, "inspect", "digits")  # the command that the sentence names lists them
    assert found.exit_code == 0, found.output
    assert "fault: 1 picture stands under more than one label" in found.output
    assert (root / ".growset" / "inspections" / "digits.html").is_file()
    description = root / "sources" / "digits.yaml"
    refusing = description.read_text()
    description.write_text(refusing + "allow_conflicts: true\n")
    result = growset(root, "check")
    assert result.exit_code == 0 and "no classifier is right on both" in result.output
    # Images that were made while it was allowed are refused as well when it is not allowed any more.
    assert growset(root, "materialize", "real_images", "digits").exit_code == 0
    assert growset(root, "check").exit_code == 0
    description.write_text(refusing)
    result = growset(root, "check")
    assert result.exit_code == 2
    assert "source digits: 1 pictures of train have more than one label" in result.output
    assert "`growset inspect digits`" in result.output


def test_a_rehearsal_s_source_is_found_by_the_name_that_its_report_writes(fresh_workspace: Path) -> None:
    workspace = Workspace(fresh_workspace)
    with pytest.raises(UserError, match="'digits-quick' is not a source, a recipe or a path of images"):
        find_source(lambda: workspace, "digits-quick")
    small = Workspace(workspace.rehearsal("digits"))
    small.source_path("digits-quick").parent.mkdir(parents=True)
    small.source_path("digits-quick").write_text("kind: parquet\npath: ../images\nlicence: CC0\n")
    spec, where = find_source(lambda: workspace, "digits-quick")
    assert (spec.root, where) == (small.root / "images", small)


def test_a_recipe_stands_for_its_source(tmp_path: Path) -> None:
    images = write_images(tmp_path / "digits")
    root = tmp_path / "work"
    assert growset(tmp_path, "init", str(root), "--source", str(images)).exit_code == 0
    assert growset(root, "new", "bolder", "--from", "digits").exit_code == 0
    result = growset(root, "inspect", "bolder", "--json", "--limit", "30")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["source"] == "digits" and facts["looked_at"] == 30
    assert facts["images"]["train"] == 64  # counted without opening them


def test_what_is_no_source_is_one_sentence(tmp_path: Path) -> None:
    result = growset(tmp_path, "inspect", "nowhere")
    assert result.exit_code == 2 and "'nowhere' is not a source, a recipe or a path of images" in result.output
    (tmp_path / "empty").mkdir()
    result = growset(tmp_path, "inspect", str(tmp_path / "empty"))
    assert result.exit_code == 2 and "empty is empty" in result.output


def test_odd_images_stop_nothing(tmp_path: Path) -> None:
    make_folder(tmp_path / "odd", make_truth())
    rgba = np.random.default_rng(0).integers(0, 256, (50, 20, 4), np.uint8)
    Image.fromarray(rgba, "RGBA").save(tmp_path / "odd" / "train" / "ant" / "window.png")
    (tmp_path / "odd" / "train" / "ant" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    result = growset(tmp_path, "inspect", str(tmp_path / "odd"))
    assert result.exit_code == 0, result.output
    assert "fault: 1 image cannot be used, e.g. train/ant/torn.png" in result.output
    assert "1 image has transparent pixels" in result.output and "the images have 2 sizes" in result.output
