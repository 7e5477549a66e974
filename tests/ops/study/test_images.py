"""Images that are put aside: even, disjoint by picture, the same each time; sizes that no image can fill."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.errors import UserError
from ops.recipe.data import DataSettings
from ops.sources.reading import read_training
from ops.sources.spec import load_source_spec
from ops.study.images import check_sizes, open_workspace, put_aside
from ops.study.pool import SOURCE
from ops.study.sections import Images
from ops.workspaces.workspace import Workspace

NAMES = ("zero", "one", "two")
SIZES = {"test": 3, "val": 2}


@given(st.integers(0, 50), st.lists(st.integers(0, 40), min_size=60, max_size=120), st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_splits_are_even_and_disjoint_by_picture(seed: int, pictures: list[int], others: int) -> None:
    labels = np.array([picture % 3 for picture in pictures])
    ids = np.array([f"id{picture}" for picture in pictures])
    if min(len(set(ids[labels == label])) for label in range(3)) <= 5:
        with pytest.raises(UserError, match="different images, and 5 of each class are put aside"):
            put_aside(labels, ids, NAMES, SIZES, seed)
        return
    rows = put_aside(labels, ids, NAMES, SIZES, seed)
    for split, size in SIZES.items():
        assert np.bincount(labels[rows[split]]).tolist() == [size] * 3
    used = np.concatenate(list(rows.values()))
    assert sorted(ids[used]) == sorted(set(ids)), "each picture is used once"
    again = put_aside(labels, ids, NAMES, SIZES, seed)
    assert all(np.array_equal(rows[split], again[split]) for split in rows)


def test_the_draw_depends_on_the_seed_and_a_class_on_no_other() -> None:
    labels = np.repeat([0, 1, 2], 20)
    ids = np.array([f"id{row}" for row in range(60)])
    first, second = (put_aside(labels, ids, NAMES, SIZES, seed)["test"] for seed in (0, 1))
    assert first.tolist() != second.tolist()
    fewer = put_aside(labels[:50], ids[:50], NAMES, SIZES, 0)["test"]
    assert fewer[:6].tolist() == first[:6].tolist()


def test_a_class_with_too_few_images_is_named() -> None:
    labels = np.repeat([0, 1, 2], [20, 5, 20])
    ids = np.array([f"id{row}" for row in range(45)])
    with pytest.raises(UserError, match="^class one has 5 different images, and 5 of each class are put aside"):
        put_aside(labels, ids, NAMES, SIZES, 0)


def test_the_workspace_holds_training_images_alone_and_is_made_once(main: Workspace) -> None:
    images = Images(source="digits", evaluation=8, validation=6)
    own = open_workspace(main.root / "area", main, images, "here")
    source = read_training(load_source_spec(main.source_path("digits")))
    known = {name.partition("-")[0] for name in source.rows["image_id"]}
    from ops.sources.reading import read_source

    splits = read_source(load_source_spec(own.source_path(SOURCE))).splits
    assert {name.partition("-")[0] for split in splits.values() for name in split.rows["image_id"]} == known
    assert np.bincount(splits["test"].labels).tolist() == [8, 8]
    assert np.bincount(splits["validation"].labels).tolist() == [6, 6]
    assert splits["train"].class_names == source.class_names
    made = (own.root / "images.npz").stat().st_mtime_ns
    again = open_workspace(main.root / "area", main, images, "here")
    assert (again.root / "images.npz").stat().st_mtime_ns == made
    (own.root / "recipes" / "made.yaml").write_text("")
    assert open_workspace(main.root / "area", main, images, "here").expansions == ["made"], (
        "its outputs are found again"
    )
    other = open_workspace(main.root / "area", main, images.model_copy(update={"seed": 1}), "here")
    assert other.root != own.root


def test_a_source_given_in_place_starts_at_the_workspace(main: Workspace) -> None:
    keys = {"kind": "npz", "path": "digits.npz", "licence": "BSD-3-Clause", "class_names": ["zero", "one"]}
    given_here = open_workspace(main.root / "area", main, Images(source=keys, evaluation=8, validation=6), "here")
    named = open_workspace(main.root / "area", main, Images(source="digits", evaluation=8, validation=6), "here")
    assert given_here.root == named.root, "the same images, however they are described"


def test_images_that_the_source_draws_for_its_test_split_stay_out(main: Workspace) -> None:
    path = main.source_path("digits")
    with np.load(main.root / "digits.npz") as arrays:
        parts = {name: arrays[name] for name in ("train_images", "train_labels")}
    np.savez(main.root / "alone.npz", **parts)
    text = path.read_text().replace("digits.npz", "alone.npz")
    path.write_text(text[:-1] + ', "split": {"validation": 0.2, "test": 0.2}}')
    from ops.sources.reading import read_source

    theirs = read_source(load_source_spec(path)).splits["test"].rows["image_id"].to_list()
    own = open_workspace(main.root / "area", main, Images(source="digits", evaluation=4, validation=4), "here")
    used = read_source(load_source_spec(own.source_path(SOURCE))).splits
    assert not set(theirs) & {name for split in used.values() for name in split.rows["image_id"]}


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("digit", "here: there is no source 'digit'; did you mean 'digits'"),
        ({"kind": "npz", "path": "gone.npz", "licence": "MIT"}, "gone.npz does not exist"),
        ({"kind": "npz", "path": "x", "license": "MIT"}, "unknown key 'license' in here, images.source; did you mean"),
    ],
)
def test_a_wrong_source_is_one_sentence(main: Workspace, source: object, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        open_workspace(main.root / "area", main, Images.model_validate({"source": source}), "here")
    assert sentence in str(caught.value)
    assert "here" in str(caught.value)


def test_a_source_with_groups_is_refused(main: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from ops.sources.layouts import LAYOUTS

    listed = LAYOUTS["npz"].list_splits(load_source_spec(main.source_path("digits")))
    grouped = {split: replace(each, groups=np.zeros(len(each.labels), str)) for split, each in listed.items()}
    monkeypatch.setitem(LAYOUTS, "npz", replace(LAYOUTS["npz"], list_splits=lambda spec: grouped))
    with pytest.raises(UserError, match="^here: the source has groups"):
        open_workspace(main.root / "area", main, Images(source="digits", evaluation=8, validation=6), "here")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"images_per_class": 400}, r"is to have 400 training images, and \d+ are not put aside"),
        ({"long_tail": {"head": 300, "ratio": 2}}, "class zero is to have 300 training images"),
        ({"long_tail": {"head": 10, "ratio": 20}}, "the smallest class would be empty"),
        ({"images_per_class": 8, "long_tail": {"head": 9, "ratio": 2}}, "is to have 9 training images, and 8 are not"),
        ({"classes": ["zero", "uno"]}, "data.classes names 'uno'"),
    ],
)
def test_sizes_that_no_image_can_fill_are_refused(main: Workspace, data: dict[str, object], sentence: str) -> None:
    own = open_workspace(main.root / "area", main, Images(source="digits", evaluation=8, validation=6), "here")
    with pytest.raises(UserError, match=sentence):
        check_sizes(own, DataSettings.model_validate(data), 0, "here")


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"images_per_class": 12},
        {"long_tail": {"head": 12, "ratio": 4}},
        {"classes": ["one", "zero"], "long_tail": {"head": 12, "ratio": 2, "order": "random"}},
        {"long_tail": {"head": 300, "ratio": 2}, "nuisance": "rotation"},
    ],
)
def test_sizes_that_can_be_filled_pass(main: Workspace, data: dict[str, object]) -> None:
    own = open_workspace(main.root / "area", main, Images(source="digits", evaluation=8, validation=6), "here")
    check_sizes(own, DataSettings.model_validate(data), 3, "here")
