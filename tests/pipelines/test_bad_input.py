"""Mistakes in a source: one sentence and one exit code in every front end, before anything is computed.

cli/test_main.py has mistakes in a recipe. Each fault is planted in a sound source and undone afterwards; the check
then passes, so the sentence was about that fault.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ops.chain.driver import Chain
from ops.datasets.pixels import read_rows, read_split
from ops.datasets.shards import find_shards
from ops.errors import GrowsetError
from ops.workspaces.workspace import Workspace
from tests.workspaces import ROOT, digit_splits, growset

SHARD = "train-00000-of-00001.parquet"


def refuse(root: Path, code: int) -> str:
    """The sentence that check, plan and run agree on, with this exit code; nothing has been computed.

    A plan's first lines come before the images are read.
    """
    sentences = set()
    for command in ("check", "plan", "run"):
        result = growset(root, command, "digits")
        assert result.exit_code == code, result.output
        assert command == "plan" or not result.stdout
        sentences.add(result.stderr)
    (sentence,) = sentences
    assert sentence.startswith("growset: ") and sentence.count("\n") == 1
    assert not (root / "data").exists()
    return sentence


def accept(root: Path) -> None:
    assert growset(root, "check", "digits").stdout == "digits: ok\n"


def refuse_in_dagster(root: Path) -> GrowsetError:
    """What the asset itself stops with when it is materialized without the command line's own check."""
    from pipelines.runs import materialize_assets

    with pytest.raises(GrowsetError) as caught:
        materialize_assets(Chain(Workspace(root)), "digits", ["real_images"])
    assert not (root / "data").exists()
    return caught.value


@pytest.fixture
def in_folders(fresh_workspace: Path) -> Path:
    """The workspace, its source as folders of PNG files of which all are used."""
    recipe = fresh_workspace / "recipes" / "digits.yaml"
    recipe.write_text(recipe.read_text().replace("images_per_class: 16", ""))
    shutil.rmtree(fresh_workspace / "images")
    for split, dataset in digit_splits().items():
        for i, (image, label) in enumerate(zip(dataset.images, dataset.labels, strict=True)):
            path = fresh_workspace / "images" / split / dataset.class_names[label] / f"{i:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[..., 0]).save(path)
    describe(fresh_workspace, "kind: folder")
    accept(fresh_workspace)
    return fresh_workspace


def describe(root: Path, *lines: str) -> None:
    (root / "sources" / "digits.yaml").write_text("\n".join([*lines, "path: ../images", "licence: BSD-3-Clause", ""]))


def some_image(root: Path, split: str, name: str, index: int = 5) -> Path:
    return sorted((root / "images" / split / name).iterdir())[index]


def rewrite_labels(path: Path, change: Callable[[list[int]], pa.Array]) -> None:
    """Other labels in a Parquet file that stays as it is otherwise, class names included."""
    table = pq.read_table(path)
    at = table.schema.get_field_index("label")
    metadata = table.schema.metadata
    table = table.set_column(at, "label", change(table.column("label").to_pylist()))
    pq.write_table(table.replace_schema_metadata(metadata), path)


def test_a_missing_split(in_folders: Path) -> None:
    test = in_folders / "images" / "test"
    test.rename(in_folders / "tset")
    sentence = refuse(in_folders, 2)
    assert "it has no test images; draw them from train with `split: {test: 0.2}` in its description" in sentence
    (in_folders / "tset").rename(test)
    accept(in_folders)


def test_an_empty_class(in_folders: Path) -> None:
    folder = in_folders / "images" / "train" / "one"
    folder.rename(in_folders / "one")
    folder.mkdir()
    assert refuse(in_folders, 2) == "growset: source digits: class one has no images in train\n"
    folder.rmdir()
    (in_folders / "one").rename(folder)
    accept(in_folders)


def test_one_class_only(in_folders: Path) -> None:
    for folder in list((in_folders / "images").glob("*/one")):
        shutil.rmtree(folder)
    assert refuse(in_folders, 2) == "growset: source digits: 1 classes are too few; at least 2 are needed\n"


def test_a_class_that_only_test_has(in_folders: Path) -> None:
    some = some_image(in_folders, "test", "one")
    strange = some.parents[1] / "two" / some.name
    strange.parent.mkdir()
    some.rename(strange)
    assert "class two of test is not a class of train" in refuse(in_folders, 2)


@pytest.mark.parametrize(("size", "mode", "said"), [((20, 16), "L", "16x20 grey"), ((16, 16), "RGB", "16x16 RGB")])
def test_mixed_sizes_or_modes_without_a_size(in_folders: Path, size: tuple[int, int], mode: str, said: str) -> None:
    odd, first = some_image(in_folders, "validation", "zero"), some_image(in_folders, "train", "one", 0)
    Image.open(odd).resize(size).convert(mode).save(odd)
    assert refuse(in_folders, 2) == (
        f"growset: source digits: {odd} is {said} while {first} is 16x16 grey;"
        " make them agree or give the source a size\n"
    )
    describe(in_folders, "kind: folder", "size: 12")
    accept(in_folders)


