"""`growset bench sources`: each source built, a workspace made by `growset init`, its recipe run untouched; one table.

Everything lies in a folder for each source, and a workspace goes on from where it was stopped. It is made anew where
the source's bytes or what `growset init` writes have changed. A change of code that raises no stage's version is not
noticed: delete the folder then. `minutes` is the time of all calls that made something, stopped ones included;
`planned` is what `growset plan` said before the first of them, where the whole chain is run.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.parts.harness import RESULTS, Row, describe_commit, write_result
from benchmarks.sources.commands import Ended, call_growset
from benchmarks.sources.measuring import measure, measure_stages
from benchmarks.sources.registry import SOURCES, Source
from benchmarks.sources.table import format_table
from benchmarks.sources.writing import digest_files
from ops.errors import UserError
from ops.files.storage import parse_json, read_json, write_json
from ops.machine.parallel import available_cores
from ops.recipe.stages import STAGES, upstream
from ops.settings.reading import read_yaml
from ops.workspaces.workspace import PARAMS, Workspace, check_stage_name, suggest

BENCHMARK, RESULT, MINUTES, PLANNED = "sources", "result.json", "minutes.json", "planned.json"
LEAST = 5.0  # seconds in which nothing can be begun any more


@dataclass(frozen=True)
class Clock:
    """`end` on the monotonic clock; None for no end."""

    end: float | None

    def left(self) -> float | None:
        return None if self.end is None else self.end - time.monotonic()

    def is_out(self) -> bool:
        left = self.left()
        return left is not None and left < LEAST


def run(
    only: Sequence[str] = (), *, until: str | None = None, stop_after: float | None = None, folder: Path | None = None
) -> Path:
    """Run the sources named, or all; write results/sources.json, which keeps the others that it has.

    `until`: the last stage that is made; `real_images` is enough for the reference model, `baseline_classifiers` trains
    no generator. By default the whole chain is run. `stop_after`: minutes for all together; what is unfinished then
    goes on with the next call. `folder`: of the workspaces, by default growset/sources in the user's cache.
    A source whose package is missing says so in its place. UserError for an unknown source or stage.
    """
    require_sources(only)
    if until is not None:
        check_stage_name(until)
    root = (folder or find_cache()).resolve()
    clock = Clock(None if stop_after is None else time.monotonic() + 60 * stop_after)
    for name in only or SOURCES:
        if clock.is_out():
            print(f"{name}: no time is left; the same command goes on", file=sys.stderr)
            continue
        print(f"{name}: {SOURCES[name].says}", file=sys.stderr, flush=True)
        write_json(root / name / RESULT, run_source(SOURCES[name], root / name, clock, until=until))
        found = _collect(root)
        print(format_table(found), file=sys.stderr, flush=True)
    return _write(root)


def require_sources(names: Sequence[str]) -> None:
    """UserError for a name that is not of a source."""
    for name in names:
        if name not in SOURCES:
            raise UserError(f"there is no source '{name}'; {suggest(name, sorted(SOURCES))}")


def find_cache() -> Path:
    """The folder of the workspaces where none is named."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "growset" / "sources"


