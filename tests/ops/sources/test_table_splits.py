"""Splits that a table gives in a column of any known name, or that several tables give by their names."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from ops.errors import UserError
from ops.scaffold.texts import render_description
from ops.sources.layouts import metadata
from ops.sources.sketch import sketch_source
from ops.sources.spec import load_source_spec
from ops.sources.table_splits import join_names

ROWS = [(f"images/{i:02}.png", "ab"[i % 2], "train" if i < 12 else "val" if i < 16 else "test") for i in range(20)]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "leaves" / "images").mkdir(parents=True)
    for i, (name, _, _) in enumerate(ROWS):
        Image.new("L", (8, 8), i).save(tmp_path / "leaves" / name)
    return tmp_path / "leaves"


def write(path: Path, header: str, rows: list[tuple[str, ...]]) -> None:
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n")


def count_read(images: Path, column: str | None) -> dict[str, int]:
    """Images of each split by the description that init writes."""
    spec = sketch_source(images, "leaves", "CC0").spec
    assert spec.split_column == column
    path = images.parent / "leaves.yaml"
    path.write_text(render_description(spec, str(images)))
    again = load_source_spec(path)
    assert again == spec
    return {split: len(found.labels) for split, found in metadata.list_splits(again).items()}


GIVEN = {"train": 12, "validation": 4, "test": 4}


@pytest.mark.parametrize("column", ["split", "Split", "SPLIT", "subset", "Set", "fold"])
def test_a_column_of_names_of_splits(images: Path, column: str) -> None:
    write(images / "labels.csv", f"filename,label,{column}", ROWS)
    assert count_read(images, column) == GIVEN


@pytest.mark.parametrize(
    ("column", "yes", "no", "given"),
    [
        ("is_test", "1", "0", {"train": 16, "test": 4}),
        ("isTest", "True", "False", {"train": 16, "test": 4}),
        ("is_train", "false", "true", {"train": 16, "test": 4}),
        ("is_valid", "yes", "no", {"train": 16, "validation": 4}),
    ],
)
def test_a_column_of_yes_and_no(images: Path, column: str, yes: str, no: str, given: dict[str, int]) -> None:
    rows = [(name, label, yes if split == "test" else no) for name, label, split in ROWS]
    write(images / "labels.csv", f"filename,label,{column}", rows)
    assert count_read(images, column) == given


@pytest.mark.parametrize(("column", "values"), [("fold", "012"), ("set", ("train", "train", "x")), ("subset", "ttt")])
def test_a_column_of_something_else_gives_no_splits(images: Path, column: str, values: tuple[str, ...]) -> None:
    write(images / "labels.csv", f"filename,label,{column}", [(*row[:2], values[i % 3]) for i, row in enumerate(ROWS)])
    assert count_read(images, "split") == {"train": 20}


def test_a_described_column_must_be_there_and_can_be_ignored(images: Path) -> None:
    write(images / "labels.csv", "filename,label,subset", ROWS)
    spec = sketch_source(images, "leaves", "CC0").spec
    with pytest.raises(UserError, match=r"has no column part; it has filename, label, subset"):
        metadata.list_splits(spec.model_copy(update={"split_column": "part"}))
    write(images / "labels.csv", "filename,label,split", [(*row[:2], "somewhere") for row in ROWS])
    keys = {"split_column": "split"}
    with pytest.raises(UserError, match=r"column split holds 'somewhere'; .* set `split_column: null`"):
        metadata.list_splits(spec.model_copy(update=keys))
    assert list(metadata.list_splits(spec.model_copy(update={"split_column": None}))) == ["train"]


@pytest.mark.parametrize("name", ["{}.csv", "labels_{}.csv", "{}_labels.csv", "{}-01.csv"])
def test_a_table_for_each_split(images: Path, name: str) -> None:
    for split in ("train", "val", "test"):
        write(images / name.format(split), "filename,label", [row[:2] for row in ROWS if row[2] == split])
    assert count_read(images, "split") == GIVEN
    assert sketch_source(images, "leaves", "CC0").spec.table == name.format("{split}")
    alone = sketch_source(images / name.format("train"), "leaves", "CC0").spec
    assert (alone.table, list(metadata.list_splits(alone))) == (name.format("train"), ["train"])
    write(images / name.format("valid"), "filename,label", [row[:2] for row in ROWS[:2]])
    with pytest.raises(UserError, match="has both .*val.*csv and .*valid.*csv; expected one"):
        metadata.list_splits(
            sketch_source(images / name.format("train"), "x", "CC0").spec.model_copy(
                update={"table": name.format("{split}")}
            )
        )


@pytest.mark.parametrize(
    "names",
    [
        ("train.csv",), ("a.csv", "b.csv"), ("train.csv", "labels.csv"), ("val.csv", "test.csv"),
        ("train.csv", "test_labels.csv"), ("val.csv", "valid.csv", "train.csv"), ("trains.csv", "tests.csv"),
    ],
)  # fmt: skip
def test_tables_of_no_common_name(names: tuple[str, ...]) -> None:
    assert join_names(names) is None
