"""The benchmark goes on where it was stopped, makes a workspace anew where it has to, and keeps what went wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.parts import harness
from benchmarks.sources import bench
from benchmarks.sources.commands import Ended, call_growset
from benchmarks.sources.drawn import Drawn, Labelled
from benchmarks.sources.registry import SOURCES, Source
from benchmarks.sources.table import format_table
from ops.errors import UserError
from ops.files.storage import read_json, write_json
from ops.recipe.stages import upstream
from pipelines.cli.main import main

COMMANDS = ["init", "plan", "check", "run"]


def draw_noise(seed: int) -> Drawn:
    images = np.random.default_rng(seed).integers(0, 256, (24, 8, 8, 1), dtype=np.uint8)
    return Drawn(("ant", "bee"), {"train": Labelled(images, np.arange(24) % 2)})


class FakeGrowset:
    """Stands in for the command: writes what `init` and a finished stage leave, and notes the calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.recipe = "steps: 400\n"
        self.ends: dict[str, Ended] = {}

    def __call__(self, arguments: list[str], *, folder: Path, log: Path, seconds: float | None) -> Ended:
        self.calls.append(arguments[0])
        if arguments[0] == "init":
            self._init(Path(arguments[1]), Path(arguments[3]).name)
        elif arguments[0] in ("run", "materialize") and arguments[0] not in self.ends:
            stage, name = arguments[1:] if arguments[0] == "materialize" else ("scorer", arguments[1])
            path = folder / ".growset" / "timings" / f"{name}.json"
            before = read_json(path) if path.exists() else {}
            write_json(path, before | {stage: before.get(stage, 30.0)})
        planned = '{"to_do_seconds": 90.0}' if arguments[0] == "plan" else ""
        return self.ends.get(arguments[0], Ended(0, 60.0, (), False, planned))

    def _init(self, root: Path, name: str) -> None:
        for kind, text in (("recipes", self.recipe), ("sources", "kind: folder\n")):
            (root / kind).mkdir(parents=True, exist_ok=True)
            (root / kind / f"{name}.yaml").write_text(text)
        (root / "params.yaml").write_text("stage_versions:\n  scorer: 1\n")
        (root / ".growset" / "timings").mkdir(parents=True)


@pytest.fixture
def growset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeGrowset:
    fake = FakeGrowset()
    monkeypatch.setattr(bench, "call_growset", fake)
    for module in (harness, bench):
        monkeypatch.setattr(module, "RESULTS", tmp_path / "results")
    (tmp_path / "results").mkdir()
    for name in list(SOURCES):
        monkeypatch.delitem(SOURCES, name)
    for name in ("ants", "bees"):
        monkeypatch.setitem(SOURCES, name, Source(name, "noise", "folder", draw_noise))
    return fake


def run(tmp_path: Path, *only: str, **options: Any) -> dict[str, dict[str, Any]]:
    found = read_json(bench.run(only, folder=tmp_path / "work", **options))
    return {each["source"]: each for each in found["sources"]}


def test_all_sources_are_run_and_results_of_other_calls_stay(tmp_path: Path, growset: FakeGrowset) -> None:
    assert set(run(tmp_path, "ants")) == {"ants"}
    assert growset.calls == COMMANDS
    found = run(tmp_path, "bees")
    assert set(found) == {"ants", "bees"}
    assert found["bees"]["state"] == "done"
    assert (found["bees"]["minutes"], found["bees"]["planned"]) == (1, 1.5)
    assert found["bees"]["stages"] == {"scorer": 30.0}
    assert set(run(tmp_path)) == {"ants", "bees"}
    elsewhere = bench.run(["ants"], folder=tmp_path / "elsewhere")
    assert {each["source"] for each in read_json(elsewhere)["sources"]} == {"ants", "bees"}, "another folder's stay"


def test_a_second_call_goes_on_and_counts_only_calls_that_made_something(tmp_path: Path, growset: FakeGrowset) -> None:
    growset.ends["run"] = Ended(143, 120.0, ("growset: stopped in stage scorer of 'ants'",), True)
    stopped = run(tmp_path, "ants")["ants"]
    assert stopped["state"] == "stopped in run ants"
    assert (stopped["exit_code"], stopped["minutes"]) == (143, 2)
    kept = tmp_path / "work" / "ants" / "workspace" / "kept"
    kept.touch()
    growset.ends.clear()
    assert run(tmp_path, "ants")["ants"]["minutes"] == 3
    assert run(tmp_path, "ants")["ants"]["minutes"] == 3  # nothing was made
    assert growset.calls.count("plan") == 1  # of the whole run, and not of what was left
    assert kept.exists()


def test_another_recipe_or_other_images_begin_anew(
    tmp_path: Path, growset: FakeGrowset, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, "ants")
    kept = tmp_path / "work" / "ants" / "workspace" / "kept"
    kept.touch()
    growset.recipe = "steps: 500\n"
    assert run(tmp_path, "ants")["ants"]["minutes"] == 1
    assert not kept.exists()
    first = run(tmp_path, "ants")["ants"]["digest"]
    monkeypatch.setitem(SOURCES, "ants", Source("ants", "noise", "folder", lambda seed: draw_noise(seed + 1)))
    assert run(tmp_path, "ants")["ants"]["digest"] != first


