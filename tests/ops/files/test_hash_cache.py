"""The cache of hashes where it cannot be written: a workspace that is only read goes without, other faults are told."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from ops.files import hash_cache
from ops.files.hash_cache import HashCache


@pytest.mark.parametrize(("number", "told"), [(errno.EACCES, False), (errno.EROFS, False), (errno.ENOSPC, True)])
def test_a_folder_that_cannot_be_written_costs_time_and_a_full_disk_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, told: bool
) -> None:
    (tmp_path / "file").write_bytes(b"content")
    monkeypatch.setattr(hash_cache, "SETTLE_NANOSECONDS", -1)  # it is remembered at once

    def refuse(*_: object) -> None:
        raise OSError(number, "refused")

    monkeypatch.setattr(hash_cache, "write_json", refuse)
    cache = HashCache(tmp_path / "cache.json")
    assert cache.hash_file(tmp_path, "file").startswith("ed7002b439e9ac84")  # sha256 of "content"
    if told:
        with pytest.raises(OSError, match="refused"):
            cache.save()
    else:
        cache.save()
    assert not (tmp_path / "cache.json").exists()
