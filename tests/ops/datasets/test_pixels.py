"""Pixel datasets: round trips, the format as pyarrow and Polars see it, one split at a time, damage."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ops.datasets.identity import content_ids, number_repeats
from ops.datasets.pixels import (
    ROW_SCHEMA,
    PixelDataset,
    build_rows,
    read_images,
    read_rows,
    read_shards,
    read_split,
    write_shard,
    write_shards,
)
from ops.errors import DamagedData, UserError

NAMES = ("cat", "dog", "Ölbaum")


def make_dataset(count: int = 10, shape: tuple[int, int, int] = (8, 6, 3), split: str = "train") -> PixelDataset:
    generator = np.random.default_rng(count)
    images = generator.integers(0, 256, (count, *shape), dtype=np.uint8)
    labels = generator.integers(0, 3, count)
    rows = build_rows(
        labels, content_ids(images), split=split, is_generated=True,
        parent_ids=[None if i % 2 else f"p{i}" for i in range(count)], rounds=[2] * count, ks=range(count),
    )  # fmt: skip
    return PixelDataset(images, rows, NAMES)


def assert_equal(one: PixelDataset, other: PixelDataset) -> None:
    np.testing.assert_array_equal(one.images, other.images)
    assert one.rows.equals(other.rows)
    assert one.class_names == other.class_names


@pytest.mark.parametrize("shape", [(28, 28, 1), (8, 6, 3), (130, 2, 3)])
def test_a_shard_comes_back_as_it_was(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    dataset = make_dataset(7, shape)
    write_shard(tmp_path / "a.parquet", dataset)
    assert_equal(read_shards([tmp_path / "a.parquet"]), dataset)


def test_an_empty_dataset_comes_back_empty(tmp_path: Path) -> None:
    paths = write_shards(tmp_path, make_dataset(0), prefix="train")
    dataset = read_split(tmp_path, "train")
    assert [path.name for path in paths] == ["train-00000-of-00001.parquet"]
    assert len(dataset) == 0
    assert dataset.rows.schema == ROW_SCHEMA


def test_several_shards_keep_the_order_and_are_evenly_full(tmp_path: Path) -> None:
    dataset = make_dataset(10)
    paths = write_shards(tmp_path, dataset, prefix="train", shard_bytes=4 * 8 * 6 * 3)
    assert [path.name for path in paths] == [f"train-0000{i}-of-00003.parquet" for i in range(3)]
    assert [pq.read_metadata(path).num_rows for path in paths] == [3, 3, 4]
    assert_equal(read_split(tmp_path, "train"), dataset)
    assert_equal(read_shards(paths[1:2]), dataset.select(range(3, 6)))


def test_a_shard_smaller_than_one_image_still_holds_one(tmp_path: Path) -> None:
    assert len(write_shards(tmp_path, make_dataset(3), prefix="train", shard_bytes=1)) == 3


def test_the_same_dataset_gives_the_same_bytes_and_leaves_no_litter(tmp_path: Path) -> None:
    (tmp_path / ".train-00000-of-00001.parquet.tmp").write_bytes(b"left by a killed run")
    first = write_shards(tmp_path, make_dataset(), prefix="train")[0].read_bytes()
    second = write_shards(tmp_path, make_dataset(), prefix="train")[0].read_bytes()
    assert first == second
    assert [path.name for path in tmp_path.iterdir()] == ["train-00000-of-00001.parquet"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_shards(tmp_path, make_dataset(), prefix="train")[0]
    before = path.read_bytes()

    def fail(images: np.ndarray) -> list[bytes]:
        raise OSError("disk full")

    monkeypatch.setattr("ops.datasets.pixels.encode_png", fail)
    with pytest.raises(OSError, match="disk full"):
        write_shards(tmp_path, make_dataset(5), prefix="train")
    assert path.read_bytes() == before


def test_the_file_is_laid_out_as_promised(tmp_path: Path) -> None:
    dataset = make_dataset(5_000, (2, 2, 1))
    write_shard(tmp_path / "a.parquet", dataset)
    metadata = pq.read_metadata(tmp_path / "a.parquet")
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [4_096, 904]
    columns = {column.path_in_schema: column for column in map(metadata.row_group(0).column, range(10))}
    for name in ("image.bytes", "image.path"):
        assert columns[name].compression == "UNCOMPRESSED"
        assert not columns[name].has_dictionary_page
        assert columns[name].statistics is None
    for name in ROW_SCHEMA:
        assert columns[name].compression == "ZSTD"
        assert columns[name].statistics is not None


def test_the_schema_is_that_of_hugging_face(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.parquet", make_dataset())
    schema = pq.read_schema(tmp_path / "a.parquet")
    assert schema.field("image").type == pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert list(features) == schema.names
    assert features["image"] == {"_type": "Image"}
    assert features["label"] == {"names": list(NAMES), "_type": "ClassLabel"}
    others = {name: value["dtype"] for name, value in features.items() if value["_type"] == "Value"}
    assert others == {
        "split": "string", "is_generated": "bool", "image_id": "string", "parent_id": "string",
        "round": "int32", "k": "int64", "weight": "float64",
    }  # fmt: skip


@pytest.mark.parametrize("shape", [(8, 6, 3), (130, 2, 1)])
def test_polars_and_pillow_read_it_without_us(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    dataset = make_dataset(4, shape)
    write_shard(tmp_path / "a.parquet", dataset)
    frame = pl.read_parquet(tmp_path / "a.parquet")
    assert frame.drop("image").equals(dataset.rows)
    cells = frame["image"].to_list()
    assert [cell["path"] for cell in cells] == [f"{name}.png" for name in dataset.rows["image_id"]]
    pixels = [np.asarray(Image.open(io.BytesIO(cell["bytes"]))).reshape(shape) for cell in cells]
    np.testing.assert_array_equal(np.stack(pixels), dataset.images)


def test_a_file_that_polars_wrote_is_read(tmp_path: Path) -> None:
    dataset = make_dataset()
    write_shard(tmp_path / "a.parquet", dataset)
    frame = pl.read_parquet(tmp_path / "a.parquet")
    metadata = {"huggingface": pq.read_schema(tmp_path / "a.parquet").metadata[b"huggingface"].decode()}
    frame.write_parquet(tmp_path / "b.parquet", metadata=metadata)
    assert_equal(read_shards([tmp_path / "b.parquet"]), dataset)


def test_reading_one_split_opens_no_other_file(tmp_path: Path) -> None:
    dataset = make_dataset()
    write_shards(tmp_path, dataset, prefix="train")
    for stranger in ("test-00000-of-00001.parquet", "train-more-00000-of-00001.parquet", "train.parquet"):
        (tmp_path / stranger).write_bytes(b"whoever opens this fails")
    assert_equal(read_split(tmp_path, "train"), dataset)


def test_rows_are_read_without_the_images(tmp_path: Path) -> None:
    dataset = make_dataset()
    path = write_shards(tmp_path, dataset, prefix="train")[0]
    column = pq.read_metadata(path).row_group(0).column(0)
    content = bytearray(path.read_bytes())
    content[column.data_page_offset : column.data_page_offset + column.total_compressed_size] = bytes(
        column.total_compressed_size
    )
    path.write_bytes(content)
    assert read_rows([path]).equals(dataset.rows)
    with pytest.raises(DamagedData, match="train-00000-of-00001.parquet, from row 0: cannot be read"):
        read_shards([path])


def test_select_takes_masks_and_indices() -> None:
    dataset = make_dataset(10)
    assert_equal(dataset.select(dataset.labels == 1), dataset.select(np.flatnonzero(dataset.labels == 1)))
    backwards = dataset.select([9, 0])
    assert backwards.rows["k"].to_list() == [9, 0]
    np.testing.assert_array_equal(backwards.images, dataset.images[[9, 0]])
    assert len(dataset.select([])) == 0
    assert len(dataset.select(np.zeros(10, bool))) == 0
    assert dataset.labels.dtype == np.int64
    with pytest.raises(ValueError, match=r"the mask has shape \[3\]; allowed: \[10\]"):
        dataset.select(np.ones(3, bool))


def test_a_dataset_with_wrong_shapes_or_rows_is_refused() -> None:
    sound = make_dataset(3)
    cases = [
        (sound.images / 255, sound.rows, r"allowed: uint8 \[n, H, W, 1 or 3\]"),
        (sound.images[:2], sound.rows, "there are 2 images and 3 rows"),
        (sound.images, sound.rows.with_columns(label=pl.lit(3, pl.Int64)), "row 0 has label 3; allowed: 0"),
        (sound.images, sound.rows.with_columns(image_id=pl.lit(None, pl.String)), "row 0 has no image_id"),
        (sound.images, sound.rows.drop("k"), "the columns are .*; allowed: "),
    ]
    for images, rows, message in cases:
        with pytest.raises(ValueError, match=message):
            PixelDataset(images, rows, NAMES)


def test_content_ids_have_a_known_value_and_depend_on_pixels_and_shape() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert content_ids(image[None])[0] == hashlib.sha256(b"2x2x3:" + bytes(range(12))).hexdigest()[:16]
    assert content_ids(image[None])[0] == content_ids(np.asfortranarray(image)[None])[0]
    assert content_ids(image.reshape(4, 3, 1)[None])[0] != content_ids(image[None])[0]
    assert content_ids(np.stack([image, image + 1]))[1] == content_ids((image + 1)[None])[0]


def test_repeats_are_numbered_in_order() -> None:
    assert number_repeats(["a", "b", "a", "a"]) == ["a", "b", "a-1", "a-2"]


def test_missing_files_are_user_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no split test; expected test-00000-of-00001.parquet and on"):
        read_split(tmp_path, "test")
    with pytest.raises(UserError, match="nowhere.parquet does not exist; expected a Parquet file"):
        read_shards([tmp_path / "nowhere.parquet"])
    with pytest.raises(ValueError, match="no path is given"):
        read_shards([])


def test_sets_of_another_size_are_never_mixed(tmp_path: Path) -> None:
    paths = write_shards(tmp_path, make_dataset(10), prefix="train", shard_bytes=5 * 8 * 6 * 3)
    with pytest.raises(UserError, match="train-00000-of-00002.parquet belongs to another set; 1 files of train"):
        write_shards(tmp_path, make_dataset(10), prefix="train")
    write_shard(tmp_path / "train-00000-of-00001.parquet", make_dataset(3))
    with pytest.raises(
        DamagedData, match="train-00000-of-00001.parquet belongs to another set than the rest of the 3 files"
    ):
        read_split(tmp_path, "train")
    (tmp_path / "train-00000-of-00001.parquet").unlink()
    paths[0].unlink()
    with pytest.raises(DamagedData, match="train-00000-of-00002.parquet is missing among the 1 files"):
        read_split(tmp_path, "train")


def test_damage_names_the_file_and_the_row(tmp_path: Path) -> None:
    path = write_shards(tmp_path, make_dataset(5_000, (2, 2, 1)), prefix="train")[0]
    sound = path.read_bytes()
    payload = pl.read_parquet(path)["image"].struct.field("bytes")[4_321]
    at = sound.index(payload) + 48
    path.write_bytes(sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :])
    with pytest.raises(DamagedData, match=f"^{path}, row 4321: "):
        read_shards([path])
    path.write_bytes(sound[:-20])
    with pytest.raises(DamagedData, match=f"^{path}: not a readable Parquet file"):
        read_rows([path])


def test_a_split_that_holds_rows_of_another_is_damaged(tmp_path: Path) -> None:
    write_shards(tmp_path, make_dataset(split="test"), prefix="train")
    with pytest.raises(DamagedData, match="the files of split train hold rows of split test"):
        read_split(tmp_path, "train")


def test_shards_that_disagree_are_damaged(tmp_path: Path) -> None:
    sound = make_dataset()
    write_shard(tmp_path / "a.parquet", sound)
    write_shard(tmp_path / "shape.parquet", make_dataset(shape=(6, 6, 3)))
    write_shard(tmp_path / "names.parquet", PixelDataset(sound.images, sound.rows, (*NAMES, "more")))
    pq.write_table(pq.read_table(tmp_path / "a.parquet").drop(["k"]), tmp_path / "column.parquet")
    pq.write_table(pq.read_table(tmp_path / "a.parquet").replace_schema_metadata(), tmp_path / "bare.parquet")
    pl.read_parquet(tmp_path / "a.parquet").with_columns(pl.col("label").cast(pl.Int8)).write_parquet(
        tmp_path / "type.parquet"
    )
    cases = {
        "shape": "shape.parquet, row 0: the image is 6x6 RGB, the first one 8x6 RGB",
        "names": "names.parquet: the class names differ from those of .*a.parquet",
        "column": "column.parquet: no column k; the columns are image.bytes, image.path, label",
        "bare": "bare.parquet: no class names in the metadata; it is not a pixel dataset",
        "type": "type.parquet: the columns are .*Int8.*; allowed: ",
    }
    for name, message in cases.items():
        with pytest.raises(DamagedData, match=message):
            read_shards([tmp_path / "a.parquet", tmp_path / f"{name}.parquet"])


def test_a_label_outside_the_class_names_names_file_and_row(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.parquet", make_dataset())
    table = pq.read_table(tmp_path / "a.parquet")
    labels = pa.array([0, 0, 7, *[0] * 7], pa.int64())
    index = table.schema.get_field_index("label")
    pq.write_table(table.set_column(index, "label", labels), tmp_path / "b.parquet")
    with pytest.raises(DamagedData, match="b.parquet: row 2 has label 7; allowed: 0 to 2"):
        read_shards([tmp_path / "a.parquet", tmp_path / "b.parquet"])


def test_chosen_images_are_read_from_their_row_groups_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.datasets.pixels._GROUP_ROWS", 3)
    dataset = make_dataset(20)
    paths = write_shards(tmp_path, dataset, prefix="train", shard_bytes=10 * 8 * 6 * 3)
    chosen = [19, 0, 7, 10, 7]
    np.testing.assert_array_equal(read_images(paths, chosen), dataset.images[chosen])
    assert len(read_images(paths, [])) == 0
    with pytest.raises(IndexError, match="row 20 does not exist; there are 20 rows"):
        read_images(paths, [3, 20])
    damaged = bytearray(paths[0].read_bytes())
    damaged[pq.read_metadata(paths[0]).row_group(1).column(0).data_page_offset + 300] ^= 1
    paths[0].write_bytes(damaged)
    np.testing.assert_array_equal(read_images(paths, [2, 6]), dataset.images[[2, 6]])
    with pytest.raises(DamagedData, match=r"train-00000-of-00002.parquet, row 4: .*checksum"):
        read_images(paths, [4])


def test_a_part_is_written_like_the_selection_of_its_rows(tmp_path: Path) -> None:
    dataset = make_dataset(9)
    write_shard(tmp_path / "part.parquet", dataset, begin=2, end=7)
    write_shard(tmp_path / "selection.parquet", dataset.select(range(2, 7)))
    assert (tmp_path / "part.parquet").read_bytes() == (tmp_path / "selection.parquet").read_bytes()
