"""The log of test evaluations: every appended line is counted, and no line is skipped silently."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ops.errors import DamagedData
from ops.verdict.evaluation_log import Evaluation, append_evaluation, count_looks, read_log

RECORD = Evaluation(
    time="2025-03-01T12:00:00+00:00",
    expansion="smoke",
    split="test",
    fingerprint="abc123",
    arms=("real", "expanded"),
    seeds=(0, 1),
    images=400,
    content="c0ffee",
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "verdict" / "evaluations.jsonl"


def tear_last_line(log: Path, bytes_lost: int) -> None:
    log.write_bytes(log.read_bytes()[:-bytes_lost])


def append_many(log: Path, times: int) -> None:
    for _ in range(times):
        append_evaluation(log, RECORD)


def test_a_record_is_one_line_with_the_agreed_keys_its_hash_and_that_of_the_one_before(log: Path) -> None:
    hashes = [append_evaluation(log, RECORD), append_evaluation(log, replace(RECORD, elsewhere=2, absorbed=("a1",)))]
    first, second = (json.loads(line) for line in log.read_text().splitlines())
    agreed = {
        "time": "2025-03-01T12:00:00+00:00", "expansion": "smoke", "split": "test", "fingerprint": "abc123",
        "arms": ["real", "expanded"], "seeds": [0, 1], "images": 400, "content": "c0ffee",
    }  # fmt: skip
    assert first == agreed | {"elsewhere": 0, "absorbed": [], "previous": None, "hash": hashes[0]}
    assert second == agreed | {"elsewhere": 2, "absorbed": ["a1"], "previous": hashes[0], "hash": hashes[1]}
    canonical = json.dumps(
        agreed | {"elsewhere": 0, "absorbed": [], "previous": None}, sort_keys=True, separators=(",", ":")
    )
    assert hashlib.sha256(canonical.encode()).hexdigest() == hashes[0]


def count_evaluations(path: Path, *, expansion: str | None = None, split: str | None = "test") -> int:
    """How many logged evaluations match; None matches all."""
    return sum(
        (expansion is None or record["expansion"] == expansion) and (split is None or record["split"] == split)
        for record in read_log(path)
    )


def test_counts_by_expansion_and_split(log: Path) -> None:
    assert count_evaluations(log) == 0
    for record in (RECORD, RECORD, replace(RECORD, expansion="other"), replace(RECORD, split="validation")):
        append_evaluation(log, record)
    assert count_evaluations(log) == 3
    assert count_evaluations(log, expansion="smoke") == 2
    assert count_evaluations(log, split="validation") == 1
    assert count_evaluations(log, expansion="smoke", split=None) == 3


def test_appending_keeps_every_earlier_byte(log: Path) -> None:
    append_evaluation(log, RECORD)
    before = log.read_bytes()
    append_evaluation(log, replace(RECORD, expansion="größer"))
    assert log.read_bytes().startswith(before) and count_evaluations(log, expansion="größer") == 1


def test_an_incomplete_last_line_is_reported_and_does_not_spoil_the_next_record(log: Path) -> None:
    append_many(log, 2)
    tear_last_line(log, 20)
    append_evaluation(log, RECORD)
    lines = log.read_bytes().splitlines()
    assert len(lines) == 3 and json.loads(lines[2])["expansion"] == "smoke"
    with pytest.raises(DamagedData, match=r"evaluations\.jsonl, line 2.*remove it if an append was cut short"):
        count_evaluations(log)
    log.write_bytes(lines[0] + b"\n" + lines[2] + b"\n")
    assert count_evaluations(log) == 2, "nothing builds on a line that was cut short"


def test_a_record_that_lost_only_its_newline_still_counts(log: Path) -> None:
    append_evaluation(log, RECORD)
    tear_last_line(log, 1)
    assert count_evaluations(log) == 1
    append_evaluation(log, RECORD)
    assert count_evaluations(log) == 2


@pytest.mark.parametrize("line", [b"<<<<<<< HEAD\n", b"[1, 2]\n", b'{"expansion": "smoke"}\n', b'"\xff"\n'])
def test_any_unreadable_line_is_damage_whichever_expansion_is_counted(log: Path, line: bytes) -> None:
    append_evaluation(log, RECORD)
    with log.open("ab") as handle:
        handle.write(line)
    with pytest.raises(DamagedData, match="line 2"):
        count_evaluations(log, expansion="something else")


def test_a_time_that_is_not_iso_is_refused_before_anything_is_written(log: Path) -> None:
    with pytest.raises(ValueError, match="yesterday"):
        append_evaluation(log, replace(RECORD, time="yesterday"))
    assert not log.exists()


def test_writers_that_append_at_once_lose_nothing(log: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(append_many, [log] * 4, [25] * 4))
    assert count_evaluations(log) == 100


def test_processes_that_append_at_once_lose_nothing_and_keep_the_chain(log: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=append_many, args=(log, 20)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    records = read_log(log)
    assert len(records) == 60
    assert [record["previous"] for record in records[1:]] == [record["hash"] for record in records[:-1]]


def old_line(**changes: object) -> bytes:
    """As an earlier Growset wrote it."""
    fields = {key: value for key, value in vars(RECORD).items() if key not in ("content", "elsewhere", "absorbed")}
    return json.dumps(fields | {"arms": ["real"], "seeds": [0]} | changes).encode() + b"\n"


def test_looks_are_counted_by_content_over_all_recipes(log: Path) -> None:
    for record in (RECORD, replace(RECORD, expansion="twin"), replace(RECORD, content="other"),
                   replace(RECORD, split="validation"), replace(RECORD, expansion="third", elsewhere=3)):  # fmt: skip
        append_evaluation(log, record)
    records = read_log(log)
    assert count_looks(records, "c0ffee", expansion="renamed", images=400) == 1 + 1 + 4
    assert count_looks(records, "other", expansion="smoke", images=400) == 1
    assert count_looks(records, "unseen", expansion="smoke", images=400) == 0


def test_records_of_an_earlier_growset_are_kept_and_counted_wherever_they_may_belong(log: Path) -> None:
    log.parent.mkdir()
    log.write_bytes(old_line() + old_line(expansion="twin") + old_line(expansion="far", images=9))
    append_evaluation(log, RECORD)
    records = read_log(log)
    assert len(records) == 4 and count_evaluations(log, expansion="smoke") == 2
    assert count_looks(records, "c0ffee", expansion="smoke", images=400) == 3
    assert count_looks(records, "c0ffee", expansion="far", images=400) == 4
    content = log.read_bytes()
    log.write_bytes(content[content.index(b"\n") + 1 :])
    with pytest.raises(DamagedData, match="line 3: the earlier record that it names is missing"):
        read_log(log)


def test_two_branches_may_be_merged(log: Path) -> None:
    append_many(log, 2)
    base = log.read_bytes()
    append_evaluation(log, replace(RECORD, expansion="ours"))
    ours = log.read_bytes()
    log.write_bytes(base)
    append_evaluation(log, replace(RECORD, expansion="theirs"))
    theirs = log.read_bytes()[len(base) :]
    log.write_bytes(ours + theirs)
    append_evaluation(log, RECORD)
    assert len(read_log(log)) == 5


@st.composite
def damaged_logs(draw: st.DrawFn) -> tuple[list[bytes], list[bytes]]:
    """The lines of a log, some of them old, and the same after one deletion, truncation, edit or move."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.jsonl"
        log.write_bytes(b"".join(old_line(images=i) for i in range(draw(st.integers(0, 2)))))
        for i in range(draw(st.integers(1, 5))):
            append_evaluation(log, replace(RECORD, images=i))
        lines = log.read_bytes().splitlines(keepends=True)
    changed = list(lines)
    kind = draw(st.sampled_from(["delete", "truncate", "edit", "move", "replace"]))
    at = draw(st.integers(0, len(lines) - 1))
    if kind == "delete":
        del changed[at]
    elif kind == "truncate":
        whole = b"".join(lines)
        changed = whole[: draw(st.integers(0, len(whole) - 2))].splitlines(keepends=True)
    elif kind == "edit":
        byte = draw(st.integers(0, len(lines[at]) - 2))
        flipped = lines[at][byte] ^ draw(st.integers(1, 127))
        changed[at] = lines[at][:byte] + bytes([flipped]) + lines[at][byte + 1 :]
    elif kind == "replace":
        changed[at] = old_line(expansion="forged")
    else:
        changed.insert(draw(st.integers(0, len(lines) - 1)), changed.pop(at))
    assume(changed != lines)
    return lines, changed


