"""Pools: which images of a source belong to one, in which shape, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ops.datasets.identity import content_ids, number_repeats
from ops.datasets.pixels import PixelDataset, build_rows, write_shards
from ops.errors import UserError
from ops.sources import pool as reading
from ops.sources.pool import PROBED, adapt, count_pool, has_others, hash_pool, list_pool_files, read_pool
from ops.sources.reading import hash_source, read_source
from ops.sources.spec import SourceSpec
from ops.sources.splitting import LoadedSplit


def draw(count: int, shape: tuple[int, int, int] = (8, 8, 1), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)


def save(folder: Path, images: np.ndarray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(images):
        Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(folder / f"{i:03d}.png")


def describe(path: Path, **keys: object) -> SourceSpec:
    return SourceSpec.model_validate(
        {"name": "extra", "kind": "folder", "path": str(path), "licence": "CC0-1.0", **keys}
    )


def store(root: Path, **splits: np.ndarray) -> SourceSpec:
    """A source of Parquet files with two classes."""
    root.mkdir(parents=True)
    for name, images in splits.items():
        rows = build_rows(np.arange(len(images)) % 2, number_repeats(content_ids(images)), split=name)
        write_shards(root, PixelDataset(images, rows, ("cat", "dog")), prefix=name)
    return describe(root, kind="parquet")


def test_images_that_lie_directly_in_a_folder_are_a_pool_with_equal_pixels(tmp_path: Path) -> None:
    images = draw(7)
    save(tmp_path / "loose", images)
    spec = describe(tmp_path / "loose")
    pool = read_pool(spec, (8, 8, 1))
    assert np.array_equal(pool.images, images) and pool.ids == content_ids(images)
    assert count_pool(spec) == len(pool) == len(list_pool_files(spec)) == 7
    with pytest.raises(UserError, match="has no class folders"):
        read_source(spec)  # it is no source of labelled images


def test_class_folders_are_a_pool_too_even_one_alone(tmp_path: Path) -> None:
    images = draw(6)
    save(tmp_path / "classes" / "only", images)
    assert np.array_equal(read_pool(describe(tmp_path / "classes"), (8, 8, 1)).images, images)


def test_only_training_images_of_a_source_are_in_its_pool(tmp_path: Path) -> None:
    train, validation, test = draw(10, seed=1), draw(4, seed=2), draw(4, seed=3)
    spec = store(tmp_path / "splits", train=train, validation=validation, test=test)
    assert np.array_equal(read_pool(spec, (8, 8, 1)).images, train)


def test_what_the_description_draws_for_validation_and_test_is_not_in_the_pool(tmp_path: Path) -> None:
    spec = store(tmp_path / "drawn", train=draw(40)).model_copy(
        update={"split": describe(tmp_path, split={"validation": 0.2, "test": 0.2}).split}
    )
    splits = read_source(spec).splits
    pool = read_pool(spec, (8, 8, 1))
    assert pool.ids == splits["train"].rows["image_id"].to_list() and len(pool) == 24
    for split in ("validation", "test"):
        assert not set(pool.ids).intersection(splits[split].rows["image_id"])


def test_copies_that_the_source_leaves_out_are_not_in_the_pool(tmp_path: Path) -> None:
    train, test = draw(8, seed=1), draw(4, seed=2)
    train[3] = test[1]
    spec = store(tmp_path / "copies", train=train, validation=draw(4, seed=3), test=test)
    assert len(read_pool(spec, (8, 8, 1))) == 8
    kept = read_pool(spec.model_copy(update={"skip_copies": True}), (8, 8, 1))
    assert len(kept) == 7 and not set(kept.ids).intersection(content_ids(test))


def test_images_are_brought_to_the_size_and_channels_of_the_labelled_ones(tmp_path: Path) -> None:
    flat = np.full((3, 20, 10, 1), 90, np.uint8)
    save(tmp_path / "wide", flat)
    pool = read_pool(describe(tmp_path / "wide"), (8, 8, 3))
    assert pool.images.shape == (3, 8, 8, 3) and (pool.images == 90).all()
    assert pool.conversions and pool.ids == [content_ids(pool.images)[0] + end for end in ("", "-1", "-2")]


@pytest.mark.parametrize(
    ("images", "shape", "sentence"),
    [
        (
            draw(3, (8, 8, 3)),
            (8, 8, 1),
            "the pool 'extra' has images of 8x8 RGB, the labelled ones are 8x8 grey: colour",
        ),
        (
            draw(3, (8, 8, 1)),
            (8, 6, 1),
            "the pool 'extra' has images of 8x8 grey, the labelled ones are 8x6 grey: images",
        ),
        (draw(0), (8, 8, 1), "the pool 'extra' is empty"),
    ],
)
def test_a_pool_that_cannot_be_used_is_refused(
    tmp_path: Path, images: np.ndarray, shape: tuple[int, int, int], sentence: str
) -> None:
    save(tmp_path / "pool", images)
    with pytest.raises(UserError) as caught:
        read_pool(describe(tmp_path / "pool"), shape)
    assert str(caught.value).startswith(sentence)


def test_a_pool_takes_over_the_conversion_of_the_labelled_images_unless_it_says_otherwise(tmp_path: Path) -> None:
    labelled = describe(tmp_path, size=8, fit="pad", background="white")
    assert (adapt(describe(tmp_path), labelled).fit, adapt(describe(tmp_path), labelled).background) == ("pad", "white")
    own = adapt(describe(tmp_path, size=32, fit="stretch"), labelled)
    assert (own.fit, own.background, own.size) == ("stretch", "white", None)
    # An image that both have is then the same image in both.
    save(tmp_path / "pool", draw(2, (12, 8, 1)))
    save(tmp_path / "labelled" / "a", draw(2, (12, 8, 1)))
    spec = labelled.model_copy(update={"path": str(tmp_path / "labelled")})
    pool = adapt(describe(tmp_path / "pool"), spec)
    assert read_pool(pool, (8, 8, 1)).ids == read_pool(spec, (8, 8, 1)).ids


def test_the_hash_is_that_of_a_source_and_changes_with_any_file(tmp_path: Path) -> None:
    spec = store(tmp_path / "stored", train=draw(6), validation=draw(2, seed=1), test=draw(2, seed=2))
    assert hash_pool(spec) == hash_source(spec)
    save(tmp_path / "loose", draw(3))
    loose = describe(tmp_path / "loose")
    before = hash_pool(loose)
    assert hash_pool(loose, tmp_path / "cache.json") == before
    save(tmp_path / "loose", draw(4))
    assert hash_pool(loose) != before


@pytest.mark.parametrize("first", [0, PROBED - 1, PROBED, 3 * PROBED])
def test_images_are_opened_until_one_is_found_that_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    images = draw(4 * PROBED)
    spec, ids = store(tmp_path / "pool", train=images), content_ids(images)
    opened, load = 0, reading.load_images

    def count(spec: SourceSpec, listing: Any, rows: np.ndarray, *given: Any) -> LoadedSplit:
        nonlocal opened
        opened += len(rows)
        return load(spec, listing, rows, *given)

    monkeypatch.setattr(reading, "load_images", count)
    assert has_others(spec, (8, 8, 1), {*ids[:first], *ids[first + 1 :]})
    assert first < opened <= max(PROBED, 3 * first)
    assert not has_others(spec, (8, 8, 1), ids)
    with pytest.raises(UserError, match="has images of 8x8 grey, the labelled ones are 9x8 grey"):
        has_others(spec, (9, 8, 1), ids)
