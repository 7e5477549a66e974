"""Tables as people have them: found by their columns, under any name, spelling and separator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ops.errors import DamagedData, UserError
from ops.sources.layouts import LAYOUTS
from ops.sources.layouts.metadata import count_repeats
from ops.sources.reading import hash_source, read_source
from ops.sources.sketch import count_loose_images, sketch_source
from ops.sources.spec import SourceSpec
from ops.sources.tables import find_tables

LABELS = ("oak", "ash")


def make_images(folder: Path, *, below: str = "", suffix: str = ".png", count: int = 20) -> list[tuple[str, str]]:
    """Images `000.png` and on; the image of row i is uniformly i, so that a wrong row shows. Returns name and label."""
    (folder / below).mkdir(parents=True, exist_ok=True)
    rows = []
    for i in range(count):
        Image.fromarray(np.full((8, 8), i, np.uint8)).save(folder / below / f"{i:03}{suffix}")
        rows.append((f"{i:03}", LABELS[i % 2]))
    return rows


def write_table(path: Path, header: str, rows: list[tuple[str, ...]], separator: str = ",") -> None:
    path.write_text("\n".join([header, *(separator.join(row) for row in rows)]) + "\n")


def read_back(spec: SourceSpec) -> dict[int, str]:
    """The label of each grey level, over all splits."""
    splits = read_source(spec).splits.values()
    return {
        int(image[0, 0, 0]): dataset.class_names[label]
        for dataset in splits
        for image, label in zip(dataset.images, dataset.labels, strict=True)
    }


@pytest.mark.parametrize(
    ("name", "header", "separator"),
    [
        ("labels.csv", "file_name,label", ","),
        ("labels.csv", "Filename,Class", ","),
        ("annotations.csv", "image_path;category", ";"),
        ("train.tsv", "img\tspecies", "\t"),
        ("truth.csv", "Image ID,diagnosis", ","),
        ("table.csv", "file,what it is", ","),
        ("LABELS.CSV", "file,label", ","),
        ("table.csv", "image path;species (latin, common)", ";"),
        ("table.csv", 'file,"label; or class"', ","),
    ],
)
def test_a_table_is_found_by_its_columns(tmp_path: Path, name: str, header: str, separator: str) -> None:
    rows = make_images(tmp_path)
    write_table(tmp_path / name, header, [(f"{file}.png", label) for file, label in rows], separator)
    for source in (tmp_path, tmp_path / name):
        spec = sketch_source(source, "leaves", "CC0").spec
        assert (spec.kind, spec.root, spec.table) == ("metadata", tmp_path, name)
        assert read_back(spec) == {i: label for i, (_, label) in enumerate(rows)}


@pytest.mark.parametrize(("below", "ending"), [("images", ".png"), ("images", ""), ("", ""), ("a/b", "")])
def test_a_bare_name_is_found_below_with_or_without_its_suffix(tmp_path: Path, below: str, ending: str) -> None:
    rows = make_images(tmp_path, below=below)
    write_table(tmp_path / "train.csv", "id,label", [(f"{file}{ending}", label) for file, label in rows])
    spec = sketch_source(tmp_path, "leaves", "CC0").spec
    assert (spec.file_name, spec.label) == ("id", "label")
    assert read_back(spec) == {i: label for i, (_, label) in enumerate(rows)}, "001 is a name, not the number 1"


def test_a_name_of_the_class_is_preferred_to_its_number_unless_the_layout_says_label(tmp_path: Path) -> None:
    rows = [(f"{file}.png", str(LABELS.index(label)), label) for file, label in make_images(tmp_path)]
    write_table(tmp_path / "labels.csv", "image,label,class_name", rows)
    assert find_tables(tmp_path)[0].label == "class_name"
    write_table(tmp_path / "labels.csv", "file_name,label,class_name", rows)
    assert find_tables(tmp_path)[0].label == "label"


@pytest.mark.parametrize(
    ("header", "row", "label", "others"),
    [
        ("file,target,diagnosis", lambda i: (str(21 + 3 * i), LABELS[i % 2]), "diagnosis", ("target",)),  # ages
        ("file,target,diagnosis", lambda i: (str(i % 2), LABELS[i % 2]), "target", ("diagnosis",)),
        ("file,label,tag", lambda i: (str(3 + i % 2), f"free text {i}"), "label", ("tag",)),
        ("file,x,y,class", lambda i: (str(i), str(i % 5), LABELS[i % 2]), "class", ()),
        ("file,x,y", lambda i: (str(i), str(i % 5)), None, ()),
    ],
)
def test_measured_numbers_and_places_are_no_classes(
    tmp_path: Path, header: str, row: Callable[[int], tuple[str, ...]], label: str | None, others: tuple[str, ...]
) -> None:
    rows = [(f"{file}.png", *row(i)) for i, (file, _) in enumerate(make_images(tmp_path))]
    write_table(tmp_path / "table.csv", header, rows)
    assert [(table.label, table.others) for table in find_tables(tmp_path)] == ([(label, others)] if label else [])


def test_an_image_in_several_rows_is_counted(tmp_path: Path) -> None:
    rows = [(f"{file}.png", label) for file, label in make_images(tmp_path)]
    write_table(tmp_path / "boxes.csv", "file,class", [*rows, *rows[:3]])
    assert count_repeats(sketch_source(tmp_path, "leaves", "CC0").spec) == 3


def test_two_images_of_one_name_are_refused_and_a_path_is_never_replaced_by_another(tmp_path: Path) -> None:
    rows = make_images(tmp_path, below="a")
    make_images(tmp_path, below="b", count=1)
    write_table(tmp_path / "labels.csv", "file,label", rows)
    with pytest.raises(UserError, match=r"'000' may be .*a/000\.png or .*b/000\.png; write the path"):
        sketch_source(tmp_path, "leaves", "CC0")
    write_table(tmp_path / "labels.csv", "file,label", [(f"a/{file}.png", label) for file, label in rows])
    (tmp_path / "a" / "000.png").unlink()
    keys = {"name": "leaves", "kind": "metadata", "path": str(tmp_path), "licence": "CC0"}
    columns = {"table": "labels.csv", "file_name": "file", "split": {"validation": 0.2, "test": 0.2}}
    spec = SourceSpec.model_validate({**keys, **columns})
    with pytest.raises(DamagedData, match=r"a/000\.png does not exist, but the metadata names it"):
        hash_source(spec)
    with pytest.raises(
        DamagedData, match=r"does not exist, but the metadata names it; add the file, or correct the ta"
    ):
        read_source(spec)


def test_several_tables_are_named_and_one_can_be_chosen(tmp_path: Path) -> None:
    rows = [(f"{file}.png", label) for file, label in make_images(tmp_path)]
    for name in ("first.csv", "second.csv"):
        write_table(tmp_path / name, "file,label", rows)
    with pytest.raises(UserError, match=r"first\.csv, second\.csv; name one: --source .*first\.csv"):
        sketch_source(tmp_path, "leaves", "CC0")
    assert sketch_source(tmp_path / "second.csv", "leaves", "CC0").spec.table == "second.csv"


def test_a_table_of_something_else_does_not_hide_class_folders(tmp_path: Path) -> None:
    for name in LABELS:
        make_images(tmp_path, below=name)
    write_table(tmp_path / "results.csv", "name,target", [("run-1", "0.5")])
    assert sketch_source(tmp_path, "leaves", "CC0").spec.kind == "folder"


@pytest.mark.parametrize(
    ("written", "names"),
    [
        (("ring", "ring ", "oval"), ("oval", "ring")),
        ((" ring", " oval", " ring"), (" oval", " ring")),  # as it was before labels were stripped
        (("01", "1", "2"), ("01", "1", "2")),
        (("01", "02", "03"), ("1", "2", "3")),  # no two become one
        (("1", "2", "3"), ("1", "2", "3")),
    ],
)
def test_labels_are_neither_split_by_spaces_nor_merged_by_zeros(
    tmp_path: Path, written: tuple[str, ...], names: tuple[str, ...]
) -> None:
    rows = [(f"{file}.png", written[i % 3]) for i, (file, _) in enumerate(make_images(tmp_path, count=30))]
    write_table(tmp_path / "labels.csv", "file_name,label", rows)
    spec = sketch_source(tmp_path, "rings", "CC0").spec
    listing = LAYOUTS[spec.kind].list_splits(spec)["train"]
    assert listing.class_names == names
    expected = [label if label in names else label.strip().removeprefix("0") for _, label in rows]
    assert [names[label] for label in listing.labels] == expected


@pytest.mark.parametrize("ending", ["\n\n", ",\n,\n", "\r\n"])
def test_rows_without_any_value_at_the_end_are_left_out(tmp_path: Path, ending: str) -> None:
    rows = make_images(tmp_path)
    write_table(tmp_path / "labels.csv", "file,label", [(f"{file}.png", label) for file, label in rows])
    with (tmp_path / "labels.csv").open("a", newline="") as stream:
        stream.write(ending)
    assert read_back(sketch_source(tmp_path, "leaves", "CC0").spec) == {i: LABELS[i % 2] for i in range(20)}
    with (tmp_path / "labels.csv").open("a", newline="") as stream:
        stream.write(",oak\n")
    with pytest.raises(DamagedData, match=r"labels\.csv, row 21 below the header: file is missing"):
        sketch_source(tmp_path, "leaves", "CC0")


@pytest.mark.parametrize(
    ("text", "encoding", "told"),
    [
        ("file,label\n000.png,Bär\n", "latin-1", "is not UTF-8 text; save it as UTF-8"),
        ("file,label\n000.png,Bär\n", "utf-16", "is not UTF-8 text; save it as UTF-8"),
        ("", "utf-8", "cannot be read: empty CSV"),
        ("file,label\n/photos/000.png,oak\n", "utf-8", "has absolute paths; write them relative to its folder"),
        ("file,label\n.\\000.png,oak\n", "utf-8", "names files that do not exist, such as .\\"),
        ("id,breed,age\n000,oak,1\n", "utf-8", "has a column id, but which of the others has the classes"),
        ("image,url,age\n000.png,/oak/1,2\n", "utf-8", "has a column image, but which of the others has the classes"),
        ("file|label\n000.png|oak\n", "utf-8", "has one column, file|label; commas, semicolons or tabs separate"),
        ("# by hand\nfile,label\n000.png,oak\n", "utf-8", "begins with a comment; its first line must name"),
        ("Datei;Klasse\n000.png;oak\n", "utf-8", "names no images: none of its columns Datei, Klasse is called file"),
        ("image,oak,ash\n000.png,1,0\n", "utf-8", "has a column image, but which of the others has the classes"),
    ],
)
@pytest.mark.parametrize("below", ["", "images"])
def test_a_table_that_names_no_images_is_told_why(
    tmp_path: Path, text: str, encoding: str, told: str, below: str
) -> None:
    make_images(tmp_path, below=below, count=3)
    text = text.replace("000.png", f"{below}/000.png") if below else text
    (tmp_path / "labels.csv").write_bytes(text.encode(encoding))
    for source in (tmp_path, tmp_path / "labels.csv"):
        with pytest.raises(UserError) as caught:
            sketch_source(source, "leaves", "CC0")
        assert f"labels.csv {told}" in str(caught.value).replace("images/000", "000")


@pytest.mark.parametrize("below", ["", "train"])
def test_a_flat_folder_is_told_what_it_lacks(tmp_path: Path, below: str) -> None:
    make_images(tmp_path, below=below, count=3)
    with pytest.raises(UserError) as caught:
        sketch_source(tmp_path, "leaves", "CC0")
    told = str(caught.value)
    assert f"{tmp_path / below} has 3 images side by side, and nothing says of which class each is; put" in told
    assert "a folder of its own, or add labels.csv with the columns file_name and label" in told
    write_table(tmp_path / below / "labels.csv", "colour,weight", [("red", "3")])
    with pytest.raises(
        UserError, match=r"is \(labels\.csv names no images: none of its columns colour, weight is called file_name"
    ):
        sketch_source(tmp_path, "leaves", "CC0")


def test_one_folder_of_images_is_told_the_same(tmp_path: Path) -> None:
    make_images(tmp_path, below="pictures", count=3)
    with pytest.raises(
        UserError, match=r"all images are of class pictures; at least two classes are needed; .* labels\.csv"
    ):
        sketch_source(tmp_path, "leaves", "CC0")
    with pytest.raises(UserError, match="is empty"):
        (tmp_path / "nothing").mkdir()
        sketch_source(tmp_path / "nothing", "leaves", "CC0")


def test_images_beside_class_folders_are_counted_and_a_class_without_images_is_named(tmp_path: Path) -> None:
    for name in LABELS:
        make_images(tmp_path, below=f"train/{name}")
    spec = sketch_source(tmp_path, "leaves", "CC0").spec
    assert count_loose_images(spec) == 0
    make_images(tmp_path, count=2)
    make_images(tmp_path / "train", count=1)
    assert count_loose_images(spec) == 3
    (tmp_path / "train" / "elm").mkdir()
    with pytest.raises(UserError, match=r"class elm has no images in train; every class needs some$"):
        sketch_source(tmp_path, "leaves", "CC0")


@pytest.mark.parametrize("names", [("X", "y"), ("x", "Y"), ("X_train", "y_train"), ("Images", "Labels")])
def test_an_npz_is_read_in_capitals_or_not(tmp_path: Path, names: tuple[str, str]) -> None:
    images = np.arange(20, dtype=np.uint8)[:, None, None] * np.ones((1, 8, 8), np.uint8)
    labels = np.array(LABELS * 10)
    np.savez(tmp_path / "leaves.npz", **{names[0]: images, names[1]: labels})
    spec = sketch_source(tmp_path / "leaves.npz", "leaves", "CC0").spec
    assert read_back(spec) == dict(enumerate(labels))


def test_an_npz_with_rows_of_features_is_told_what_is_expected(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", X=np.zeros((4, 64)), y=np.arange(4))
    with pytest.raises(UserError, match=r"X: the images are float64 \[4, 64\] \(rows of features are no images"):
        sketch_source(tmp_path / "a.npz", "a", "CC0")
    np.savez(tmp_path / "b.npz", X=np.zeros((4, 8, 8), np.uint8), x=np.zeros((4, 8, 8), np.uint8), y=np.arange(4))
    with pytest.raises(UserError, match="differ in more than capitals"):
        sketch_source(tmp_path / "b.npz", "b", "CC0")
