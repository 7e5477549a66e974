"""Sources: a user's folders and Parquet files, seeded choices, clear errors."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ops.datasets.identity import content_ids
from ops.datasets.pixels import PixelDataset, build_rows, write_shards
from ops.datasets.shards import build_schema
from ops.errors import DamagedData, UserError
from ops.files import hash_cache
from ops.sources.conversion import Converter
from ops.sources.reading import hash_source
from ops.sources.reading import read_source as read_all
from ops.sources.spec import SourceSpec

CLASSES = ("ant", "bee", "cat")


def make_spec(kind: str, root: Path, **keys: object) -> SourceSpec:
    return SourceSpec.model_validate({"name": "insects", "kind": kind, "path": str(root), "licence": "CC0", **keys})


def read_source(spec: SourceSpec, **options: object) -> dict[str, PixelDataset]:
    return read_all(spec, **options).splits


def convert(image: Image.Image, size: int) -> np.ndarray:
    return Converter(make_spec("folder", Path("x"), size=size)).convert_file(encode(image, "PNG"), "x.png")


def draw_image(seed: int, mode: str = "RGB", size: tuple[int, int] = (9, 7)) -> Image.Image:
    shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def make_folder(root: Path, per_class: int = 4) -> SourceSpec:
    """Class folders with different PNG images; the seed of each follows from its position."""
    for s, split in enumerate(("train", "val", "test")):
        for c, name in enumerate(CLASSES):
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(per_class):
                draw_image(1_000 * s + 100 * c + i).save(folder / f"{i:03d}.png")
    return make_spec("folder", root, name="insects")


def make_parquet(root: Path, per_class: int = 4, names: tuple[str, ...] = CLASSES) -> SourceSpec:
    for s, split in enumerate(("train", "validation", "test")):
        images = np.random.default_rng(s).integers(0, 256, (len(names) * per_class, 9, 7, 3), dtype=np.uint8)
        labels = np.tile(np.arange(len(names)), per_class)
        dataset = PixelDataset(images, build_rows(labels, content_ids(images), split=split), names)
        write_shards(root, dataset, prefix=split, shard_bytes=images.nbytes // 2)
    return make_spec("parquet", root, name="insects")


def write_foreign(path: Path, payloads: list[bytes | None], labels: list[int | None]) -> None:
    """A Parquet file as another tool may have written it: only image and label."""
    image = [{"bytes": payload, "path": None} for payload in payloads]
    schema = build_schema(CLASSES, {"label": pa.int64()})
    pq.write_table(pa.table({"image": image, "label": labels}, schema=schema), path)


def encode(image: Image.Image, kind: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


def test_a_folder_becomes_three_datasets(tmp_path: Path) -> None:
    splits = read_source(make_folder(tmp_path))
    assert list(splits) == ["train", "validation", "test"]
    for s, (split, dataset) in enumerate(splits.items()):
        assert dataset.class_names == CLASSES
        assert dataset.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
        assert set(dataset.rows["split"]) == {split}
        assert dataset.rows["is_generated"].sum() == 0
        assert dataset.rows["image_id"].to_list() == content_ids(dataset.images)
        expected = [np.asarray(draw_image(1_000 * s + 100 * c + i)) for c in range(3) for i in range(4)]
        np.testing.assert_array_equal(dataset.images, np.stack(expected))


def test_parquet_of_several_shards_comes_in_stored_order(tmp_path: Path) -> None:
    splits = read_source(make_parquet(tmp_path))
    assert len(list(tmp_path.iterdir())) == 6
    assert splits["train"].labels.tolist() == [0, 1, 2] * 4
    expected = np.random.default_rng(0).integers(0, 256, (12, 9, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(splits["train"].images, expected)


def test_parquet_of_other_tools_with_other_formats_is_read(tmp_path: Path) -> None:
    for s, split in enumerate(("test", "validation", "train")):
        images = [draw_image(10 * s + i) for i in range(4)]
        payloads = [encode(images[0], "PNG"), encode(images[1], "BMP"), encode(images[2], "JPEG")]
        write_foreign(tmp_path / f"{split}-0.parquet", [*payloads, encode(images[3], "WEBP")], [0, 1, 2, 0])
    train = read_source(make_spec("parquet", tmp_path, name="foreign"))["train"]
    np.testing.assert_array_equal(train.images[:2], np.stack([np.asarray(image) for image in images[:2]]))
    jpeg = np.asarray(Image.open(io.BytesIO(encode(images[2], "JPEG"))))
    np.testing.assert_array_equal(train.images[2], jpeg)


def test_classes_are_relabelled_in_the_given_order(tmp_path: Path) -> None:
    spec = make_folder(tmp_path)
    whole, part = read_source(spec)["test"], read_source(spec, classes=["cat", "ant"])["test"]
    assert part.class_names == ("cat", "ant")
    np.testing.assert_array_equal(part.images[part.labels == 0], whole.images[whole.labels == 2])
    np.testing.assert_array_equal(part.images[part.labels == 1], whole.images[whole.labels == 0])


@pytest.mark.parametrize("make", [make_folder, make_parquet])
def test_a_cap_is_seeded_nested_and_independent_of_other_classes(tmp_path: Path, make: object) -> None:
    spec = make(tmp_path, 20)

    def ids(split: str, **options: object) -> list[str]:
        return read_source(spec, **options)[split].rows["image_id"].to_list()

    seven = ids("train", per_class=7)
    assert len(seven) == 21
    assert seven == ids("train", per_class=7)
    assert seven == [name for name in ids("train") if name in seven]  # the stored order
    assert set(ids("train", per_class=3)) < set(seven)
    assert set(seven) != set(ids("train", per_class=7, seed=1))
    assert set(ids("train", per_class=7, classes=["cat", "ant"])) < set(seven)
    assert len(ids("validation", per_class=7)) == 21
    assert len(ids("test", per_class=7)) == 60
    assert ids("train", per_class=20) == ids("train", per_class=99) == ids("train")


def test_equal_images_get_numbered_ids(tmp_path: Path) -> None:
    spec = make_folder(tmp_path)
    for copy in ("001", "003"):
        draw_image(0).save(tmp_path / "train" / "ant" / f"{copy}.png")
    splits = read_source(spec)
    first = splits["train"].rows["image_id"][0]
    assert splits["train"].rows["image_id"].to_list()[:4:2] == [first, splits["train"].rows["image_id"][2]]
    assert splits["train"].rows["image_id"].to_list()[1:4:2] == [f"{first}-1", f"{first}-2"]


@pytest.mark.parametrize(("one", "other"), [("train", "val"), ("train", "test"), ("val", "test")])
def test_an_image_in_two_splits_is_refused_under_any_name(tmp_path: Path, one: str, other: str) -> None:
    spec = make_folder(tmp_path)
    for name in ("ant/7.png", "bee/8.png"):  # in another format and under another class it is the same image
        draw_image(77).save(tmp_path / one / name)
    draw_image(77).save(tmp_path / other / "cat" / "x.bmp")
    names = {"train": "train", "val": "validation", "test": "test"}
    with pytest.raises(UserError) as caught:
        read_source(spec)
    assert str(caught.value) == (
        f"source insects: 2 of 14 images of {names[one]} are in {names[other]} too, e.g."
        f" {tmp_path / one / 'ant' / '7.png'} and {tmp_path / other / 'cat' / 'x.bmp'}; remove them from {names[one]},"
        " or set `skip_copies: true` in the description of the source"
    )
    spec = spec.model_copy(update={"allow_conflicts": True})  # the two in `one` have different labels
    assert len(read_source(spec, classes=["ant", "bee"])["test"]) == 8  # images of other classes are in no split


def test_a_size_makes_mixed_images_alike(tmp_path: Path) -> None:
    make_folder(tmp_path)
    grey = draw_image(5, "L", (30, 20))
    grey.save(tmp_path / "train" / "ant" / "000.png")
    splits = read_source(make_spec("folder", tmp_path, name="insects", size=6))
    assert {dataset.images.shape for dataset in splits.values()} == {(12, 6, 6, 3)}
    np.testing.assert_array_equal(splits["train"].images[0], np.repeat(convert(grey, 6), 3, axis=2))


def test_a_size_works_on_stored_parquet(tmp_path: Path) -> None:
    spec = make_parquet(tmp_path)
    small = read_source(spec.model_copy(update={"size": 4}))["test"]
    reference = [convert(Image.fromarray(image), 4) for image in read_source(spec)["test"].images]
    np.testing.assert_array_equal(small.images, np.stack(reference))


def test_files_that_are_not_images_are_ignored(tmp_path: Path) -> None:
    spec = make_folder(tmp_path)
    before = hash_source(spec)
    (tmp_path / "train" / "__MACOSX" / "ant").mkdir(parents=True)
    for name in (
        "train/__MACOSX/ant/._a.png",
        "train/.DS_Store",
        "train/ant/Thumbs.db",
        "train/ant/.hidden.png",
        "train/notes.txt",
    ):
        (tmp_path / name).write_bytes(b"x")
    assert len(read_source(spec)["train"]) == 12
    assert hash_source(spec) == before


@pytest.mark.parametrize("make", [make_folder, make_parquet])
def test_the_hash_depends_on_content_but_not_on_the_path(tmp_path: Path, make: object) -> None:
    one, two = make(tmp_path / "one"), make(tmp_path / "two")
    assert hash_source(one) == hash_source(two)
    assert len(hash_source(one)) == 64
    (tmp_path / "one" / "README.md").write_text("not read", encoding="utf-8")
    assert hash_source(one) == hash_source(two)
    path = min(path for path in (tmp_path / "two").rglob("*") if path.suffix in (".png", ".parquet"))
    content = path.read_bytes()
    path.write_bytes(content + b"\0")
    assert hash_source(one) != hash_source(two)
    path.write_bytes(content)
    assert hash_source(one) == hash_source(two)


def test_the_hash_depends_on_the_size_of_converted_images(tmp_path: Path) -> None:
    spec = make_folder(tmp_path)
    hashes = {hash_source(spec.model_copy(update={"size": size})) for size in (None, 4, 5)}
    assert len(hashes) == 3
    assert hash_source(spec.model_copy(update={"licence": "MIT"})) in hashes


def test_the_hash_depends_on_names(tmp_path: Path) -> None:
    spec = make_folder(tmp_path)
    before = hash_source(spec)
    (tmp_path / "train" / "ant" / "000.png").rename(tmp_path / "train" / "bee" / "zz.png")
    assert hash_source(spec) != before


def test_mistakes_in_a_folder_give_one_sentence(tmp_path: Path) -> None:
    def fail(change: Mapping[str, Image.Image | None], message: str, **options: object) -> None:
        root = tmp_path / str(len(list(tmp_path.iterdir())))
        spec = make_folder(root, 2)
        for name, image in change.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if image is None:
                path.mkdir()
            else:
                image.save(path)
        with pytest.raises(UserError, match=message):
            read_source(spec, **options)
        assert "\n" not in message

    small, grey = draw_image(0, size=(3, 4)), draw_image(0, "L")
    differ = "source insects: .*zz.png is {} while .*train/ant/000.png is 7x9 RGB; make them agree or give"
    fail({"train/bee/zz.png": small}, differ.format("4x3 RGB"))
    fail({"test/bee/zz.png": grey}, differ.format("7x9 grey"))
    fail({"train/dog": None}, "source insects: class dog has no images in train")
    fail({"test/dog/1.png": small}, "source insects: class dog of test is not a class of train")
    fail({"validation/ant/1.png": small}, "has both val and validation; expected one of the two")
    fail({"train/ant/1.gif": grey}, "1.gif has a format that is not supported; allowed: .png, .jpg, .jpeg, .webp")
    fail({}, "source insects: unknown class catt; nearest: cat", classes=["ant", "catt"])
    fail({}, "source insects: class ant is given 2 times; allowed: once", classes=["ant", "ant"])
    fail({}, "source insects: 1 classes are too few; at least 2 are needed", classes=["ant"])
    fail({}, "source insects: per_class is 0; allowed: whole numbers from 1", per_class=0)


def test_missing_folders_and_splits_are_named(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match="nowhere does not exist; expected a folder of class folders, or train, val and test"
    ):
        read_source(make_spec("folder", tmp_path / "nowhere", name="x"))
    for name in ("train", "test"):
        (tmp_path / name).mkdir()
    with pytest.raises(UserError, match="has no class folders with images; expected them directly in it or in train"):
        read_source(make_spec("folder", tmp_path, name="x"))
    with pytest.raises(
        UserError,
        match=r"has no file train-\*.parquet; expected one or more in it, in its data/ or in one of its folders",
    ):
        hash_source(make_spec("parquet", tmp_path, name="x"))
    for split in ("train", "test"):
        for name in CLASSES:
            (tmp_path / split / name).mkdir()
            draw_image(len(name)).save(tmp_path / split / name / "a.png")
    with pytest.raises(UserError, match="source x: it has no validation images; draw them from train with `split: {v"):
        read_source(make_spec("folder", tmp_path, name="x"))


def test_a_split_without_images_is_named(tmp_path: Path) -> None:
    spec = make_folder(tmp_path)
    for path in (tmp_path / "val").rglob("*.png"):
        path.unlink()
    with pytest.raises(UserError, match="source insects: validation has no images of the classes ant, bee"):
        read_source(spec)


def test_mistakes_in_parquet_are_named(tmp_path: Path) -> None:
    spec = make_parquet(tmp_path)
    path = sorted(tmp_path.glob("train-*"))[0]
    table = pq.read_table(path)
    float_ = table.set_column(1, "label", table["label"].cast(pa.float64()))
    cases = [
        (table.replace_schema_metadata(), "has other class names than the first file of the source"),
        (table.drop(["label"]), "has no column label; it has image.bytes, image.path, split"),
        (table.rename_columns({"image": "img"}), "has no column image.bytes; it has img.bytes, img.path"),
        (float_, "label is of type double; allowed: whole numbers or texts"),
    ]
    for changed, message in cases:
        pq.write_table(changed, path)
        with pytest.raises(UserError, match=message):
            read_source(spec)
    make_parquet(tmp_path / "other", names=("ant", "bee", "dog"))
    path.write_bytes((tmp_path / "other" / path.name).read_bytes())
    with pytest.raises(UserError, match="has other class names than the first file of the source"):
        read_source(spec)


def test_damage_names_file_and_row(tmp_path: Path) -> None:
    sound = encode(draw_image(0), "PNG")
    spec = make_spec("parquet", tmp_path, name="x")
    path = tmp_path / "train-a.parquet"
    for split in ("validation", "test"):
        write_foreign(tmp_path / f"{split}-a.parquet", [sound] * 3, [0, 1, 2])
    cases: list[tuple[list[bytes | None], list[int | None], str]] = [
        ([sound, b"no image", sound], [0, 1, 2], "row 1: not a readable image"),
        ([sound, None, sound], [0, 1, 2], "row 1: the image has no bytes"),
        ([sound, sound[:-20], sound], [0, 1, 2], "row 1: not a readable image .*cut off"),
        ([sound] * 3, [0, 1, -1], "row 2: label -1 is not in 0 to 2"),
        ([sound] * 3, [0, 3, 1], "row 1: label 3 is not in 0 to 2"),
        ([sound] * 3, [0, None, 1], "row 1: label is missing"),
    ]
    for payloads, labels, message in cases:
        write_foreign(path, payloads, labels)
        with pytest.raises(DamagedData, match=f"^{path}, {message}"):
            read_source(spec)
    write_foreign(path, [sound, encode(draw_image(1, "L").convert("F"), "TIFF"), sound], [0, 1, 2])
    with pytest.raises(UserError, match=f"^{path}, row 1: pixels of mode F"):  # sound but refused
        read_source(spec)
    folder = make_folder(tmp_path / "folder")
    (tmp_path / "folder" / "train" / "bee" / "002.png").write_bytes(sound[:60])
    with pytest.raises(DamagedData, match="train/bee/002.png: not a readable image .*cut off"):
        read_source(folder)


def test_a_cache_spares_reading_a_source_again_and_notices_every_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A byte changes and the modification time is set back: the change time (ctime) reveals it."""
    spec, cache = make_folder(tmp_path / "images"), tmp_path / "cache.json"
    monkeypatch.setattr(hash_cache, "SETTLE_NANOSECONDS", 20_000_000)
    time.sleep(0.05)
    before = hash_source(spec, cache)
    assert before == hash_source(spec)
    with monkeypatch.context() as patch:
        patch.setattr(hash_cache, "hash_file", lambda path: pytest.fail(f"{path} is read again"))
        assert hash_source(spec, cache) == before
    path = tmp_path / "images" / "train" / "ant" / "000.png"
    facts, content = path.stat(), bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert hash_source(spec, cache) == hash_source(spec) != before