def run_source(source: Source, folder: Path, clock: Clock, *, until: str | None) -> dict[str, Any]:
    """Build, init, check and run one source; what was found, also where a command failed or time ran out."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log.txt"
    result: dict[str, Any] = {
        "source": source.name,
        "says": source.says,
        "layout": source.layout,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": describe_commit(),
        "cores": available_cores(),
        "until": until,
    }
    try:
        result["digest"] = lay_source(source, folder)
    except UserError as missing:
        return {**result, "state": "not built", "minutes": 0.0, "messages": [str(missing)]}
    workspace, initialised, goes_on = _prepare(source.name, folder, log)
    if initialised.code:
        return {**result, **_describe_end("init", initialised), "minutes": round(initialised.seconds / 60, 2)}
    if until is None and not goes_on:
        write_json(folder / PLANNED, ask_plan(workspace, source.name, log))
    if (folder / PLANNED).exists():
        result["planned"] = read_json(folder / PLANNED)
    messages = list(initialised.messages)
    spent: float = read_json(folder / MINUTES) if goes_on and (folder / MINUTES).exists() else 0.0
    end: dict[str, Any] = {"state": "done"}
    for command in _list_commands(source.name, until):
        if clock.is_out():
            end = {"state": f"stopped before {' '.join(command)}"}
            break
        before, began, ended = measure_stages(workspace, source.name), time.monotonic(), None
        try:
            ended = call_growset(command, folder=workspace.root, log=log, seconds=clock.left())
        finally:  # also where this process is stopped
            if ended is None or ended.code or measure_stages(workspace, source.name) != before:
                spent += (ended.seconds if ended else time.monotonic() - began) / 60
                write_json(folder / MINUTES, spent)
        messages += ended.messages
        if ended.code:
            end = _describe_end(" ".join(command), ended)
            break
    # A result names no path of this machine.
    messages = list(dict.fromkeys(message.replace(f"{workspace.root}/", "") for message in messages))
    return {**result, **end, "minutes": round(spent, 2), "messages": messages, **measure(workspace, source.name)}


def lay_source(source: Source, folder: Path) -> str:
    """Build the source; one that lies there with the same bytes stays. Returns the digest of its files."""
    fresh = folder / "fresh"
    shutil.rmtree(fresh, ignore_errors=True)
    source.build(fresh)
    digest = digest_files(fresh / source.name)
    there = folder / source.name
    if not there.exists() or digest_files(there) != digest:
        for name in [path.name for path in fresh.iterdir()]:
            _remove(folder / name)
            (fresh / name).rename(folder / name)
    shutil.rmtree(fresh)
    return digest


def _prepare(name: str, folder: Path, log: Path) -> tuple[Workspace, Ended, bool]:
    """The workspace that `growset init` makes today, and whether it is the one that was there, with its work."""
    here, fresh = folder / "workspace", folder / "workspace-fresh"
    _remove(fresh)
    arguments = ["init", str(fresh), "--source", str(folder / name)]
    ended = call_growset(arguments, folder=folder, log=log, seconds=None)
    if ended.code:
        return Workspace(here), ended, False
    goes_on = here.exists() and _read_settings(here, name) == _read_settings(fresh, name)
    if goes_on:
        _remove(fresh)
    else:
        _remove(here)
        fresh.rename(here)
    return Workspace(here), ended, goes_on


def _read_settings(root: Path, name: str) -> tuple[str, str, Any]:
    """What decides the results of a workspace: its recipe, its source's description, the versions of the stages."""
    texts = [(root / kind / f"{name}.yaml").read_text(encoding="utf-8") for kind in ("recipes", "sources")]
    return texts[0], texts[1], read_yaml(root / PARAMS)["stage_versions"]


def ask_plan(workspace: Workspace, name: str, log: Path) -> float | None:
    """The minutes of the whole run by `growset plan`; None where it refuses."""
    ended = call_growset(["plan", name, "--json"], folder=workspace.root, log=log, seconds=None)
    return None if ended.code else round(parse_json(ended.last)["to_do_seconds"] / 60, 2)


def _list_commands(name: str, until: str | None) -> list[list[str]]:
    made = [["run", name]] if until is None else [["materialize", stage, name] for stage in (*upstream(until), until)]
    return [["check", name], *made]


def _describe_end(command: str, ended: Ended) -> dict[str, Any]:
    """How a command that did not succeed ended."""
    state = "stopped" if ended.out_of_time else "failed"
    return {"state": f"{state} in {command}", "exit_code": ended.code, "messages": list(ended.messages)}


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _collect(root: Path) -> list[dict[str, Any]]:
    return [read_json(path) for name in SOURCES if (path := root / name / RESULT).exists()]


def _write(root: Path) -> Path:
    """The results of this folder, and those that were kept before of sources that it has none of."""
    kept = RESULTS / f"{BENCHMARK}.json"
    before = read_json(kept)["sources"] if kept.exists() else []
    together = {each["source"]: each for each in (*before, *_collect(root))}
    found, rows = [together[name] for name in SOURCES if name in together], []
    for each in found:
        name = each["source"]
        rows.append(Row(f"{name}: minutes", round(each["minutes"], 2), "min"))
        if each.get("planned"):
            rows.append(Row(f"{name}: planned minutes", each["planned"], "min"))
        rows += [Row(f"{name}: seconds of {s}", each["stages"][s], "s") for s in STAGES if s in each.get("stages", {})]
        for key in ("baseline", "reference"):
            if key in each:
                rows.append(Row(f"{name}: {key}'s test accuracy", round(each[key]["accuracy"], 4), "share"))
        if "accepted" in each:
            rows.append(Row(f"{name}: accepted", each["accepted"]["accept_rate"], "share"))
    return write_result(BENCHMARK, rows, {}, sources=found)
