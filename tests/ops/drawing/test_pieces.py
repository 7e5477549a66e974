"""Drawing in pieces: every draw once, and equal bytes for any piece size, number of workers, batch or interruption."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.datasets.pixels import PixelDataset, build_rows, write_shards
from ops.drawing import pieces as generation
from ops.drawing.pieces import (
    LARGEST_PIECE,
    PIECE_BYTES,
    SMALLEST_PIECE,
    Draws,
    Piece,
    cut_pieces,
    cut_slices,
    draw_rows,
    fill_pieces,
    missing_pieces,
    piece_size,
)
from ops.drawing.stored_seeds import StoredSeeds
from ops.generators.feeds import SeedImages
from ops.generators.folder import find_sampler
from ops.generators.noise import draw_noise
from ops.generators.onnx.engine import OnnxFile, Sampler
from ops.generators.units import Run, Unit, list_classes, list_parents
from tests.perturb import build_perturb, draw_seeds, perturb

UNITS = list_classes(("cat", "dog", "Ölbaum"))
DRAWS = Draws(UNITS, (5, 0, 12))
OPTIONS = {"draws": DRAWS, "seed": 9, "provider": "cpu", "workers": 1, "batch_size": 8}


def read(folder: Path, pieces: list[Piece]) -> np.ndarray:
    return np.concatenate([np.load(folder / piece.file_name) for piece in pieces])


def fill(folder: Path, sampler: Path, *, size: int = 4, **options: int) -> np.ndarray:
    pieces = cut_pieces(len(DRAWS), size)
    done = list(fill_pieces(folder, pieces, OnnxFile(sampler), **{**OPTIONS, **options}))
    assert sorted(done) == pieces
    assert sorted(file.name for file in folder.iterdir()) == sorted(piece.file_name for piece in pieces)
    return read(folder, pieces)


@pytest.fixture(scope="module")
def sampler_path(generator_folder: Path) -> Path:
    return find_sampler(generator_folder)


@pytest.fixture(scope="module")
def expected(sampler_path: Path) -> np.ndarray:
    """All draws in one call per class, without pieces."""
    sampler = Sampler(sampler_path, batch_size=64)
    parts = []
    for label, count in enumerate(DRAWS.counts):
        if count:
            unit = sampler.info.class_names[label]
            noise = draw_noise(sampler.info.shape, seed=9, round_=0, unit=unit, start=0, count=count)
            parts.append(sampler.draw({"noise": noise, "label": np.full(count, label)}))
    return np.concatenate(parts)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=8), st.integers(1, 20), st.integers(1, 12))
def test_pieces_and_slices_hold_every_draw_exactly_once(counts: list[int], size: int, slices: int) -> None:
    draws = Draws(list_classes([f"c{label}" for label in range(len(counts))]), tuple(counts))
    pieces = cut_pieces(len(draws), size)
    rows = [draws.rows(piece.begin, piece.end) for piece in pieces]
    found = [(label, k) for labels, ks in rows for label, k in zip(labels.tolist(), ks.tolist(), strict=True)]
    assert found == [(label, k) for label, count in enumerate(counts) for k in range(count)]
    assert [draws.starts[label] for label, k in found if k == 0] == [i for i, (_, k) in enumerate(found) if k == 0]
    assert all(1 <= len(piece) <= size for piece in pieces)
    assert len({piece.file_name for piece in pieces}) == len(pieces)

    parts = cut_slices(pieces, slices)
    assert sorted(piece for part in parts for piece in part) == pieces
    assert len(parts) == min(slices, len(pieces))
    assert all(parts)
    if parts:
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_runs_cover_the_rows_of_each_unit() -> None:
    draws = Draws(UNITS, (3, 0, 2), (0, 9, 4))
    assert draws.runs(1, 4) == [Run(UNITS[0], 1, 2), Run(UNITS[2], 4, 1)]
    assert draws.runs(3, 3) == [] and draws.runs(4, 9) == [Run(UNITS[2], 5, 1)]
    places, ks = draws.rows(0, 5)
    assert (places.tolist(), ks.tolist()) == ([0, 0, 0, 2, 2], [0, 1, 2, 4, 5])
    assert draws.labels[places].tolist() == [0, 0, 0, 2, 2]


def test_pieces_of_large_sets_are_larger_and_of_large_images_smaller() -> None:
    sizes = [piece_size(rows, 784) for rows in (1, 1_000, 100_000, 1_000_000, 10_000_000)]
    assert sizes == [SMALLEST_PIECE, SMALLEST_PIECE, 256, 3_840, LARGEST_PIECE]
    for image_bytes in (784, 3 * 512 * 512, 2**26):
        assert piece_size(10_000_000, image_bytes) * image_bytes <= max(PIECE_BYTES, image_bytes)


@pytest.mark.parametrize(("size", "batch_size"), [(1, 8), (4, 1), (4, 3), (7, 64), (100, 5)])
def test_pixels_do_not_depend_on_piece_size_or_batch_size(
    size: int, batch_size: int, tmp_path: Path, sampler_path: Path, expected: np.ndarray
) -> None:
    np.testing.assert_array_equal(fill(tmp_path, sampler_path, size=size, batch_size=batch_size), expected)


def test_pixels_do_not_depend_on_the_number_of_workers(
    tmp_path: Path, sampler_path: Path, expected: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "WORKER_SHARE", 1)  # otherwise 17 images are not worth a second process
    np.testing.assert_array_equal(fill(tmp_path, sampler_path, size=3, workers=2), expected)


def test_a_deleted_piece_is_drawn_again_and_the_others_stay(tmp_path: Path, sampler_path: Path) -> None:
    fill(tmp_path, sampler_path)
    pieces = cut_pieces(len(DRAWS), 4)
    before = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in tmp_path.iterdir()}
    lost = pieces[2]
    (tmp_path / lost.file_name).unlink()
    assert missing_pieces(tmp_path, pieces) == [lost]
    assert list(fill_pieces(tmp_path, pieces, OnnxFile(sampler_path), **OPTIONS)) == [lost]
    after = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in tmp_path.iterdir()}
    assert after.keys() == before.keys()
    for name, (content, time) in after.items():
        assert content == before[name][0]
        assert (time == before[name][1]) == (name != lost.file_name)


def test_an_interrupted_fill_is_completed_by_the_next(tmp_path: Path, sampler_path: Path, expected: np.ndarray) -> None:
    pieces = cut_pieces(len(DRAWS), 4)
    filling = fill_pieces(tmp_path, pieces, OnnxFile(sampler_path), **OPTIONS)
    first = next(filling)
    filling.close()  # type: ignore[attr-defined]
    assert first == pieces[0]
    assert list(fill_pieces(tmp_path, pieces, OnnxFile(sampler_path), **OPTIONS)) == pieces[1:]
    np.testing.assert_array_equal(read(tmp_path, pieces), expected)


def test_slices_filled_apart_give_the_same_dataset(tmp_path: Path, sampler_path: Path, expected: np.ndarray) -> None:
    pieces = cut_pieces(len(DRAWS), 2)
    for part in reversed(cut_slices(pieces, 3)):
        list(fill_pieces(tmp_path, part, OnnxFile(sampler_path), **OPTIONS))
    np.testing.assert_array_equal(read(tmp_path, pieces), expected)


def test_a_new_export_under_the_same_name_is_opened_again(
    tmp_path: Path, generator_folder: Path, make_sampler: Callable[[str, int], Path]
) -> None:
    path, pieces = tmp_path / "sampler_3.onnx", [Piece(0, 4)]
    path.write_bytes(find_sampler(generator_folder).read_bytes())
    list(fill_pieces(tmp_path / "heun", pieces, OnnxFile(path), **OPTIONS))
    path.write_bytes(make_sampler("euler", 3).read_bytes())
    list(fill_pieces(tmp_path / "euler", pieces, OnnxFile(path), **OPTIONS))
    np.testing.assert_array_equal(read(tmp_path / "euler", pieces), draw_rows(0, 4, DRAWS, Sampler(path), 9))


def test_another_seed_draws_other_images(sampler_path: Path) -> None:
    sampler = Sampler(sampler_path)
    assert (draw_rows(5, 9, DRAWS, sampler, 1) != draw_rows(5, 9, DRAWS, sampler, 2)).mean() > 0.5


def test_feeds_that_are_made_ahead_are_the_same(sampler_path: Path) -> None:
    sampler = Sampler(sampler_path, batch_size=3)
    expected = draw_rows(1, 17, DRAWS, sampler, 9)
    np.testing.assert_array_equal(draw_rows(1, 17, DRAWS, sampler, 9, feed_threads=4), expected)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[StoredSeeds, SeedImages]:
    """Nine seed images in files of two, and in memory."""
    folder, seeds = tmp_path_factory.mktemp("seeds"), draw_seeds((3, 10, 13), [0, 1, 2] * 3)
    rows = build_rows(seeds.labels, list(seeds.ids), split="train")
    shards = write_shards(folder, PixelDataset(seeds.images, rows, ("a", "b", "c")), prefix="train", shard_bytes=800)
    assert len(shards) > 2
    return StoredSeeds(tuple(shards)), seeds


@pytest.fixture
def perturber(tmp_path: Path) -> OnnxFile:
    onnx.save(build_perturb((3, 10, 13), ("a", "b", "c")), tmp_path / "sampler.onnx")
    return OnnxFile(tmp_path / "sampler.onnx")


def expect_variants(draws: Draws, seeds: SeedImages) -> np.ndarray:
    """Each variant drawn alone, from its own parent, noise and label."""
    images = []
    for unit, count, first in zip(draws.units, draws.counts, draws.firsts or [0] * len(draws.units), strict=True):
        for k in range(first, first + count):
            noise = draw_noise((3, 10, 13), seed=9, round_=0, unit=unit.parent or "", start=k, count=1)
            image = seeds.images[[seeds.ids.index(unit.parent or "")]]
            images.append(perturb({"image": image, "noise": noise, "label": np.array([unit.label])}))
    return np.concatenate(images)


@pytest.mark.parametrize(("size", "batch_size", "workers"), [(100, 8, 1), (4, 3, 1), (7, 64, 2), (1, 1, 1)])
def test_variants_do_not_depend_on_pieces_or_workers(
    size: int,
    batch_size: int,
    workers: int,
    stored: tuple[StoredSeeds, SeedImages],
    perturber: OnnxFile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(generation, "WORKER_SHARE", 1)
    store, seeds = stored
    draws = Draws(
        list_parents(seeds.ids, seeds.labels.tolist()), (2, 0, 3, 1, 1, 4, 0, 2, 3), (0, 0, 5, 0, 0, 0, 0, 1, 0)
    )
    pieces = cut_pieces(len(draws), size)
    options = {**OPTIONS, "draws": draws, "batch_size": batch_size, "workers": workers, "seeds": store}
    list(fill_pieces(tmp_path / "pieces", pieces, perturber, **options))
    np.testing.assert_array_equal(read(tmp_path / "pieces", pieces), expect_variants(draws, seeds))


def test_units_of_seed_images_are_ordered_by_label() -> None:
    units = list_parents(["x", "y", "z"], [1, 0, 1])
    assert units == (Unit("y", 0, "y"), Unit("x", 1, "x"), Unit("z", 1, "z"))


def test_only_the_requested_parents_are_loaded(stored: tuple[StoredSeeds, SeedImages]) -> None:
    store, seeds = stored
    loaded = store.load([Unit("s5", 2, "s5"), Unit("s1", 1, "s1"), Unit("s5", 2, "s5")])
    assert (list(loaded.ids), loaded.labels.tolist()) == (["s5", "s1"], [2, 1])
    np.testing.assert_array_equal(loaded.images, seeds.images[[5, 1]])
    with pytest.raises(KeyError, match="s99"):
        store.load([Unit("s99", 0, "s99")])
