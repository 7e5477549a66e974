"""A chain that expands images without labels: what is refused, who is left out, and what comes out at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ops.chain.real_images import describe_source, describe_unlabelled, read_labelled, read_real, try_source
from ops.datasets.identity import content_ids
from ops.datasets.pixels import read_split, write_shards
from ops.files.manifests import read_manifest
from ops.files.outputs import CARD, DATA, REPORT, RESULTS, VERDICT
from ops.files.storage import read_json
from ops.planning.work import count_work
from ops.sources import pool
from ops.sources.spec import SourceSpec
from ops.sources.splitting import LoadedSplit
from ops.workspaces.workspace import Workspace
from pipelines.cli.plan_text import format_images
from pipelines.cli.prospect import look_ahead
from tests.priors import change_recipe, pool_images, write_pool
from tests.unlabelled import COPIES, RECIPE, SIMCLR, make_unlabelled_workspace, unlabelled_images
from tests.workspaces import digit_splits, growset, one_core


@pytest.fixture
def root(fresh_workspace: Path) -> Path:
    """Nothing has run yet."""
    write_pool(fresh_workspace, unlabelled_images())
    change_recipe(fresh_workspace, "digits", **RECIPE)
    return fresh_workspace


def refuse(root: Path, sentence: str) -> None:
    result = growset(root, "check", "digits")
    assert result.exit_code == 2 and sentence in result.stderr and result.stderr.count("\n") == 1, result.output
    assert not (root / "data").exists()


def test_images_that_are_labelled_too_are_left_out_by_content(root: Path) -> None:
    workspace = Workspace(root)
    found = read_real(workspace, workspace.load_recipe("digits"))
    labelled = {split: set(dataset.rows["image_id"]) for split, dataset in found.subset.splits.items()}
    grown, test = found.growing["train"].rows["image_id"].to_list(), digit_splits()["test"]
    assert grown[:32] == found.subset.splits["train"].rows["image_id"].to_list()
    assert not set(content_ids(test.images[:COPIES])) & set(grown)
    assert labelled["train"] < set(grown) and not set(grown) & (labelled["validation"] | labelled["test"])
    assert found.left_out >= COPIES and len(grown) == 32 + len(unlabelled_images()) - found.left_out


def test_the_plan_counts_all_real_images_and_no_training_of_a_scorer(root: Path) -> None:
    seen = look_ahead(Workspace(root), "digits")
    (grown,) = seen.plan.classes
    assert (grown.name, grown.real, grown.wanted) == ("unlabelled", 32 + len(unlabelled_images()), 81)
    lines = format_images(seen)
    assert "  expanded without labels: these training images and at most 130 of others" in lines
    assert any(line.split() == ["total", "162", "81", "162"] for line in lines)
    assert count_work(seen.recipe, seen.plan, seen.counted.shape, 1, None).scorer == ()


def test_a_recipe_that_names_its_own_source_hides_all_labels(root: Path) -> None:
    change_recipe(root, "digits", data={"unlabelled": "digits"})
    workspace = Workspace(root)
    found = read_real(workspace, workspace.load_recipe("digits"))
    train, grown = found.subset.splits["train"], found.growing["train"]
    assert grown.rows["image_id"].to_list() == train.rows["image_id"].to_list() and grown.class_names == ("unlabelled",)
    np.testing.assert_array_equal(grown.images, train.images)
    assert growset(root, "check", "digits").exit_code == 0


def test_mistakes_give_one_sentence_before_anything_is_computed(root: Path) -> None:
    assert growset(root, "check", "digits").exit_code == 0
    change_recipe(root, "digits", expanded={"plain": {}, "adainf": SIMCLR})
    refuse(root, "the arm 'plain' under expanded learns from labels (trainer: supervised)")
    change_recipe(root, "digits", expanded=RECIPE["expanded"], data={"unlabelled": "nowhere"})
    refuse(root, "there is no source 'nowhere'")
    change_recipe(root, "digits", data=RECIPE["data"])
    write_pool(root, digit_splits()["test"].images)
    refuse(root, "every image of 'others' is a labelled image too, so that none without a label is left")
    write_pool(root, unlabelled_images())
    test = digit_splits()["test"]
    write_shards(root / "images", test.select(test.labels == 1), prefix="test")
    refuse(root, "all labelled images of test are of class one, and a probe needs two classes or more")


def test_a_check_opens_few_of_the_images_without_labels_and_a_run_all_of_them_once(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, load = list[int](), pool.load_images

    def count(spec: SourceSpec, listing: Any, rows: np.ndarray, *given: Any) -> LoadedSplit:
        opened.append(len(rows))
        return load(spec, listing, rows, *given)

    monkeypatch.setattr(pool, "load_images", count)
    workspace = Workspace(root)
    recipe = workspace.load_recipe("digits")
    source, others = describe_source(workspace, recipe), describe_unlabelled(workspace, recipe)
    found = try_source(source, others, recipe, "as it is here")
    assert (
        opened == [pool.PROBED]
        and found.growing == 32 + len(unlabelled_images()) == look_ahead(workspace, "digits").plan.classes[0].real
    )
    assert read_labelled(workspace, recipe).splits.keys() == digit_splits().keys() and opened == [pool.PROBED]
    real = read_real(workspace, recipe)
    assert opened == [pool.PROBED, len(unlabelled_images())] and len(real.growing["train"]) <= found.growing


def test_images_without_labels_in_another_shape_are_refused(root: Path) -> None:
    write_pool(root, np.repeat(pool_images(), 3, axis=3))
    refuse(root, "the pool 'others' has images of 16x16 RGB, the labelled ones are 16x16 grey")


@pytest.mark.slow
def test_the_chain_expands_images_without_labels_and_judges_by_probes(tmp_path: Path) -> None:
    root = make_unlabelled_workspace(tmp_path / "workspace")
    with one_core():
        result = growset(root, "run", "digits", "--workers", "1")
    assert result.exit_code == 0, result.output
    data = root / "data" / "digits"
    counts = read_manifest(data / "real_images")["metrics"]
    images = 32 + counts["unlabelled"]
    assert counts["train"] == 32 and counts["unlabelled"] + counts["left_out"] == len(unlabelled_images())
    assert f"simclr: each of {images} real images is shown" in result.output and "of their class" not in result.output

    baselines, expanded = (
        read_json(data / stage / RESULTS)["arms"] for stage in ("baseline_classifiers", "expanded_classifiers")
    )
    assert expanded["adainf"]["visits"]["real_images"] == images and "visits" not in baselines["real"]
    mixed = pl.read_parquet(data / "mixed_dataset" / "index.parquet")
    assert mixed["label"].unique().to_list() == [0] and (~mixed["is_generated"]).sum() == images
    verdict = read_json(data / "verdict" / VERDICT)
    assert verdict["unlabelled"]["images"] == counts["unlabelled"]
    saw = f"saw {counts['unlabelled']} images of others without labels and 32 labelled ones"
    assert saw in verdict["sentence"]
    assert [row["name"] for row in verdict["per_class"]] == ["zero", "one"]

    folder = root / "published" / "digits"
    train, validation, test = (read_split(folder / DATA, split) for split in ("train", "validation", "test"))
    assert train.class_names == validation.class_names == ("zero", "one", "unlabelled")
    real = train.rows.filter(~pl.col("is_generated"))
    assert real["label"].value_counts().sort("label")["count"].to_list() == [16, 16, counts["unlabelled"]]
    assert set(train.rows.filter("is_generated")["label"]) == {2}
    np.testing.assert_array_equal(test.labels, digit_splits()["test"].labels)
    assert not set(train.rows["image_id"]) & set(test.rows["image_id"])
    card, report = (folder / CARD).read_text(), (data / "report" / REPORT).read_text()
    assert "stands for no class" in card and "CC0-1.0" in card and "BSD-3-Clause" in card
    assert "no classifier judges them" in report and "and saw no label" in report

    again = growset(root, "run", "digits")
    assert again.exit_code == 0 and "digits: unchanged" in again.output
    verified = growset(root, "verify", "digits")
    assert verified.exit_code == 0 and "everything is as it was made" in verified.output, verified.output
    exported = growset(root, "export", "digits", "--format", "folder", "--to", str(tmp_path / "exported"))
    assert exported.exit_code == 0, exported.output
    assert {path.name for path in (tmp_path / "exported").rglob("*") if path.is_dir()} >= {"zero", "one", "unlabelled"}
    (root / "others" / "0000.png").unlink()
    lines = growset(root, "status", "digits").output.splitlines()
    assert "current" not in next(line for line in lines if line.startswith("real_images"))