def is_noticed(log: Path, copy: Path | None = None) -> bool:
    try:
        read_log(log, copy)
    except DamagedData:
        return True
    return False


@settings(max_examples=80, deadline=None)
@given(damaged_logs())
def test_any_damage_is_noticed(damage: tuple[list[bytes], list[bytes]]) -> None:
    """With the copy: always, unless every line is still there. Without it: unless the remaining records with hashes are
    an earlier state of the log, which only a verdict's record can show."""
    lines, changed = damage
    with tempfile.TemporaryDirectory() as folder:
        log, copy = Path(folder) / "log.jsonl", Path(folder) / "copy.jsonl"
        log.write_bytes(b"".join(lines))
        whole = read_log(log, copy)
        log.write_bytes(b"".join(changed))
        lost = set(b"".join(lines).splitlines()) - set(b"".join(changed).splitlines())
        assert is_noticed(log, copy) or not lost
        if not is_noticed(log) and (found := read_log(log)) != whole:
            hashes = [[record["hash"] for record in records if "hash" in record] for records in (whole, found)]
            assert hashes[1] == hashes[0][: len(hashes[1])] and len(hashes[1]) < len(hashes[0])


def test_a_shortened_or_deleted_log_is_noticed_by_the_copy_and_restored_from_it(log: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.jsonl"
    append_many(log, 3)
    assert len(read_log(log, copy)) == 3
    whole = log.read_bytes()
    for content in (whole.splitlines(keepends=True)[0], b"", None):
        log.unlink() if content is None else log.write_bytes(content)
        with pytest.raises(
            DamagedData,
            match=rf"evaluations\.jsonl lacks (an|2|3) evaluations? that (was|were) recorded here; .* cp {copy} {log}",
        ):
            read_log(log, copy)
    log.write_bytes(copy.read_bytes())
    assert len(read_log(log, copy)) == 3
    append_evaluation(log, RECORD)
    assert len(read_log(log, copy)) == 4 and copy.read_bytes() == log.read_bytes()
