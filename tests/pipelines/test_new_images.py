"""New images arrive: the generator is trained again, or kept, and all later stages are brought up to date."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_digits

from ops.chain.driver import Chain
from ops.datasets.identity import content_ids, number_repeats
from ops.datasets.pixels import PixelDataset, build_rows, read_rows, read_split, write_shards
from ops.datasets.shards import find_shards
from ops.errors import UserError
from ops.files.manifests import read_manifest
from ops.history.dvc_repository import changed_stages, stage_addresses
from ops.workspaces.workspace import Workspace
from tests.chains import exported_before
from tests.workspaces import NAMES, growset, one_core


@pytest.fixture(scope="module")
def _many(_finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished workspace after eight more images of each class have come into its source."""
    root = shutil.copytree(_finished, tmp_path_factory.mktemp("new") / "workspace", symlinks=True)
    digits = load_digits()
    old = read_split(root / "images", "train")
    chosen = np.concatenate([np.flatnonzero(digits.target == label)[-8:] for label in range(2)])
    more = (np.kron(digits.images[chosen], np.ones((2, 2))) * (255 / 16)).round().astype(np.uint8)[..., None]
    images = np.concatenate([old.images, more])
    labels = np.concatenate([old.labels, digits.target[chosen]])
    rows = build_rows(labels, number_repeats(content_ids(images)), split="train")
    for path in find_shards(root / "images", "train"):
        path.unlink()
    write_shards(root / "images", PixelDataset(images, rows, NAMES), prefix="train")
    # The eight taken from the end of the data are test images there: take them out of test.
    test = read_split(root / "images", "test")
    keep = ~np.isin(np.array(content_ids(test.images)), content_ids(more))
    for path in find_shards(root / "images", "test"):
        path.unlink()
    write_shards(root / "images", test.select(keep), prefix="test")
    return root


def set_choice(root: Path, choice: str, *, cap: str = "64") -> None:
    recipe = root / "recipes" / "digits.yaml"
    text = recipe.read_text().replace("images_per_class: 16", f"images_per_class: {cap}")
    for known in ("retrain", "keep_generator"):
        text = text.replace(f"on_new_images: {known}", f"on_new_images: {choice}")
    recipe.write_text(text)


def rerun(root: Path) -> None:
    with one_core():
        result = growset(root, "run", "digits")
    assert result.exit_code == 0, result.output


def generated_ids(root: Path) -> set[str]:
    return set(read_rows(find_shards(root / "data" / "digits" / "generated_images", "generated"))["image_id"])