def save_sixteen_bit(image: Image.Image, path: Path) -> None:
    Image.fromarray(np.asarray(image).astype(np.uint16) * 257).save(path)


def save_turned(image: Image.Image, path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held so that the picture must be turned clockwise by 90 degrees
    image.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)


def test_other_ways_to_store_an_image_give_its_very_pixels(in_folders: Path) -> None:
    """16 bits, EXIF orientation and an opaque alpha channel; as these are grey, so is everything."""
    for index, save in enumerate((save_sixteen_bit, save_turned, lambda image, path: image.convert("LA").save(path))):
        path = some_image(in_folders, "train", "one", index)
        save(Image.open(path).copy(), path)
    result = growset(in_folders, "materialize", "real_images", "digits")
    assert result.exit_code == 0, result.output
    found = read_split(in_folders / "data" / "digits" / "real_images", "train")
    expected = digit_splits()["train"]
    assert sorted(found.rows["image_id"]) == sorted(expected.rows["image_id"])


def test_palettes_and_opaque_colour_with_alpha_give_rgb(in_folders: Path) -> None:
    for index, path in enumerate(sorted((in_folders / "images").rglob("*.png"))):
        colour = Image.merge("RGB", [Image.open(path), Image.new("L", (16, 16), index % 251), Image.open(path)])
        few = colour.quantize(200)  # exact: a digit has 17 grey levels
        {0: few, 1: colour.convert("RGBA"), 2: colour}[index % 3].save(path)
    result = growset(in_folders, "materialize", "real_images", "digits")
    assert result.exit_code == 0, result.output
    found = read_split(in_folders / "data" / "digits" / "real_images", "train")
    assert found.images.shape == (64, 16, 16, 3)
    np.testing.assert_array_equal(found.images[..., 0], found.images[..., 2])
    grey = {image.tobytes() for image in digit_splits()["train"].images[..., 0]}
    assert all(np.ascontiguousarray(image[..., 0]).tobytes() in grey for image in found.images)


def test_transparent_pixels(in_folders: Path) -> None:
    path = some_image(in_folders, "test", "zero")
    before = path.read_bytes()
    image = Image.open(path).convert("LA")
    image.putpixel((3, 3), (255, 0))
    image.save(path)
    assert refuse(in_folders, 2) == (
        f"growset: {path}: the image has transparent pixels; allowed: opaque ones, or a background: in the source's"
        " description\n"
    )
    path.write_bytes(before)
    accept(in_folders)


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_an_animation(in_folders: Path, suffix: str) -> None:
    path = some_image(in_folders, "train", "zero")
    first, second = Image.open(path).copy(), Image.open(some_image(in_folders, "train", "one")).copy()
    path.unlink()
    path = path.with_suffix(suffix)
    first.save(path, save_all=True, append_images=[second])
    assert refuse(in_folders, 2) == f"growset: {path}: the file is an animation; allowed: one image in a file\n"


def test_a_gif(in_folders: Path) -> None:
    path = some_image(in_folders, "train", "zero")
    Image.open(path).save(path.with_suffix(".gif"))
    sentence = refuse(in_folders, 2)
    fault = "has a format that is not supported; allowed: .png, .jpg, .jpeg, .webp"
    assert f"{path.with_suffix('.gif')} {fault}" in sentence


def test_a_file_that_was_cut_off(in_folders: Path) -> None:
    path = some_image(in_folders, "train", "zero")
    before = path.read_bytes()
    path.write_bytes(before[:90])
    assert f"{path}: not a readable image (the file is cut off)" in refuse(in_folders, 4)
    stopped = refuse_in_dagster(in_folders)
    assert (type(stopped).__name__, stopped.exit_code) == ("DamagedData", 4)
    path.write_bytes(before)
    accept(in_folders)


def test_a_corrupt_image_in_the_middle_of_a_shard(finished_workspace: Path) -> None:
    """In a workspace that has run: everything made from the sound images stays, and is current after the repair."""
    shard = finished_workspace / "images" / SHARD
    before = shard.read_bytes()
    table = pq.read_table(shard)
    used = read_rows(find_shards(finished_workspace / "data" / "digits" / "real_images", "train"))["image_id"]
    row = table.column("image_id").to_pylist().index(used[20])
    payload = table.column("image")[row].as_py()["bytes"]
    damaged = bytearray(before)
    damaged[before.index(payload) + 100] ^= 1
    shard.write_bytes(damaged)
    verdict = (finished_workspace / "data" / "digits" / "verdict" / "verdict.json").read_bytes()
    for command in ("check", "run"):
        result = growset(finished_workspace, command, "digits")
        assert (result.exit_code, result.output) == (
            4,
            f"growset: {shard}, row {row}: not a readable image (the checksum of chunk IDAT does not match);"
            " replace it, or set `skip_damaged: true` in the source's description\n",
        )
    assert (finished_workspace / "data" / "digits" / "verdict" / "verdict.json").read_bytes() == verdict
    shard.write_bytes(before)
    assert "digits: unchanged" in growset(finished_workspace, "run", "digits").output


