"""Run one stage exactly once: skip what is current, resume what was begun, publish the output by one rename.

Every door (Dagster, command line, DVC) comes through `materialize`. What a stage computes is its
builder's business (`ops.chain`); how its output is versioned is `ops.versioning`'s.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ops.environment import describe_environment
from ops.errors import DamagedData, EnvironmentFault, GrowsetError, UserError, find_fault
from ops.hashing import hash_file, hash_json
from ops.locks import exclusive, one_builder
from ops.parallel import available_cores, use_threads
from ops.progress import Progress, Sink, ignore
from ops.recipe.fingerprints import stage_fingerprint, stage_settings
from ops.recipe.schema import Recipe
from ops.recipe.stages import STAGES
from ops.storage import read_json, recover_folder, replace_folder, write_json
from ops.workspace import Workspace

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Runtime:
    """Knobs that change where and how fast things run, never what comes out."""

    device: str = "cpu"
    provider: str = "auto"
    allow_cpu_fallback: bool = False
    workers: int = field(default_factory=available_cores)
    batch_size: int | None = None  # images per call of the sampler; None: what is fastest here
    sink: Sink = ignore
    report_every: float = 15.0  # seconds between progress lines

    @property
    def has_sink(self) -> bool:
        return self.sink is not ignore

    def progress(self, label: str, total: int, unit: str) -> Progress:
        return Progress(self.sink, label, total, unit, interval=self.report_every)


@dataclass(frozen=True)
class StageRun:
    """What a builder gets: its settings, its inputs' folders, and the folders it may write to.

    `out` becomes the output; `scratch` holds unfinished work that a re-run finds again.
    """

    workspace: Workspace
    expansion: str
    stage: str
    recipe: Recipe
    inputs: Mapping[str, Path]
    out: Path
    scratch: Path
    fingerprint: str
    runtime: Runtime


@dataclass(frozen=True)
class Outcome:
    """What `materialize` did: `manifest` describes the output, `reused` says that nothing was computed."""

    manifest: dict[str, Any]
    folder: Path
    seconds: float
    reused: bool
    reused_from: str | None = None


Builder = Callable[[StageRun], dict[str, Any]]


def identify(
    workspace: Workspace, recipe: Recipe, expansion: str, stage: str, source: str | None = None
) -> dict[str, Any]:
    """Fingerprint of a stage, with the settings, version and input contents it follows from.

    `source` is the content hash of the source and belongs to the first stage only. DamagedData or
    UserError when an input is not there.
    """
    inputs = {name: read_manifest(workspace.output(expansion, name))["content"] for name in STAGES[stage].inputs}
    if source is not None:
        inputs["source"] = source
    if STAGES[stage].names_expansion:
        inputs["expansion"] = expansion
    settings, version = stage_settings(recipe, stage), workspace.stage_version(stage)
    return {
        "stage": stage,
        "version": version,
        "fingerprint": stage_fingerprint(stage, version, settings, inputs),
        "settings": settings,
        "inputs": inputs,
    }


def materialize(
    workspace: Workspace, expansion: str, stage: str, build: Builder, runtime: Runtime, *, source: str | None = None
) -> Outcome:
    """Make a stage's output current and say how.

    A current output is kept; an equal fingerprint in another expansion is copied; else `build` runs in
    the staging folder of the fingerprint and its result replaces the output by one rename.
    """
    recipe = workspace.load_recipe(expansion)
    target = workspace.output(expansion, stage)
    identity = identify(workspace, recipe, expansion, stage, source)
    fingerprint = identity["fingerprint"]
    with exclusive(workspace, expansion, stage), one_builder(workspace, fingerprint), _faults(expansion, stage):
        recover_folder(target)
        scratch = workspace.staging(fingerprint)
        if is_intact(target, fingerprint, every_byte=True):
            if scratch.exists():  # of a process that was killed after its output had appeared
                shutil.rmtree(scratch)
            return Outcome(read_manifest(target), target, 0.0, reused=True)
        started = time.monotonic()
        if twin := _find_twin(workspace, expansion, stage, fingerprint):
            copied = scratch / "copy"
            shutil.rmtree(copied) if copied.exists() else None
            shutil.copytree(workspace.output(twin, stage), copied)
            replace_folder(copied, target)
            shutil.rmtree(scratch)
            return Outcome(read_manifest(target), target, time.monotonic() - started, True, twin)
        out = scratch / "out"
        out.mkdir(parents=True, exist_ok=True)
        for torn in out.rglob(".*.tmp"):  # what a killed process was writing
            torn.unlink()
        run = StageRun(
            workspace,
            expansion,
            stage,
            _narrow(recipe, stage),
            {name: workspace.output(expansion, name) for name in STAGES[stage].inputs},
            out,
            scratch,
            fingerprint,
            runtime,
        )
        with use_threads(runtime.workers):
            metrics = build(run)
        seconds = time.monotonic() - started
        write_json(out / MANIFEST, describe_output(out, identity, metrics))
        replace_folder(out, target)
        shutil.rmtree(scratch)
        _record_seconds(workspace, expansion, stage, seconds)
        return Outcome(read_manifest(target), target, seconds, reused=False)


def describe_output(folder: Path, identity: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest: identity, every file's size and hash, their joint content hash, metrics, environment."""
    files = {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": hash_file(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }
    content = hash_json({name: entry["sha256"] for name, entry in files.items()})
    return {**identity, "content": content, "files": files, "metrics": metrics, "environment": describe_environment()}


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of an output; UserError if there is none, DamagedData if it cannot be read."""
    path = folder / MANIFEST
    if not path.exists():
        raise UserError(f"{folder} has no {MANIFEST}: run the stage that makes it, or `growset pull`")
    try:
        return read_json(path)
    except ValueError as error:
        raise DamagedData(f"{path} is not JSON: {error}") from None


def is_intact(folder: Path, fingerprint: str | None = None, *, every_byte: bool = False) -> bool:
    """Whether an output is complete (every file, right size) and, if given, of this fingerprint.

    `every_byte` reads the files: what is kept, copied or sent on must be what was written.
    """
    try:
        manifest = read_manifest(folder)
    except (UserError, DamagedData):  # none, or one that says nothing any more
        return False
    if fingerprint is not None and manifest["fingerprint"] != fingerprint:
        return False
    return all(
        (folder / name).is_file()
        and (folder / name).stat().st_size == entry["bytes"]
        and (not every_byte or hash_file(folder / name) == entry["sha256"])
        for name, entry in manifest["files"].items()
    )


def _narrow(recipe: Recipe, stage: str) -> Recipe:
    """The recipe with only the keys that the stage declares: reading another one is an AttributeError."""
    return Recipe.model_construct(**{key: getattr(recipe, key) for key in STAGES[stage].keys})


def _find_twin(workspace: Workspace, expansion: str, stage: str, fingerprint: str) -> str | None:
    """Another active expansion whose intact output has this fingerprint; a damaged one is nobody's twin."""
    for name in workspace.expansions:
        if name != expansion and is_intact(workspace.output(name, stage), fingerprint, every_byte=True):
            return name
    return None


@contextmanager
def _faults(expansion: str, stage: str) -> Iterator[None]:
    """Disk full, folder read-only: said in one sentence, with everything in place for a resume."""
    try:
        yield
    except GrowsetError:
        raise
    except Exception as error:
        if fault := find_fault(error):
            raise EnvironmentFault(f"stage {stage} of '{expansion}' stopped: {fault}") from error
        raise


def _record_seconds(workspace: Workspace, expansion: str, stage: str, seconds: float) -> None:
    path = workspace.timings(expansion)
    timings = read_json(path) if path.exists() else {}
    write_json(path, {**timings, stage: round(seconds, 2)})
