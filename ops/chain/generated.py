"""Stage `generated_images`: all planned draws, in parallel pieces, and the pixel dataset that grows from them.

With several slices Dagster spreads `fill_slice` over its mapped steps, which only draw. The builder draws whatever is
still missing while it writes, so that the stage is complete whoever calls it; with one slice that is everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ops.datasets.pixels import read_images
from ops.generators.assembly import Assembly
from ops.generators.batching import resolve_batch_size
from ops.generators.engine import choose_provider
from ops.generators.folder import find_sampler
from ops.generators.generation import Draws, Piece, cut_slices, fill_pieces
from ops.generators.utilisation import measure_utilisation
from ops.plan import ExpansionPlan
from ops.report.sheets import write_sheet
from ops.stage import Runtime, StageRun, identify, is_intact, read_manifest
from ops.storage import read_json
from ops.workspace import Workspace

STAGE = "generated_images"
PER_CLASS = 12  # images on the contact sheet
MEASURED = 5_000  # images from which on the machine's utilisation is worth measuring


def plan_slices(workspace: Workspace, expansion: str, slices: int) -> int:
    """How many slices have draws to make: 0 when the output is current, or when the builder makes them all."""
    recipe = workspace.load_recipe(expansion)
    fingerprint = identify(workspace, recipe, expansion, STAGE)["fingerprint"]
    if slices == 1 or is_intact(workspace.output(expansion, STAGE), fingerprint):
        return 0
    return len(cut_slices(_open_staged(workspace, expansion, fingerprint).pieces, slices))


def fill_slice(workspace: Workspace, expansion: str, index: int, slices: int, runtime: Runtime) -> int:
    """Draw the missing pieces of slice `index` into the staging folder; returns how many images it drew."""
    recipe = workspace.load_recipe(expansion)
    fingerprint = identify(workspace, recipe, expansion, STAGE)["fingerprint"]
    assembly = _open_staged(workspace, expansion, fingerprint)
    mine = set(cut_slices(assembly.pieces, slices)[index])
    missing = [piece for piece in assembly.missing() if piece in mine]
    sampler = find_sampler(workspace.output(expansion, "generator_onnx"))
    _follow(_draw(missing, assembly, sampler, recipe.seed, runtime), missing, runtime)
    return sum(map(len, missing))


def build_generated_images(run: StageRun) -> dict[str, Any]:
    """Draw what is missing and write it as it comes; rows are ordered by class and draw."""
    assembly = _open(run.inputs, run.scratch)
    sampler = find_sampler(run.inputs["generator_onnx"])

    def draw(missing: Sequence[Piece]) -> Iterable[Piece]:
        return _draw(missing, assembly, sampler, run.recipe.seed, run.runtime)

    missing = assembly.missing()
    seconds = _follow(assembly.write(draw), missing, run.runtime)
    provider = choose_provider(run.runtime.provider, allow_fallback=run.runtime.allow_cpu_fallback)
    images = sum(map(len, missing))
    if run.runtime.has_sink and images >= MEASURED:
        workers = run.runtime.workers
        told = measure_utilisation(sampler, images=images, seconds=seconds, provider=provider, processes=workers)
        run.runtime.sink(f"utilisation: {told}") if told else None
    _write_contact_sheet(run.out / "contact_sheet.png", assembly)
    return {"images": len(assembly), "provider": provider, "precision": "fp32"}


def _open_staged(workspace: Workspace, expansion: str, fingerprint: str) -> Assembly:
    inputs = {name: workspace.output(expansion, name) for name in ("expansion_plan", "generator_onnx")}
    return _open(inputs, workspace.staging(fingerprint))


def _open(inputs: Mapping[str, Path], scratch: Path) -> Assembly:
    """The set that the inputs lead to, with what of it lies in the staging folder."""
    plan = ExpansionPlan.from_dict(read_json(inputs["expansion_plan"] / "plan.json"))
    config = read_json(inputs["generator_onnx"] / "config.json")
    return Assembly(
        draws=Draws(tuple(entry.drawn for entry in plan.classes)),
        shape=(config["height"], config["width"], config["channels"]),
        class_names=tuple(config["class_names"]),
        pieces_folder=scratch / "pieces",
        out=scratch / "out",
        id_prefix=f"g{read_manifest(inputs['generator_onnx'])['content'][:8]}",
    )


def _draw(pieces: Sequence[Piece], assembly: Assembly, sampler: Path, seed: int, runtime: Runtime) -> Iterable[Piece]:
    provider = choose_provider(runtime.provider, allow_fallback=runtime.allow_cpu_fallback)
    batch_size = resolve_batch_size(
        runtime.batch_size,
        sampler,
        provider=provider,
        pixels=assembly.image_bytes,
        piece=assembly.piece_size,
        images=sum(map(len, pieces)),
    )
    return fill_pieces(
        assembly.pieces_folder,
        pieces,
        sampler,
        draws=assembly.draws,
        seed=seed,
        provider=provider,
        workers=runtime.workers,
        batch_size=batch_size,
    )


def _follow(drawn: Iterable[Piece], missing: Sequence[Piece], runtime: Runtime) -> float:
    """Go through the pieces as they come and show how far they are; returns the seconds it took."""
    progress = runtime.progress("generation", sum(map(len, missing)), "images")
    progress.begin(0)
    done = 0
    for piece in drawn:
        done += len(piece)
        progress.update(done)
    return progress.clock() - progress.started


def _write_contact_sheet(path: Path, assembly: Assembly) -> None:
    """The first images of each class, one row a class."""
    counts = [min(count, PER_CLASS) for count in assembly.draws.counts]
    rows = [start + i for start, count in zip(assembly.draws.starts, counts, strict=True) for i in range(count)]
    images = read_images([shard.path for shard in assembly.shards()], rows).reshape(-1, *assembly.shape)
    write_sheet(path, np.split(images, np.cumsum(counts)[:-1]))
