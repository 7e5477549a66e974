"""Reading a published dataset: checked byte by byte, streamed in batches, restricted to a part."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import ops.exports.published
from ops.errors import DamagedData, UserError
from ops.exports.published import Only, open_published
from tests.publications import Case, publish


def test_all_rows_of_every_split_come_in_order_with_their_pixels(grey: Case) -> None:
    dataset = open_published(grey.folder)
    assert dataset.shape == (8, 8, 1) and dataset.class_names == grey.class_names
    assert len(dataset.shards["train"]) > 1
    for split, expected in grey.splits.items():
        batches = list(dataset.batches(split))
        np.testing.assert_array_equal(np.concatenate([batch.decode() for batch in batches]), expected.images)
        assert pl.concat([batch.rows for batch in batches]).equals(expected.rows)
        assert pl.concat(list(dataset.rows(split))).equals(expected.rows)
        assert dataset.counts[split] == len(expected)


def test_a_file_of_several_row_groups_comes_in_several_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(1).integers(0, 256, (5_002, 4, 4, 1), dtype=np.uint8)
    case = publish(tmp_path / "many", images, np.arange(5_002) % 2, ("a", "b"), real=4_000, generated=1_000)
    batches = list(open_published(case.folder).batches("train"))
    assert [len(batch.rows) for batch in batches] == [4_096, 904]
    monkeypatch.setattr(ops.exports.published, "_BATCH_BYTES", 100_000)
    dataset = open_published(case.folder)
    sizes = [len(batch.rows) for batch in dataset.batches("train")]
    assert len(sizes) > 5 and sum(sizes) == 5_000
    np.testing.assert_array_equal(
        np.concatenate([batch.decode() for batch in dataset.batches("train")]), case.splits["train"].images
    )


@pytest.mark.parametrize(("only", "counts"), [("real", (40, 15, 15)), ("generated", (30,))])
def test_only_restricts_the_training_rows(grey: Case, only: Only, counts: tuple[int, ...]) -> None:
    dataset = open_published(grey.folder, only)
    assert tuple(dataset.counts.values()) == counts
    train = grey.splits["train"]
    mask = train.rows["is_generated"].to_numpy() == (only == "generated")
    batches = list(dataset.batches("train"))
    np.testing.assert_array_equal(np.concatenate([batch.decode() for batch in batches]), train.images[mask])
    assert pl.concat(list(dataset.rows("train"))).equals(train.rows.filter(mask))


def test_without_a_published_dataset_the_error_names_the_commands(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="`growset run smoke` makes it, and `growset pull smoke --only published`"):
        open_published(tmp_path / "smoke")


def test_without_generated_images_there_is_nothing_to_export(tmp_path: Path) -> None:
    images = np.zeros((4, 4, 4, 1), np.uint8)
    case = publish(tmp_path / "bare", images, np.zeros(4, int), ("a", "b"), real=2, generated=0)
    with pytest.raises(UserError, match="holds no generated training images"):
        open_published(case.folder, "generated")


def test_damage_names_the_file_before_anything_is_written(grey: Case) -> None:
    path = grey.folder / "data" / "test-00000-of-00001.parquet"
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        DamagedData, match="test-00000-of-00001.parquet does not hold the bytes that were written; `growset pull tiny"
    ):
        open_published(grey.folder)
    path.unlink()
    with pytest.raises(DamagedData, match="test-00000-of-00001.parquet is missing"):
        open_published(grey.folder)