def test_labels_that_are_no_integers(fresh_workspace: Path) -> None:
    shard = fresh_workspace / "images" / SHARD
    rewrite_labels(shard, lambda labels: pa.array([label + 0.5 for label in labels]))
    assert refuse(fresh_workspace, 2) == (
        f"growset: {shard}: label is of type double; allowed: whole numbers or texts\n"
    )


def test_labels_that_are_texts_in_one_split_only(fresh_workspace: Path) -> None:
    rewrite_labels(fresh_workspace / "images" / SHARD, lambda labels: pa.array([str(label) for label in labels]))
    assert "labels are texts in one split and numbers in another; make them agree" in refuse(fresh_workspace, 2)


def test_a_label_without_a_name(fresh_workspace: Path) -> None:
    shard = fresh_workspace / "images" / SHARD
    rewrite_labels(shard, lambda labels: pa.array([*labels[:7], 2, *labels[8:]]))
    assert refuse(fresh_workspace, 4) == f"growset: {shard}, row 7: label 2 is not in 0 to 1\n"


@pytest.mark.parametrize(("one", "other"), [("train", "test"), ("train", "validation"), ("validation", "test")])
def test_an_image_in_two_splits(in_folders: Path, one: str, other: str) -> None:
    there = some_image(in_folders, other, "zero")
    here = in_folders / "images" / one / "zero" / "000-copy.bmp"  # another format, the same pixels
    Image.open(there).save(here)
    sentence = refuse(in_folders, 2)
    assert sentence == (
        f"growset: source digits: 1 of 65 images of {one} are in {other} too, e.g. {here} and {there};"
        f" remove them from {one}, or set `skip_copies: true` in the description of the source\n"
    )
    stopped = refuse_in_dagster(in_folders)
    assert (f"growset: {stopped}\n", stopped.exit_code) == (sentence, 2)
    here.unlink()
    accept(in_folders)


def test_the_shipped_recipes_pass(tmp_path: Path) -> None:
    for name in ("recipes", "sources", "examples"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml")
    result = growset(tmp_path, "check")
    assert (result.exit_code, result.stdout) == (0, "smoke: ok\nfashion-flow: ok\n")
    assert result.stderr == (
        "smoke: no verdict can be reached with classifier.seeds 2: fewer than 5 seeds decide nothing\n"
    )


def test_a_picture_under_two_labels_stops_unless_it_is_allowed(in_folders: Path) -> None:
    there = some_image(in_folders, "train", "zero")
    here = in_folders / "images" / "train" / "one" / "000-copy.bmp"
    Image.open(there).save(here)
    refused = growset(in_folders, "check", "digits")
    assert refused.exit_code == 2
    for told in (f"{here} as one", f"{there} as zero", "growset inspect digits", "allow_conflicts: true"):
        assert told in refused.output
    described = in_folders / "sources" / "digits.yaml"
    described.write_text(described.read_text() + "allow_conflicts: true\n")
    allowed = growset(in_folders, "check", "digits")
    assert allowed.exit_code == 0
    warning, ok = allowed.output.splitlines()[:2]
    assert warning == (
        "warning: source digits: 1 picture of train has more than one label, e.g."
        f" {here} as one and {there} as zero; no classifier is right on both"
    )
    assert ok == "digits: ok"


def test_a_ratio_that_adds_no_image(in_folders: Path) -> None:
    path = in_folders / "recipes" / "digits.yaml"
    before = path.read_text()
    path.write_text(before.replace("ratio: 1.0,", "ratio: 0.001,"))
    assert refuse(in_folders, 2).startswith("growset: plan.ratio 0.001 adds no image to ")
    path.write_text(before)
    accept(in_folders)


def test_a_scorer_of_more_folds_than_a_class_has_images(fresh_workspace: Path) -> None:
    path = fresh_workspace / "recipes" / "digits.yaml"
    text = path.read_text()
    path.write_text(text.replace("scorer: {folds: 2,", "scorer: {folds: 20,"))
    told = "growset: scorer.folds 20 is more than the 16 training images of the largest class; lower it to 16 or less\n"
    assert refuse(fresh_workspace, 2) == told
    path.write_text(text)
    accept(fresh_workspace)


def test_a_batch_of_one_image_that_a_network_reduces_to_one_place(in_folders: Path) -> None:
    path = in_folders / "recipes" / "digits.yaml"
    text = path.read_text()
    path.write_text(text.replace("batch_size: 16, width: 16}", "batch_size: 1, width: 16, stride: 4}"))
    accept(in_folders)  # 16 pixels a side leave two places
    describe(in_folders, "kind: folder", "size: 8")
    assert refuse(in_folders, 2).startswith("growset: scorer.batch_size 1 is too small for images of 8 x 8 pixels, of ")
    path.write_text(text)
    accept(in_folders)


def test_what_training_images_do_not_allow_is_refused_after_a_run_too(finished_workspace: Path) -> None:
    for change, told in (
        ("scorer.folds=20", "more than the 16 training images"),
        ("plan.ratio=0.001", "adds no image"),
    ):
        result = growset(finished_workspace, "check", "digits", "--set", change)
        assert result.exit_code == 2 and told in result.stderr
