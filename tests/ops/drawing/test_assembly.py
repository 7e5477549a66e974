"""Assembly while drawing: the same bytes as a set written at once, pieces deleted in time, nothing lost by a crash."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from ops.datasets import pixels
from ops.datasets.pixels import PixelDataset, build_rows, read_shards, write_shards
from ops.drawing import assembly as module
from ops.drawing.assembly import Assembly
from ops.drawing.pieces import Draws, Piece
from ops.errors import DamagedData
from ops.generators.units import Unit, list_classes

SHAPE = (4, 3, 1)
COUNTS = (70, 0, 33, 97)
NAMES = ("a", "b", "c", "d")
SHARD_BYTES = 12 * 45  # five files of 40 rows, which do not align with the pieces


def picture(row: int) -> np.ndarray:
    return np.frombuffer(hashlib.sha256(str(row).encode()).digest()[:12], np.uint8).reshape(SHAPE)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of 16 rows, shards of 40 and row groups of 7, so that 200 rows need many of each."""
    monkeypatch.setattr(module, "piece_size", lambda *_: 16)
    monkeypatch.setattr(module, "plan_shards", partial(pixels.plan_shards, shard_bytes=SHARD_BYTES))
    monkeypatch.setattr(pixels, "_GROUP_ROWS", 7)


@pytest.fixture
def assembly(tmp_path: Path) -> Assembly:
    return Assembly(Draws(list_classes(NAMES), COUNTS), SHAPE, NAMES, tmp_path / "pieces", tmp_path / "out", "g0123")


class Stop(Exception):
    """Ends the drawing as a crash would."""


def draw(assembly: Assembly, order: str, stop_after: int, pieces: Sequence[Piece]) -> Iterator[Piece]:
    """Act as the workers: write and yield each piece; stop after `stop_after` of them."""
    shuffled = {"forwards": list(pieces), "backwards": list(pieces)[::-1]}.get(order)
    if shuffled is None:
        shuffled = [pieces[i] for i in np.random.default_rng(int(order)).permutation(len(pieces))]
    assembly.pieces_folder.mkdir(parents=True, exist_ok=True)
    for done, piece in enumerate(shuffled):
        if done == stop_after:
            raise Stop
        np.save(assembly.pieces_folder / piece.file_name, np.stack([picture(i) for i in range(piece.begin, piece.end)]))
        yield piece


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


def whole(folder: Path) -> dict[str, bytes]:
    """The files of the same set written at once from memory."""
    labels = np.repeat(np.arange(4), COUNTS)
    ks = np.concatenate([np.arange(count) for count in COUNTS])
    ids = [f"g0123-{label:04d}-{k:07d}" for label, k in zip(labels, ks, strict=True)]
    rows = build_rows(labels, ids, split="train", is_generated=True, rounds=[0] * len(ids), ks=ks)
    images = np.stack([picture(row) for row in range(sum(COUNTS))])
    write_shards(folder, PixelDataset(images, rows, NAMES), prefix="generated", shard_bytes=SHARD_BYTES)
    return contents(folder)


@pytest.mark.parametrize("order", ["forwards", "backwards", "1", "2"])
def test_the_files_equal_those_of_a_set_written_at_once(assembly: Assembly, order: str, tmp_path: Path) -> None:
    done = list(assembly.write(partial(draw, assembly, order, -1)))
    assert sorted(done) == assembly.pieces
    assert contents(assembly.out) == whole(tmp_path / "whole")
    assert contents(assembly.pieces_folder) == {}


@pytest.mark.parametrize("order", ["forwards", "3"])
@pytest.mark.parametrize("stop_after", [0, 1, 4, 9, 12])
def test_after_a_crash_only_the_missing_pieces_are_drawn(
    assembly: Assembly, order: str, stop_after: int, tmp_path: Path
) -> None:
    with pytest.raises(Stop):
        list(assembly.write(partial(draw, assembly, order, stop_after)))
    again = list(assembly.write(partial(draw, assembly, order, -1)))
    assert len(again) == len(assembly.pieces) - stop_after
    assert contents(assembly.out) == whole(tmp_path / "whole")


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} does not appear"
        time.sleep(0.001)


def test_shards_are_written_and_pieces_deleted_while_the_rest_is_drawn(assembly: Assembly) -> None:
    most_pieces = 0
    for piece in assembly.write(partial(draw, assembly, "forwards", -1)):
        most_pieces = max(most_pieces, len(contents(assembly.pieces_folder)))
        for shard in assembly.shards():
            if shard.end <= piece.end:
                wait_for(shard.path)
    assert most_pieces <= 6 < len(assembly.pieces)


