"""The log of test evaluations: what was appended is counted, and nothing is skipped in silence."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from ops.errors import DamagedData
from ops.verdict.evaluation_log import Evaluation, append_evaluation, count_evaluations

RECORD = Evaluation(
    time="2025-03-01T12:00:00+00:00",
    expansion="smoke",
    split="test",
    fingerprint="abc123",
    arms=("real", "expanded"),
    seeds=(0, 1),
    images=400,
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "verdict" / "evaluations.jsonl"


def tear_last_line(log: Path, bytes_lost: int) -> None:
    log.write_bytes(log.read_bytes()[:-bytes_lost])


def append_many(log: Path, times: int) -> None:
    for _ in range(times):
        append_evaluation(log, RECORD)


def test_a_record_is_one_line_with_the_agreed_keys(log: Path) -> None:
    append_evaluation(log, RECORD)
    lines = log.read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {
            "time": "2025-03-01T12:00:00+00:00",
            "expansion": "smoke",
            "split": "test",
            "fingerprint": "abc123",
            "arms": ["real", "expanded"],
            "seeds": [0, 1],
            "images": 400,
        }
    ]


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


def test_a_torn_last_line_is_reported_and_does_not_swallow_the_next_record(log: Path) -> None:
    append_many(log, 2)
    tear_last_line(log, 20)
    append_evaluation(log, RECORD)
    lines = log.read_bytes().splitlines()
    assert len(lines) == 3 and json.loads(lines[2])["expansion"] == "smoke"
    with pytest.raises(DamagedData, match=r"evaluations\.jsonl, line 2"):
        count_evaluations(log)


def test_a_record_that_lost_only_its_newline_still_counts(log: Path) -> None:
    append_evaluation(log, RECORD)
    tear_last_line(log, 1)
    assert count_evaluations(log) == 1
    append_evaluation(log, RECORD)
    assert count_evaluations(log) == 2


@pytest.mark.parametrize("line", [b"<<<<<<< HEAD\n", b"[1, 2]\n", b'{"expansion": "smoke"}\n', b'"\xff"\n'])
def test_any_unreadable_line_is_damage_whatever_is_counted(log: Path, line: bytes) -> None:
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
