"""The page of a made-up chain: which image is where, what is known of it, and that no test image is in it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from ops.datasets.pixels import read_split
from ops.datasets.shards import find_shards
from ops.errors import DamagedData, UserError
from ops.exploring.columns import MISSING
from ops.exploring.page import BUILT_FROM, STAGES, START, Page, write_page
from ops.exploring.rows import KINDS, REASON_BITS, collect_rows
from ops.files.manifests import MANIFEST, describe_output
from ops.files.outputs import INDEX
from ops.files.storage import write_json
from ops.filters.results import read_results
from tests.exploration import read_column
from tests.filtering import CLASSES, fill_filters


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the outputs of STAGES, the page that was made of them, and its cache; nobody changes it."""
    root = tmp_path_factory.mktemp("made")
    fill_filters({stage: root / stage for stage in STAGES}, np.random.default_rng(0))
    for stage in STAGES:
        describe(root / stage, "f")
    write_page({stage: root / stage for stage in STAGES}, root / "page", "boots", root / "cache")
    return root


@pytest.fixture
def page(made: Path) -> Path:
    """To be read only."""
    return made / "page"


@pytest.fixture
def folders(made: Path) -> dict[str, Path]:
    """To be read only."""
    return {stage: made / stage for stage in STAGES}


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Path:
    """A copy to be changed."""
    return shutil.copytree(made, tmp_path / "copy")


def describe(folder: Path, fingerprint: str) -> None:
    """Write the manifest of a stage's output."""
    identity = {"stage": folder.name, "version": 1, "fingerprint": fingerprint, "settings": {}, "inputs": {}}
    write_json(folder / MANIFEST, describe_output(folder, identity, {}))


def write_again(root: Path, name: str = "page") -> Page:
    return write_page({stage: root / stage for stage in STAGES}, root / name, "boots", root / "cache")


def read_facts(page: Path) -> dict[str, Any]:
    text = (page / "facts.js").read_text(encoding="ascii")
    found: dict[str, Any] = json.loads(text.removeprefix("explore.describe(").removesuffix(")\n"))
    return found


def test_rows_are_training_validation_and_generated_images(page: Path) -> None:
    kinds = [KINDS[kind] for kind in read_column(page / "columns", "kind", "u8")]
    assert (
        kinds == ["training"] * 4 + ["validation"] * 4 + ["accepted"] * 2 + ["rejected", "accepted"] + ["rejected"] * 4
    )
    assert list(read_column(page / "columns", "label", "u16")) == [0, 0, 1, 1] * 2 + [0] * 4 + [1] * 4
    assert read_column(page / "columns", "image_id", "text")[8:] == [f"g{row}" for row in range(8)]
    reasons = list(read_column(page / "columns", "reasons", "u16"))
    assert reasons[:10] == [0] * 10
    assert reasons[10] == REASON_BITS["near_copy_of_train"] and reasons[12] == REASON_BITS["wrong_label"]


def test_neighbours_point_to_the_rows_of_their_images(page: Path) -> None:
    training = list(read_column(page / "columns", "nearest_training", "i32"))
    assert training[8:12] == [3, 0, 0, 1]
    assert training[4:8] == [0, 1, 2, 3]  # of the validation images, as their scores name them
    assert all(0 <= row < 4 and row != own for own, row in enumerate(training[:4]))
    generated = list(read_column(page / "columns", "nearest_generated", "i32"))
    assert generated == [MISSING] * 9 + list(range(8, 15))


def test_no_test_image_and_no_distance_to_one_is_in_the_page(page: Path) -> None:
    held_out = list(read_column(page / "columns", "nearest_validation", "i32"))
    assert held_out[14:] == [6, MISSING]  # copies of a validation and of a test image
    assert "held_out_distance" not in [score["name"] for score in read_facts(page)["scores"]]  # it was not measured
    assert not [path for path in page.rglob("*.js") if '"t0"' in path.read_text(encoding="utf-8")]


def test_distances_to_test_images_are_left_out(folders: dict[str, Path]) -> None:
    results = read_results(folders["accepted_images"], folders["expansion_plan"])
    near = pl.Series([0.5] * 8, dtype=pl.Float32)
    results = replace(results, index=results.index.with_columns(held_out_distance=near))
    distances = collect_rows(results, folders, None).frame["held_out_distance"].to_list()
    assert distances == [None] * 14 + [0.5, None]


