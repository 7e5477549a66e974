"""Broken sources, tables, archives, descriptions, recipes and params end in one sentence, whatever is broken.

A case is named by seed and number; `GROWSET_FUZZ_SEED=S GROWSET_FUZZ_FIRST=N GROWSET_FUZZ_CASES=1` runs one again.
"""

import faulthandler
import os
import time
from pathlib import Path

import pytest

from tests.fuzzing.cases import LAYOUTS, Failure, Fuzzer
from tests.fuzzing.watching import SECONDS, limited, watch

FEW, MANY = 300, 20_000


def fuzz(folder: Path, seed: int, first: int, cases: int) -> list[Failure]:
    fuzzer = Fuzzer(folder, seed)
    failures: list[Failure] = []
    with limited():
        for number in range(first, first + cases):
            faulthandler.dump_traceback_later(3 * SECONDS, exit=True)  # where no signal is heard, in a library's loop
            if failure := fuzzer.run(number):
                failures.append(failure)
    faulthandler.cancel_dump_traceback_later()
    return failures


def report(failures: list[Failure], seed: int) -> str:
    shown = [f"case {each.case} of seed {seed}: {each.what}\n{each.fault}" for each in failures[:8]]
    return f"{len(failures)} failures\n" + "\n\n".join(shown)


def test_a_few_hundred_broken_inputs(tmp_path: Path) -> None:
    failures = fuzz(tmp_path, 13, 0, FEW)
    assert not failures, report(failures, 13)


@pytest.mark.slow
def test_many_broken_inputs(tmp_path: Path) -> None:
    seed = int(os.environ.get("GROWSET_FUZZ_SEED", time.time_ns() % 10**9))
    first, cases = (
        int(os.environ.get(f"GROWSET_FUZZ_{name}", default)) for name, default in (("FIRST", 0), ("CASES", MANY))
    )
    print(f"seed {seed}, cases {first} to {first + cases - 1}")
    failures = fuzz(tmp_path, seed, first, cases)
    assert not failures, report(failures, seed)


@pytest.mark.parametrize("name", LAYOUTS)
def test_what_is_not_broken_is_read(tmp_path: Path, name: str) -> None:
    """So that a case fails for what was broken in it."""
    from tests.fuzzing.cases import _check, _describe

    make, more = LAYOUTS[name]
    keys = make(tmp_path / "source") | more
    description = _describe(tmp_path, {**keys, "path": str(keys["path"]), "licence": "MIT"})
    _check(description)


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (lambda: {}["a"], "KeyError"),
        (lambda: open("/dev/null", "w").close(), "open ('/dev/null', 'w'"),
        (lambda: os.mkdir("/proc/x"), "os.mkdir ('/proc/x'"),
        (lambda: bytearray(2**40), "MemoryError"),
        (lambda: os.read(os.pipe()[0], 1), "Hung"),
    ],
)
def test_what_an_input_may_not_do_is_seen(action: object, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzzing.watching.SECONDS", 0.2)
    with limited():
        fault = watch(action)
    assert fault is not None and said in fault
