"""Sources that can be read in two ways are refused at a first look, with a way to choose either."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from ops.errors import UserError
from ops.sources.sketch import sketch_source


def write(root: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), number).save(root / name)
    return root


ANIMALS = tuple(f"{kind}/{number}.png" for kind in ("cats", "dogs") for number in range(4))


def rate(root: Path, names: tuple[str, ...]) -> Path:
    lines = [f"{name},{('good', 'bad')[i % 2]}\n" for i, name in enumerate(names)]
    (root / "review.csv").write_text("filename,quality\n" + "".join(lines))
    return root / "review.csv"


def test_a_table_does_not_replace_class_folders_of_which_it_names_a_part(tmp_path: Path) -> None:
    table = rate(write(tmp_path, *ANIMALS), ANIMALS[:6])
    with pytest.raises(UserError) as caught:
        sketch_source(tmp_path, "animals", "CC0")
    told = str(caught.value)
    assert "folders of images (cats, dogs), and review.csv does not name 2 of these images" in told
    assert f"to use only those that it names, give --source {table}; to use the folders as classes, move" in told
    assert sketch_source(table, "animals", "CC0").class_names == ("bad", "good")
    rate(tmp_path, ANIMALS)
    assert sketch_source(tmp_path, "animals", "CC0").class_names == ("bad", "good")
    table.unlink()
    assert sketch_source(tmp_path, "animals", "CC0").class_names == ("cats", "dogs")


@pytest.mark.parametrize("more", ["masks/0.png", "images/9.png"])
def test_a_table_may_leave_out_images_where_folders_say_no_class(tmp_path: Path, more: str) -> None:
    names = tuple(f"images/{number}.png" for number in range(8))
    rate(write(tmp_path, *names, more), names)
    assert sketch_source(tmp_path, "animals", "CC0").class_names == ("bad", "good")


def test_a_class_that_is_called_train_does_not_hide_the_others(tmp_path: Path) -> None:
    names = [f"{kind}/seq{s}/{i}.png" for kind in ("bus", "car", "train") for s in range(2) for i in range(2)]
    with pytest.raises(UserError) as caught:
        sketch_source(write(tmp_path, *names), "vehicles", "CC0")
    told = str(caught.value)
    assert "has train, which is called like a split, beside folders with images that are no splits (bus, car)" in told
    assert (
        f"if train is a class, rename it; if the others do not belong to the dataset, give --source {tmp_path}" in told
    )
    assert sketch_source(tmp_path / "train", "vehicles", "CC0").class_names == ("seq0", "seq1")
    (tmp_path / "train").rename(tmp_path / "tram")
    assert sketch_source(tmp_path, "vehicles", "CC0").class_names == ("bus", "car", "tram")


@pytest.mark.parametrize(
    ("extra", "told"), [("test/0.png", "has 1 unlabelled image and no class folders"), ("test", "has no")]
)
def test_a_test_folder_without_labels_is_told_how_to_draw_one(tmp_path: Path, extra: str, told: str) -> None:
    root = write(tmp_path, *(f"train/{name}" for name in ANIMALS))
    if extra == "test":
        (root / extra).mkdir()
    else:
        write(root, extra)
    with pytest.raises(UserError, match=f"test {told}.*so test has no labels; .* give --source {root}/train$"):
        sketch_source(root, "animals", "CC0")
    assert sketch_source(root / "train", "animals", "CC0").class_names == ("cats", "dogs")