def test_a_variant_points_to_its_parent(folders: dict[str, Path]) -> None:
    results = read_results(folders["accepted_images"], folders["expansion_plan"])
    parents = pl.Series([f"r{row % 4}" for row in range(8)])
    found = collect_rows(replace(results, index=results.index.with_columns(parent_id=parents)), folders, None).frame
    assert found["parent"].to_list() == [None] * 8 + [0, 1, 2, 3] * 2


def test_pictures_are_those_of_the_rows(page: Path, folders: dict[str, Path]) -> None:
    with Image.open(page / "sheets" / "0.png") as sheet:
        pixels = np.asarray(sheet)
    sources = [read_split(folders["real_images"], split).images for split in ("train", "validation")]
    across = read_facts(page)["sheet"]["across"]
    for row, image in enumerate(np.concatenate(sources)):
        y, x = row // across * 8, row % across * 8
        np.testing.assert_array_equal(pixels[y : y + 8, x : x + 8], image)


def test_facts_hold_odd_class_names_and_the_thresholds(page: Path) -> None:
    facts = read_facts(page)
    assert facts["classes"] == list(CLASSES)
    assert [kind["count"] for kind in facts["kinds"]] == [4, 4, 3, 5, 0]
    assert {reason["title"]: reason["count"] for reason in facts["reasons"]} == {
        "wrong label": 1,
        "near copy of train": 1,
        "copy of held out": 2,
        "near repeat": 1,
    }
    (rule,) = [rule for rule in facts["rules"] if rule["score"] == "train_distance"]
    assert (rule["side"], rule["thresholds"]) == ("below", [0.4, 0.4])
    for score in facts["scores"]:
        known = np.isfinite(read_column(page / "columns", score["name"], "f32"))
        assert sum(score["accepted"]) + sum(score["others"]) == known.sum()


def test_a_page_of_the_same_data_is_left_as_it_is(copied: Path) -> None:
    chunk = copied / "page" / "columns" / "kind-0.js"
    chunk.write_text("touched")
    assert write_again(copied).reused
    assert chunk.read_text() == "touched"
    index = copied / "accepted_images" / INDEX
    pl.read_parquet(index).with_columns(keep=pl.lit(False)).write_parquet(index)
    describe(copied / "accepted_images", "g")
    assert not write_again(copied).reused
    assert (copied / "page" / START).exists() and chunk.read_text() != "touched"


def test_the_page_of_another_growset_is_written_again(copied: Path) -> None:
    built = json.loads((copied / "page" / BUILT_FROM).read_text())
    built["identity"]["page"] = "0" * 64
    (copied / "page" / BUILT_FROM).write_text(json.dumps(built))
    assert not write_again(copied).reused
    assert write_again(copied).reused


def test_a_folder_with_other_files_is_refused_and_kept(copied: Path) -> None:
    (copied / "page" / "mine.txt").write_text("mine")
    (copied / "other").mkdir()
    (copied / "other" / "mine.txt").write_text("mine")
    for name in ("page", "other", "other/mine.txt"):
        with pytest.raises(UserError, match="name a new or an empty folder"):
            write_again(copied, name)
    assert (copied / "page" / "mine.txt").exists() and (copied / "other" / "mine.txt").read_text() == "mine"


def test_an_index_that_does_not_fit_the_files_is_damage(copied: Path) -> None:
    results = read_results(copied / "accepted_images", copied / "expansion_plan")
    shutil.copyfile(
        find_shards(copied / "real_images", "train")[0], find_shards(copied / "generated_images", "generated")[0]
    )
    with pytest.raises(DamagedData, match="does not list the generated images"):
        collect_rows(results, {stage: copied / stage for stage in STAGES}, None)


def test_siblings_are_computed_once(copied: Path) -> None:
    (cached,) = (copied / "cache").iterdir()
    pl.read_parquet(cached).with_columns(nearest=pl.lit(3)).write_parquet(cached)
    again = write_again(copied, "again").path.parent
    assert list(read_column(again / "columns", "nearest_training", "i32"))[:4] == [3] * 4