@pytest.fixture(scope="module")
def _kept(_finished: Path, _many: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = shutil.copytree(_many, tmp_path_factory.mktemp("kept") / "workspace", symlinks=True)
    set_choice(root, "keep_generator")
    with exported_before(Workspace(_finished)):  # it has the same generator
        rerun(root)
    return root


def test_a_kept_generator_stays_byte_for_byte_and_draws_more(_finished: Path, _kept: Path) -> None:
    before, after = (read_manifest(root / "data" / "digits" / "generator") for root in (_finished, _kept))
    assert after["files"] == before["files"] and after["content"] == before["content"]
    assert after["inputs"]["trained_on"] == before["inputs"]["real_images"] != after["inputs"]["real_images"]
    assert after["fingerprint"] != before["fingerprint"]
    assert generated_ids(_finished) < generated_ids(_kept), "rows stay, more are drawn"
    plans = [json.loads((root / "data/digits/expansion_plan/plan.json").read_text()) for root in (_finished, _kept)]
    assert (plans[0]["wanted"], plans[1]["wanted"]) == (32, 80)
    index = pl.read_parquet(_kept / "data" / "digits" / "accepted_images" / "index.parquet")
    train = set(read_rows(find_shards(_kept / "data" / "digits" / "real_images", "train"))["image_id"])
    assert len(train) == 80 and set(index["nearest_train_id"]) <= train, "filtered again, against the new images"


def test_nothing_is_left_to_do_after_it_in_either_door(_kept: Path, tmp_path: Path) -> None:
    root = shutil.copytree(_kept, tmp_path / "workspace", symlinks=True)
    assert changed_stages(root, stage_addresses("digits")) == {}
    assert "digits: unchanged" in growset(root, "run", "digits").output
    workspace = Workspace(root)
    assert all(Chain(workspace).run("digits", stage).reused for stage in ("real_images", "generator", "verdict"))


@pytest.mark.slow
def test_with_retrain_the_generator_is_trained_on_all_images(_kept: Path, tmp_path: Path) -> None:
    root = shutil.copytree(_kept, tmp_path / "workspace", symlinks=True)
    set_choice(root, "retrain")
    before = read_manifest(root / "data" / "digits" / "generator")
    assert any("generator@" in name for name in changed_stages(root, stage_addresses("digits")))
    with one_core():
        outcome = Chain(Workspace(root)).run("digits", "generator")
    assert not outcome.reused and "trained_on" not in outcome.manifest["inputs"]
    assert outcome.manifest["content"] != before["content"]
    assert len(pl.read_parquet(root / "data" / "digits" / "generator" / "trained_on.parquet")) == 80


def test_changed_settings_train_the_generator_even_with_keep_generator(_kept: Path, tmp_path: Path) -> None:
    root = shutil.copytree(_kept, tmp_path / "workspace", symlinks=True)
    recipe = root / "recipes" / "digits.yaml"
    recipe.write_text(recipe.read_text().replace("steps: 60", "steps: 10"))
    with one_core():
        outcome = Chain(Workspace(root)).run("digits", "generator")
    assert not outcome.reused and "trained_on" not in outcome.manifest["inputs"]


def test_a_generator_that_has_seen_what_is_test_now_is_not_kept(_many: Path, tmp_path: Path) -> None:
    root = shutil.copytree(_many, tmp_path / "workspace", symlinks=True)
    set_choice(root, "keep_generator")
    train, test = (read_split(root / "images", split) for split in ("train", "test"))
    swapped = np.concatenate([train.images[:20], test.images])
    labels = np.concatenate([train.labels[:20], test.labels])
    rows = build_rows(labels, number_repeats(content_ids(swapped)), split="test")
    write_shards(root / "images", PixelDataset(swapped, rows, NAMES), prefix="test")
    write_shards(root / "images", train.select(np.arange(20, len(train))), prefix="train")
    seen = pl.read_parquet(root / "data" / "digits" / "generator" / "trained_on.parquet")["image_id"]
    both = len(set(seen) & set(content_ids(train.images[:20])))
    before = (root / "data" / "digits" / "real_images" / "manifest.json").read_bytes()
    for command in ("check", "run"):
        result = growset(root, command, "digits")
        assert result.exit_code == 2
        assert (
            f"the kept generator of 'digits' was trained on {both} images that are now in test, e.g." in result.output
        )
        assert "set on_new_images: retrain, or put them back into train" in result.output
    assert (root / "data" / "digits" / "real_images" / "manifest.json").read_bytes() == before, "nothing was computed"
    # Nor is it kept where the images changed after everything was validated.
    with one_core(), pytest.raises(UserError, match=f"was trained on {both} images that are now in test"):
        chain = Chain(Workspace(root))
        chain.run("digits", "real_images")
        chain.run("digits", "scorer")
        chain.run("digits", "generator")


def test_keeping_a_generator_needs_stable_splits(fresh_workspace: Path) -> None:
    for split in ("validation", "test"):
        for path in find_shards(fresh_workspace / "images", split):
            path.unlink()
    source = fresh_workspace / "sources" / "digits.yaml"
    text = source.read_text()
    source.write_text(text + "split: {validation: 0.3, test: 0.3}\n")
    set_choice(fresh_workspace, "keep_generator")
    result = growset(fresh_workspace, "check", "digits")
    assert result.exit_code == 2
    assert (
        "its drawn splits change when images arrive, which on_new_images: keep_generator does not allow; add"
        " `stable: true`" in result.output
    )
    source.write_text(text + "split: {validation: 0.3, test: 0.3, stable: true}\n")
    assert growset(fresh_workspace, "check", "digits").exit_code == 0