def test_a_piece_stays_until_every_shard_that_needs_it_is_written(
    assembly: Assembly, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The third file cannot be written: its pieces, one shared with the second file, still exist afterwards."""
    write = pixels.write_shard

    def fail(path: Path, source: Assembly, *, begin: int, end: int) -> None:
        if begin == 80:
            raise OSError("disk full")
        write(path, source, begin=begin, end=end)

    monkeypatch.setattr(module, "write_shard", fail)
    with pytest.raises(OSError, match="disk full"):
        list(assembly.write(partial(draw, assembly, "forwards", -1)))
    kept = contents(assembly.pieces_folder)
    assert {Piece(80, 96).file_name, Piece(96, 112).file_name, Piece(112, 128).file_name} <= set(kept)
    monkeypatch.undo()
    small_parts.__wrapped__(monkeypatch)  # type: ignore[attr-defined]
    list(assembly.write(partial(draw, assembly, "forwards", -1)))
    assert contents(assembly.out) == whole(tmp_path / "whole")


def test_pieces_that_a_killed_run_left_undeleted_are_deleted(assembly: Assembly) -> None:
    list(assembly.write(partial(draw, assembly, "forwards", -1)))
    list(draw(assembly, "forwards", -1, assembly.pieces[:3]))
    assert assembly.missing() == []
    assert list(assembly.write(partial(draw, assembly, "forwards", -1))) == []
    assert contents(assembly.pieces_folder) == {}


def test_a_shard_with_other_rows_is_rewritten(assembly: Assembly, tmp_path: Path) -> None:
    list(assembly.write(partial(draw, assembly, "forwards", -1)))
    shards = assembly.shards()
    shards[1].path.write_bytes(replace_with_fewer(assembly, tmp_path))
    assert assembly.missing() == [Piece(32, 48), Piece(48, 64), Piece(64, 80)]
    list(assembly.write(partial(draw, assembly, "forwards", -1)))
    assert contents(assembly.out) == whole(tmp_path / "whole")


def replace_with_fewer(assembly: Assembly, folder: Path) -> bytes:
    few = read_shards([assembly.shards()[0].path]).select(range(3))
    return write_shards(folder / "few", few, prefix="generated")[0].read_bytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.zeros((16, 4, 4, 1), np.uint8), r"holds uint8 \[16, 4, 4, 1\]; delete it"),
        (None, "cannot be read .*delete it"),
    ],
)
def test_a_torn_piece_and_one_of_another_shape_are_named(
    assembly: Assembly, content: np.ndarray | None, message: str
) -> None:
    def draw_badly(pieces: Sequence[Piece]) -> Iterable[Piece]:
        list(draw(assembly, "forwards", -1, pieces))
        path = assembly.pieces_folder / pieces[0].file_name
        path.write_bytes(b"") if content is None else np.save(path, content)
        return pieces

    with pytest.raises(DamagedData, match=f"0000000000-0000000016.npy {message}"):
        list(assembly.write(draw_badly))


def test_no_draws_give_one_empty_file(assembly: Assembly) -> None:
    empty = replace(assembly, draws=Draws(list_classes(NAMES), (0, 0, 0, 0)))
    assert list(empty.write(partial(draw, empty, "forwards", -1))) == []
    assert len(read_shards([shard.path for shard in empty.shards()])) == 0


def test_variants_carry_the_parent_in_their_id_and_in_parent_id(assembly: Assembly) -> None:
    units = (Unit("b7", 0, "b7"), Unit("a1", 3, "a1"), Unit("a1-1", 3, "a1-1"))
    varied = replace(assembly, draws=Draws(units, (2, 0, 3), (4, 0, 0)))
    list(varied.write(partial(draw, varied, "forwards", -1)))
    rows = read_shards([shard.path for shard in varied.shards()]).rows
    assert rows["image_id"].to_list() == [
        "g0123-b7-0000004", "g0123-b7-0000005", "g0123-a1-1-0000000", "g0123-a1-1-0000001", "g0123-a1-1-0000002",
    ]  # fmt: skip
    assert rows["parent_id"].to_list() == ["b7"] * 2 + ["a1-1"] * 3
    assert rows["label"].to_list() == [0, 0, 3, 3, 3]


def test_a_piece_without_its_record_is_missing_and_so_are_the_images_of_its_shards(assembly: Assembly) -> None:
    done = list(assembly.write(partial(draw, assembly, "forwards", -1)))
    for piece in done:
        (assembly.pieces_folder / piece.record_name).touch()
    before = contents(assembly.out)
    assembly.drop_unrecorded()
    assert contents(assembly.out) == before and not assembly.missing()
    (assembly.pieces_folder / assembly.pieces[3].record_name).unlink()  # rows 48 .. 63, in the second shard
    assembly.drop_unrecorded()
    assert len(contents(assembly.out)) == 4
    assert assembly.missing() == assembly.pieces[2:5]  # rows 40 .. 79
    assert list(assembly.write(partial(draw, assembly, "forwards", -1))) == assembly.pieces[2:5]
    assert contents(assembly.out) == before


def test_a_drawer_may_ask_for_smaller_pieces(monkeypatch: pytest.MonkeyPatch, assembly: Assembly) -> None:
    monkeypatch.undo()
    assert [replace(assembly, smallest=least).piece_size for least in (None, 40, 16)] == [256, 40, 16]
