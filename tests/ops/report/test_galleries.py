"""Galleries: which images are shown side by side, a fair and repeatable choice, small pages, and no test image."""

from __future__ import annotations

import base64
import io
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from ops.datasets.pixels import read_images
from ops.datasets.shards import find_shards
from ops.errors import DamagedData
from ops.filters.reasons import REASONS
from ops.filters.results import read_results
from ops.pictures.sheets import GAP
from ops.pictures.strips import find_places, read_places, shrink
from ops.report.filtering import collect_filters
from ops.report.galleries import _name_scores, choose_rejected, collect_galleries, collect_nearest, write_rejected_sheet
from ops.report.page import render_page
from tests.filtering import CLASSES, FILTERED, fill_filters, make_held_out, make_index, make_results, make_rule
from tests.reports import make_facts


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    found = {stage: tmp_path / stage for stage in FILTERED}
    fill_filters(found, np.random.default_rng(0))
    return found


def decode(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB"))


def cut(picture: dict[str, object], side: int = 8) -> list[np.ndarray]:
    """The images of a strip of one line."""
    sheet = decode(str(picture["uri"]))
    return [sheet[:, start : start + side] for start in range(0, sheet.shape[1], side + GAP)]


def read(folder: Path, prefix: str, row: int) -> np.ndarray:
    return read_images(find_shards(folder, prefix), [row])[0]


def test_rejected_images_are_beside_resembled_and_accepted_ones(folders: dict[str, Path]) -> None:
    results = read_results(folders["accepted_images"], folders["expansion_plan"])
    galleries = {row["reason"]: row for row in collect_galleries(results, folders)}
    assert list(galleries) == ["wrong_label", "near_copy_of_train", "copy_of_held_out", "near_repeat"]
    near = galleries["near_copy_of_train"]
    assert (near["count"], near["score"], near["shows_resembled"]) == (1, "train distance", True)
    (item,) = near["items"]
    assert item["alt"] == "rejected Boot, the training image that it resembles, an accepted one of its class"
    assert (item["score"], item["name"]) == (pytest.approx(0.1), "Boot")
    for shown, (stage, split, row) in zip(
        cut(item["picture"]),
        [("generated_images", "generated", 2), ("real_images", "train", 0), ("generated_images", "generated", 0)],
        strict=True,
    ):
        np.testing.assert_array_equal(shown, read(folders[stage], split, row))
    (wrong,) = galleries["wrong_label"]["items"]
    assert wrong["taken_for"] == "Boot" and wrong["alt"] == f"rejected {CLASSES[1]}", (
        "nothing of its class was accepted"
    )
    (repeat,) = galleries["near_repeat"]["items"]
    np.testing.assert_array_equal(cut(repeat["picture"])[1], read(folders["generated_images"], "generated", 4))


def test_of_held_out_images_only_validation_images_are_shown(folders: dict[str, Path]) -> None:
    results = read_results(folders["accepted_images"], folders["expansion_plan"])
    galleries = {row["reason"]: row for row in collect_galleries(results, folders)}
    of_validation, of_test = galleries["copy_of_held_out"]["items"]
    assert len(cut(of_validation["picture"])) == 2 and len(cut(of_test["picture"])) == 1
    assert "validation" in of_validation["alt"] and of_test["alt"] == f"rejected {CLASSES[1]}"


def test_the_score_shown_is_that_of_the_broken_rule() -> None:
    rules = [make_rule("atypical", -1.0, 2), make_rule("atypical", -1.0, 2, score="naturalness")]
    index = make_index([["atypical"]] * 3, [0, 0, 1]).with_columns(
        typicality=pl.Series([-3.0, -0.5, -2.0]), naturalness=pl.Series([-0.1, -4.0, -4.0])
    )
    results = make_results(index, make_held_out([0, 1]), ["a", "b"], [1, 1], rules=rules, stopped=["quota"] * 2)
    assert _name_scores(results, REASONS["atypical"], index) == ["typicality", "naturalness", "typicality"]
    assert _name_scores(results, REASONS["repeat"], index) == ["generated_distance"] * 3


def test_the_nearest_images_are_beside_their_training_images(folders: dict[str, Path]) -> None:
    results = read_results(folders["accepted_images"], folders["expansion_plan"])
    nearest = collect_nearest(results, folders)
    assert [(round(pair["distance"], 3), pair["train_name"]) for pair in nearest["generated"]] == [
        (0.6, CLASSES[0]), (0.7, CLASSES[0]), (0.9, CLASSES[1]),
    ]  # fmt: skip
    distances = [pair["distance"] for pair in nearest["held_out"]]
    assert len(distances) == 4 and distances == sorted(distances)
    first = results.held_out.sort("train_distance")["image_id"][0]
    np.testing.assert_array_equal(
        cut(nearest["held_out"][0]["picture"])[0], read(folders["real_images"], "validation", int(first[1:]))
    )


def test_the_choice_spreads_over_classes_and_repeats() -> None:
    index = make_index([["blank"]] * 60 + [["blank", "repeat"]] * 3 + [["repeat"]] * 2, [0] * 60 + [1, 2, 2] + [1] * 2)
    chosen = choose_rejected(index, "blank", 8)
    assert Counter(chosen["label"]) == {0: 5, 1: 1, 2: 2}
    assert chosen["image_id"].to_list() == choose_rejected(index, "blank", 8)["image_id"].to_list()
    assert chosen["image_id"].to_list() != choose_rejected(index, "blank", 8, seed=1)["image_id"].to_list()
    assert len(choose_rejected(index, "repeat", 8)) == 2, "the first reason counts"
    assert choose_rejected(index, "unsafe", 8).is_empty()


def test_many_reasons_with_large_images_keep_the_page_small(tmp_path: Path) -> None:
    found = {stage: tmp_path / stage for stage in FILTERED}
    fill_filters(found, np.random.default_rng(0), side=64)  # noise, the worst that PNG can be given
    filters = collect_filters(found)
    assert len(render_page(make_facts() | {"filters": filters})) < 400_000
    assert all(cut(item["picture"], 32) for row in filters["galleries"] for item in row["items"])


def test_the_sheet_has_a_named_row_per_reason_and_repeats(folders: dict[str, Path], tmp_path: Path) -> None:
    results = read_results(folders["accepted_images"], folders["expansion_plan"])
    first, second = tmp_path / "rejected_sheet.png", tmp_path / "again.png"
    for path in (first, second):
        write_rejected_sheet(path, results.index, folders["generated_images"])
    assert first.read_bytes() == second.read_bytes()
    sheet = np.asarray(Image.open(first))
    assert sheet.shape[0] == 2 * (4 * (8 + GAP) - GAP)
    margin = sheet.shape[1] - 2 * (2 * (8 + GAP) - GAP)
    assert 60 < margin < 200 and (sheet[:, : margin - 4] == 0).any(axis=2).sum() > 100, "words"
    wrong = read(folders["generated_images"], "generated", 4).repeat(2, 0).repeat(2, 1)
    np.testing.assert_array_equal(sheet[:16, margin : margin + 16], wrong)


def test_without_rejected_images_there_is_neither_gallery_nor_sheet(folders: dict[str, Path], tmp_path: Path) -> None:
    results = read_results(folders["accepted_images"], folders["expansion_plan"])
    write_rejected_sheet(tmp_path / "none.png", results.index.filter("keep"), folders["generated_images"])
    assert not (tmp_path / "none.png").exists()


def test_places_are_read_in_order_and_missing_ones_are_errors(folders: dict[str, Path]) -> None:
    results = read_results(folders["accepted_images"], folders["expansion_plan"])
    places = find_places(pl.Series(["g5", "g0", "g5"]), results.index.select("image_id", "shard", "row"))
    images = read_places(folders["generated_images"], places)
    np.testing.assert_array_equal(images[0], images[2])
    np.testing.assert_array_equal(images[1], read(folders["generated_images"], "generated", 0))
    assert read_places(folders["generated_images"], places.head(0)).shape[0] == 0
    with pytest.raises(DamagedData, match="names g99, which is not there"):
        find_places(pl.Series(["g99"]), results.index.select("image_id", "shard", "row"))


def test_shrinking_takes_means_of_areas() -> None:
    image = np.arange(64, dtype=np.uint8).reshape(1, 8, 8, 1)
    np.testing.assert_array_equal(shrink(image, 4)[0, 0, :, 0], [4, 6, 8, 10])  # 4.5 rounds to even
    assert shrink(image, 8) is not image and (shrink(image, 8) == image).all()
