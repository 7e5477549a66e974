"""Run one stage exactly once: skip a current output, resume interrupted work, publish the output by one rename.

Every entry point (Dagster, command line, DVC) calls `materialize`. It does not know what a stage computes, which is
the builder's part (`ops.chain`), or how its output is versioned (`ops.history.dvc_repository`).
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ops.datasets.units import has_groups
from ops.datasets.unlabelled import find_growing
from ops.errors import DamagedData, EnvironmentFault, GrowsetError, UserError, find_fault
from ops.files.manifests import MANIFEST, describe_output, is_sealed, read_manifest
from ops.files.outputs import POLICY
from ops.files.storage import read_json, recover_folder, replace_folder, write_json
from ops.machine.parallel import available_cores, use_threads
from ops.machine.progress import Progress, Sink, ignore
from ops.recipe.fingerprints import is_idle, list_inputs, stage_fingerprint, stage_settings
from ops.recipe.schema import Recipe
from ops.recipe.settling import TrainingPolicy, read_policy, settle_recipe
from ops.recipe.stages import STAGES
from ops.stages.integrity import describe_files, find_stage_damage, is_intact, require_intact
from ops.stages.timing import record_seconds, time_work
from ops.workspaces.locks import exclusive, one_builder
from ops.workspaces.workspace import Workspace

REAL = "real_images"
INPUTS = "inputs.json"  # in a staging folder: size, inode and times of the files that the work there was computed from


@dataclass(frozen=True)
class Runtime:
    """Where and how fast things run. Another device or provider may change bits; no other setting here does."""

    device: str = "cpu"
    provider: str = "auto"
    allow_cpu_fallback: bool = False
    workers: int = field(default_factory=available_cores)
    batch_size: int | None = None  # images per call of the sampler; None: the fastest on this machine
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
    generator: int = 0  # number of the generator that the folders belong to (`ops.stages.several`)


@dataclass(frozen=True)
class Outcome:
    """Result of `materialize`: `manifest` describes the output, `reused` is True if nothing was computed.

    `reused_from` is the expansion whose output was copied.
    """

    manifest: dict[str, Any]
    folder: Path
    seconds: float
    reused: bool
    reused_from: str | None = None


Builder = Callable[[StageRun], dict[str, Any]]


def identify(
    workspace: Workspace, recipe: Recipe, expansion: str, stage: str, source: str | None = None
) -> dict[str, Any]:
    """Fingerprint of a stage, with the settings, version and input contents that determine it.

    `source`: content hash of the source, of stages that read one. DamagedData or UserError if an input is missing.
    """
    inputs = _identify_inputs(workspace, recipe, expansion, stage)
    if source is not None:
        inputs["source"] = source
    if STAGES[stage].names_expansion:
        inputs["expansion"] = expansion
    settings, version = stage_settings(recipe, stage), workspace.stage_version(stage)
    if STAGES[stage].repeats and settings[STAGES[stage].switch or ""] is not None:
        settings["stage_versions"] = {name: workspace.stage_version(name) for name in STAGES[stage].repeats}
    if STAGES[stage].judges and not is_idle(recipe, stage) and has_groups(workspace.output(expansion, REAL)):
        settings["one_draw"] = "group, by its share of the images"
    return {
        "stage": stage,
        "version": version,
        "fingerprint": stage_fingerprint(stage, version, settings, inputs),
        "settings": settings,
        "inputs": inputs,
    }


def _identify_inputs(workspace: Workspace, recipe: Recipe, expansion: str, stage: str) -> dict[str, str]:
    """The content of each input, or the shape of its images where that is all that matters; none for an idle stage."""
    table, found = STAGES[stage], dict[str, str]()
    for name in () if table.optional and is_idle(recipe, stage) else list_inputs(recipe, stage):
        manifest = read_manifest(workspace.output(expansion, name))
        if name in table.shaped_by:
            found[f"shape of {name}"] = "x".join(map(str, manifest["metrics"]["shape"]))
        else:
            found[name] = manifest["content"]
    return found


def materialize(
    workspace: Workspace,
    expansion: str,
    stage: str,
    build: Builder,
    runtime: Runtime,
    *,
    source: str | None = None,
    read_source: Callable[[], str] | None = None,
) -> Outcome:
    """Make a stage's output current and return how.

    A current output is kept. If another expansion has an output with the same fingerprint, it is copied. Otherwise
    `build` runs in the staging folder of the fingerprint, and its result replaces the output by one rename.

    Every byte of the inputs is compared with their manifests before and after `build`. After `build` the stage's
    identity is computed again: if the recipe, the source (`read_source`) or an input changed, nothing is recorded.

    Raises
    ------
    DamagedData : a file of an input differs from what its stage wrote.
    EnvironmentFault : the disk is full or read-only, or the recipe, the source or an input changed meanwhile.
    """
    if workspace.changes:
        raise ValueError("an output must follow from the recipe's file; write the changes into it first")
    workspace.load_recipe(expansion)  # report a mistake in it before waiting for a lock
    target, cache = workspace.output(expansion, stage), workspace.hash_cache(expansion, stage)
    with ExitStack() as held:
        held.enter_context(exclusive(workspace, expansion, stage))
        held.enter_context(_report_faults(expansion, stage))
        # Read again: another process may have recomputed the inputs while this one waited.
        recipe = workspace.load_recipe(expansion)
        names = list_inputs(recipe, stage)
        require_intact(workspace, expansion, names)
        identity = identify(workspace, recipe, expansion, stage, source)
        fingerprint = identity["fingerprint"]
        held.enter_context(one_builder(workspace, fingerprint))
        recover_folder(target)
        scratch = workspace.staging(fingerprint)
        if is_intact(target, fingerprint, cache):
            if scratch.exists():  # left by a process that was killed after its output appeared
                shutil.rmtree(scratch)
            return Outcome(read_manifest(target), target, 0.0, reused=True)
        started = time.monotonic()
        if origin := _copy_equal_output(workspace, expansion, stage, fingerprint, scratch / "copy"):
            replace_folder(scratch / "copy", target)
            shutil.rmtree(scratch)
            return Outcome(read_manifest(target), target, time.monotonic() - started, True, origin)
        inputs = place_outputs(workspace, expansion, stage, names)
        if decisive := {name: folder for name, folder in inputs.items() if name not in STAGES[stage].shaped_by}:
            _drop_outdated_work(scratch, decisive)
        out = scratch / "out"
        out.mkdir(parents=True, exist_ok=True)
        for torn in out.rglob(".*.tmp"):  # half-written files of a killed process
            torn.unlink()
        run = StageRun(
            workspace,
            expansion,
            stage,
            _narrow(settle_recipe(recipe, _read_policy(inputs)), stage),
            inputs,
            out,
            scratch,
            fingerprint,
            runtime,
        )
        with time_work(scratch) as count_seconds, use_threads(runtime.workers):
            metrics = build(run)
        seconds = time.monotonic() - started
        _require_unchanged(run, identity, read_source() if read_source else source)
        write_json(out / MANIFEST, describe_output(out, identity, metrics))
        replace_folder(out, target)
        shutil.rmtree(scratch)
        record_seconds(workspace, expansion, stage, count_seconds())
        return Outcome(read_manifest(target), target, seconds, reused=False)


def place_outputs(workspace: Workspace, expansion: str, stage: str, names: Iterable[str]) -> dict[str, Path]:
    """The folders of these inputs of a stage; where it grows images, the real images are those that are expanded."""
    folders = {name: workspace.output(expansion, name) for name in names}
    if STAGES[stage].grows and REAL in folders:
        folders[REAL] = find_growing(folders[REAL])
    return folders


def _drop_outdated_work(scratch: Path, inputs: Mapping[str, Path]) -> None:
    """Delete unfinished work if a file of its inputs was written since it began, even if only damaged and repaired.

    A killed process never compared its inputs at the end, so its unfinished work may come from unknown bytes.
    """
    record, now = scratch / INPUTS, {name: describe_files(folder) for name, folder in inputs.items()}
    if record.exists() and read_json(record) != now:
        shutil.rmtree(scratch)
    if not record.exists():
        write_json(record, now)


def _require_unchanged(run: StageRun, identity: Mapping[str, Any], source: str | None) -> None:
    """Raise if the recipe, the source or an input changed while the stage ran."""
    try:
        require_intact(run.workspace, run.expansion, run.inputs)
    except GrowsetError:
        shutil.rmtree(run.scratch)  # computed from unknown bytes
        raise
    recipe = run.workspace.load_recipe(run.expansion)
    now = identify(run.workspace, recipe, run.expansion, run.stage, source)
    if now["fingerprint"] != identity["fingerprint"]:
        changed = [key for key in ("version", "settings", "inputs") if now[key] != identity[key]]
        if "inputs" in changed:
            shutil.rmtree(run.scratch)  # computed partly from the former inputs, partly from the new ones
        raise EnvironmentFault(
            f"the {' and '.join(changed)} of stage {run.stage} of '{run.expansion}' changed while it ran; nothing was"
            f" recorded, run it again: growset run {run.expansion}"
        )


OTHER_ORIGIN = {"version": "another version of the stage", "settings": "other settings", "inputs": "other inputs"}


@dataclass(frozen=True)
class Staleness:
    """Why an output is not current; `why` completes a sentence that begins with the stage."""

    why: str
    damaged: bool = False


def find_staleness(
    workspace: Workspace,
    expansion: str,
    stage: str,
    recipe: Recipe,
    source: str | None = None,
    *,
    files: bool = True,
) -> Staleness | None:
    """Why an output does not follow from the present recipe, version and inputs; None if it does.

    `source` is the content hash of the source and belongs to stages that read one. Without `files` the manifest alone
    is compared, and damage of a file is not noticed.
    """
    try:
        manifest = read_manifest(workspace.output(expansion, stage))
        if not is_sealed(manifest):
            return Staleness("was made by an earlier Growset")
        if files and (damage := find_stage_damage(workspace, expansion, stage)):
            return Staleness(f"is damaged: {damage}", damaged=True)
    except UserError:
        return Staleness("is missing")
    except DamagedData as error:
        return Staleness(f"is damaged: {error}", damaged=True)
    try:
        now = identify(workspace, recipe, expansion, stage, source)
    except GrowsetError:
        return Staleness("has no intact inputs")
    kept = dict(manifest["inputs"])
    if recipe.on_new_images == "keep_generator":  # a kept generator's manifest also names its training images
        kept.pop("trained_on", None)
    for key, before in (("version", manifest.get("version")), ("settings", manifest.get("settings")), ("inputs", kept)):
        if now[key] != before:
            return Staleness(f"was made from {OTHER_ORIGIN[key]}")
    return None


def _narrow(recipe: Recipe, stage: str) -> Recipe:
    """The recipe reduced to the keys that the stage declares: reading any other key is an AttributeError."""
    kept: dict[str, Any] = {}
    for key in STAGES[stage].keys:
        section, _, name = key.partition(".")
        value = getattr(recipe, section)
        if name:
            setattr(kept.setdefault(section, SimpleNamespace()), name, getattr(value, name))
        else:
            kept[section] = value
    narrow = Recipe.model_construct(**kept)
    for optional in vars(narrow).keys() - kept.keys():  # which got their defaults
        del vars(narrow)[optional]
    return narrow


def _read_policy(inputs: Mapping[str, Path]) -> TrainingPolicy | None:
    """What validation chose, for a stage that trains classifiers."""
    return read_policy(read_json(inputs["training_policy"] / POLICY)) if "training_policy" in inputs else None


def _copy_equal_output(workspace: Workspace, expansion: str, stage: str, fingerprint: str, copy: Path) -> str | None:
    """Copy an output with this fingerprint from another active expansion; return its name, or None if there is none.

    Output and copy are compared with their manifests: damaged outputs are never shared.
    """
    for name in workspace.expansions:
        folder = workspace.output(name, stage)
        if name == expansion or not is_intact(folder, fingerprint, workspace.hash_cache(name, stage)):
            continue
        if copy.exists():
            shutil.rmtree(copy)
        shutil.copytree(folder, copy)
        if is_intact(copy, fingerprint):
            return name
    return None


@contextmanager
def _report_faults(expansion: str, stage: str) -> Iterator[None]:
    """Turn an error of the machine (disk full, folder read-only) into an EnvironmentFault; a re-run resumes."""
    try:
        yield
    except GrowsetError:
        raise
    except Exception as error:
        if fault := find_fault(error):
            raise EnvironmentFault(f"stage {stage} of '{expansion}' stopped: {fault}") from error
        raise