def test_a_failure_is_kept_with_its_sentence_and_the_others_run(tmp_path: Path, growset: FakeGrowset) -> None:
    growset.ends["check"] = Ended(2, 1.0, ("growset: class ant is bad",), False)
    found = run(tmp_path)
    assert {each["state"] for each in found.values()} == {"failed in check ants", "failed in check bees"}
    assert found["ants"]["messages"] == ["growset: class ant is bad"]
    growset.ends["init"] = Ended(2, 1.0, ("growset: no layout",), False)
    assert run(tmp_path, "ants")["ants"]["state"] == "failed in init"


def test_without_time_nothing_is_begun_and_no_stage_after_the_last_one_wanted(
    tmp_path: Path, growset: FakeGrowset
) -> None:
    assert run(tmp_path, stop_after=0.01) == {}
    assert growset.calls == []
    found = run(tmp_path, "ants", until="baseline_classifiers")["ants"]
    wanted = [*upstream("baseline_classifiers"), "baseline_classifiers"]
    assert growset.calls == ["init", "check", *["materialize"] * len(wanted)]
    assert set(found["stages"]) == set(wanted)
    with pytest.raises(UserError, match="verdikt"):
        run(tmp_path, "ants", until="verdikt")


def test_a_missing_package_leaves_out_its_source_alone(
    tmp_path: Path, growset: FakeGrowset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(seed: int) -> Drawn:
        raise UserError("x is not there: install Debian's package ants")

    monkeypatch.setitem(SOURCES, "ants", Source("ants", "noise", "folder", fail))
    found = run(tmp_path)
    assert {name: each["state"] for name, each in found.items()} == {"ants": "not built", "bees": "done"}
    assert found["ants"]["messages"] == ["x is not there: install Debian's package ants"]


def test_an_unknown_source_is_refused_before_anything_is_built(tmp_path: Path, growset: FakeGrowset) -> None:
    with pytest.raises(UserError, match="there is no source 'wasps'"):
        run(tmp_path, "ants", "wasps")
    assert growset.calls == []


def test_a_command_s_messages_are_kept_and_its_lines_logged(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    ended = call_growset(["init", "here", "--source", "nowhere"], folder=tmp_path, log=log, seconds=60)
    assert ended.code == 2 and not ended.out_of_time
    assert ended.messages == ("growset: nowhere does not exist; --source names your images, a folder or a file",)
    assert "$ growset init here" in log.read_text() and "nowhere does not exist" in log.read_text()


def test_the_table_has_a_dash_where_nothing_was_reached() -> None:
    whole = {
        "source": "ants", "images": {"train": 10, "validation": 2, "test": 4}, "chance": 0.5, "state": "done",
        "baseline": {"arm": "mixup", "accuracy": 0.875, "balanced": 0.8},
        "reference": {"accuracy": 0.9, "balanced": 0.85}, "verdict": {"decision": "hurts", "generator_used": True},
        "accepted": {"accept_rate": 0.93}, "minutes": 4.26, "planned": 3.1, "messages": ["warning: so"],
        "until": "verdict",
    }  # fmt: skip
    failed = {"source": "bees", "state": "failed in init", "minutes": 0.02, "messages": []}
    head, first, second, message = format_table([whole, failed]).splitlines()
    assert head.split()[:2] == ["source", "train/val/test"]
    assert (
        "10/2/4" in first
        and "87.5 (80.0) mixup" in first
        and "93 %" in first
        and " 4.3  3.1 " in first
        and first.endswith("done, until verdict")
    )
    assert second.split() == ["bees", *6 * ["-"], "0.0", "-", "failed", "in", "init"]
    assert message == "ants: warning: so"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["bench", "kills", "--only", "x"], "the benchmark 'kills' has no option --only"),
        (["bench", "kills", "--stop-after", "3"], "the benchmark 'kills' has no option --stop-after"),
        (["bench", "parts"], "there is no benchmark 'parts'"),
    ],
)
def test_an_option_that_a_benchmark_has_not_is_refused(arguments: list[str], told: str) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert told in result.output


def test_the_folder_of_workspaces_is_in_the_user_s_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert bench.find_cache() == tmp_path / "growset" / "sources"


def test_minutes_of_a_call_that_was_interrupted_count(
    tmp_path: Path, growset: FakeGrowset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(arguments: list[str], **where: Any) -> Ended:
        if arguments[0] == "run":
            raise KeyboardInterrupt
        return growset(arguments, **where)

    monkeypatch.setattr(bench, "call_growset", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, "ants")
    assert 0 < read_json(tmp_path / "work" / "ants" / bench.MINUTES) < 0.5
    monkeypatch.setattr(bench, "call_growset", growset)
    assert run(tmp_path, "ants")["ants"]["minutes"] == pytest.approx(1, abs=0.5)
