"""The bytes of an output against its manifest, with the cache of hashes and without."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ops.errors import DamagedData
from ops.files import hash_cache
from ops.files.hash_cache import HashCache
from ops.files.manifests import MANIFEST, describe_output, is_sealed, read_manifest, seal
from ops.files.storage import read_json, write_json
from ops.stages.integrity import find_damage, is_intact

IDENTITY = {"stage": "scorer", "version": 1, "fingerprint": "f" * 64, "settings": {"rate": 0.1}, "inputs": {}}


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Two files and their manifest, written long enough ago for their times to be trusted."""
    folder = tmp_path / "output"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "a.bin").write_bytes(b"0123456789")
    (folder / "b.json").write_text("{}")
    write_json(folder / MANIFEST, describe_output(folder, IDENTITY, {"images": 3, "share": 0.1}))
    return folder


@pytest.fixture
def settled(output: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(hash_cache, "SETTLE_NANOSECONDS", 20_000_000)
    time.sleep(0.05)
    return output


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def keep_time(path: Path, change: Callable[[Path], None]) -> None:
    before = path.stat()
    change(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_an_undamaged_output_has_no_damage(output: Path, tmp_path: Path) -> None:
    assert find_damage(output) is None
    assert find_damage(output, tmp_path / "cache.json") is None
    assert is_intact(output, "f" * 64)
    assert not is_intact(output, "e" * 64)


@pytest.mark.parametrize("cached", [False, True])
def test_a_flipped_byte_is_found_though_size_and_modification_time_stay(
    settled: Path, tmp_path: Path, cached: bool
) -> None:
    cache = tmp_path / "cache.json" if cached else None
    assert find_damage(settled, cache) is None
    keep_time(settled / "data" / "a.bin", flip)
    damage = find_damage(settled, cache)
    assert damage is not None and damage.path == settled / "data" / "a.bin"
    assert "does not hold the bytes that were written" in str(damage)


def test_the_cache_spares_reading_what_has_not_changed(
    settled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache.json"
    assert find_damage(settled, cache) is None
    assert set(read_json(cache)) == {"b.json", "data/a.bin"}

    def refuse(path: Path) -> str:
        raise AssertionError(f"{path} is read again")

    monkeypatch.setattr(hash_cache, "hash_file", refuse)
    assert find_damage(settled, cache) is None


def test_a_file_that_has_just_changed_is_not_remembered(output: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache.json"
    assert find_damage(output, cache) is None
    assert not cache.exists()


def test_a_torn_cache_is_no_cache(settled: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache.json"
    cache.write_text('{"b.json": [1')
    assert find_damage(settled, cache) is None
    assert HashCache(cache).hash_file(settled, "b.json") == read_manifest(settled)["files"]["b.json"]["sha256"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda folder: (folder / "b.json").unlink(), "b.json is missing"),
        (lambda folder: (folder / "b.json").write_text("{"), "b.json has 1 bytes instead of 2"),
        (lambda folder: (folder / "data" / "c.bin").write_text("x"), "c.bin is not part of this output"),
    ],
)
def test_missing_truncated_and_added_files_are_damage(
    output: Path, change: Callable[[Path], object], told: str
) -> None:
    change(output)
    assert told in str(find_damage(output))
    assert not is_intact(output)


def test_what_operating_systems_leave_is_no_damage(output: Path) -> None:
    (output / ".DS_Store").write_text("x")
    assert find_damage(output) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"images": 3', '"images": 4'),
        ('"rate": 0.1', '"rate": 0.2'),
        ('"version": 1', '"version": 2'),
        ("f" * 64, "e" * 64),
    ],
)
def test_an_edited_manifest_is_damage(output: Path, old: str, new: str) -> None:
    path = output / MANIFEST
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(DamagedData, match="seal does not match"):
        read_manifest(output)
    assert str(path) in str(find_damage(output)) and not is_intact(output)


def test_every_flipped_bit_of_a_manifest_is_noticed_or_says_the_same(output: Path) -> None:
    path, whole = output / MANIFEST, (output / MANIFEST).read_bytes()
    meant = read_manifest(output)
    for place in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[place] ^= 1 << (place % 8)
        path.write_bytes(changed)
        damage = find_damage(output)
        assert damage is not None or read_manifest(output) == meant


def test_a_file_and_its_entry_edited_together_break_the_seal(output: Path) -> None:
    manifest = read_json(output / MANIFEST)
    (output / "b.json").write_text("[]")
    forged = describe_output(output, IDENTITY, {"images": 3, "share": 0.1})
    write_json(output / MANIFEST, {**manifest, "files": forged["files"], "content": forged["content"]})
    assert not is_intact(output)


def test_a_manifest_without_a_seal_is_read_and_not_taken_for_intact(output: Path) -> None:
    manifest = read_json(output / MANIFEST)
    del manifest["seal"]
    write_json(output / MANIFEST, manifest)
    assert not is_sealed(read_manifest(output))
    assert "has no seal" in str(find_damage(output))
    assert not is_intact(output)


def test_a_seal_is_of_what_json_gives_back() -> None:
    assert seal({"a": (1, 2), "b": {3: 0.1}}) == seal({"b": {"3": 0.1}, "a": [1, 2]})
    assert seal(seal({"a": 1})) == seal({"a": 1})


@pytest.mark.parametrize("text", ["[]", "{}", '"x"', "\xff", '{"stage": 1', "[" * 100_000])
def test_what_is_no_manifest_is_damaged_data(output: Path, text: str) -> None:
    (output / MANIFEST).write_bytes(text.encode("latin-1"))
    with pytest.raises(DamagedData, match=r"manifest\.json"):
        read_manifest(output)
