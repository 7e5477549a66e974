"""What `growset init` and `growset inspect` say is not read, and which names they warn of."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ops.sources.observations import observe
from ops.sources.sketch import recognise_source
from tests.workspaces import growset

ANIMALS = tuple(f"{kind}/{number}.png" for kind in ("cats", "dogs") for number in range(4))


def write(root: Path, *names: str) -> Path:
    """Images of these names; an empty file for a name of another format."""
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".png"):
            Image.new("L", (8, 8), number).save(root / name)
        else:
            (root / name).touch()
    return root


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (ANIMALS, []),
        ((*ANIMALS, "cats/Thumbs.db", "cats/.a.swp", "notes.txt"), []),
        ((*ANIMALS, "cats/a.HEIC", "dogs/b.heic", "dogs/c"), ["not read: 2 .heic, 1 without a suffix in"]),
        (
            (*(f"{split}/{name}" for split in ("train", "test") for name in ANIMALS), "holdout/a.png", "docs/b.txt"),
            ["not read: the folders beside those of the splits: holdout (1 image)"],
        ),
        ((*ANIMALS, "old.zip", "more.tar.gz"), ["not read: more.tar.gz, old.zip beside the folders"]),
        (("my-train/0.png", "my-test/1.png"), ["warning: my-test, my-train are read as classes, although"]),
        (("bullet train/0.png", "tram/1.png"), []),
        (("images/0.png", "masks/1.png"), ["warning: masks is read as a class, but masks and annotations"]),
        (("a/x (1).png", "a/x (1)_mask.png", "a/x (1)_mask_1.png", "b/y.png", "b/the_mask.png"), [
            "warning: 2 images, such as x (1)_mask.png, lie beside an image of that name and count as images",
        ]),
    ],
)  # fmt: skip
def test_folders(tmp_path: Path, names: tuple[str, ...], told: list[str]) -> None:
    found = observe(recognise_source(write(tmp_path, *names), "animals", "CC0"))
    assert len(found) == len(told) and all(map(str.startswith, found, told)), found


def test_tables(tmp_path: Path) -> None:
    write(tmp_path, *(f"images/{number}.png" for number in range(9)))
    rows = [f"images/{number}.png,{'ab'[number % 2]},{number % 4 // 3}\n" for number in range(8)]
    for name in ("train.csv", "test.csv", "sizes.csv"):
        (tmp_path / name).write_text("file,label,is_test\n" + "".join(rows))
    assert observe(recognise_source(tmp_path / "train.csv", "letters", "CC0")) == [
        "the column is_test gives the splits",
        "not used: 1 image that train.csv does not name",
        "not read: test.csv; to read the tables as splits, set `table: '{split}.csv'`",
    ]


def test_arrays_and_images_beside_an_archive(tmp_path: Path) -> None:
    images, labels = np.zeros((4, 8, 8), np.uint8), np.arange(4) % 2
    np.savez(tmp_path / "all.npz", x_train=images, y_train=labels, x_holdout=images, y_holdout=labels)
    assert observe(recognise_source(tmp_path / "all.npz", "a", "CC0")) == ["not read: the arrays x_holdout, y_holdout"]
    np.savez(tmp_path / "all.npz", x=images, y=labels)
    write(tmp_path, *ANIMALS)
    assert observe(recognise_source(tmp_path, "a", "CC0")) == ["not read: 8 images beside the archives"]


@pytest.mark.parametrize("name", ["features.npz", "train.zip", "backup.tar"])
def test_an_archive_of_something_else_does_not_hide_folders(tmp_path: Path, name: str) -> None:
    write(tmp_path, *(f"train/{animal}" for animal in ANIMALS), *(f"test/{animal}" for animal in ANIMALS))
    if name.endswith(".npz"):
        np.savez(tmp_path / name, features=np.zeros((4, 64)))
    elif name.endswith(".zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as packed:
            packed.write(tmp_path / "train/cats/0.png", "train/cats/0.png")
    else:
        with tarfile.open(tmp_path / name, "w") as stored:
            stored.add(tmp_path / "train", "train")
    spec = recognise_source(tmp_path, "animals", "CC0")
    assert (spec.kind, observe(spec)) == ("folder", [f"not read: {name} beside the folders"])


def test_init_and_inspect_print_them(tmp_path: Path) -> None:
    write(tmp_path / "animals", *ANIMALS, "cats/a.heic", "masks/b.png")
    made = growset(tmp_path, "init", str(tmp_path / "work"), "--source", str(tmp_path / "animals"))
    looked = growset(tmp_path / "work", "inspect", "animals")
    for result in (made, looked):
        assert result.exit_code == 0, result.output
        assert "not read: 1 .heic in the class folders" in result.output
        assert "warning: masks is read as a class" in result.output
