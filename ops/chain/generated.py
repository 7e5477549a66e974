"""Stage `generated_images`: all planned draws, in parallel pieces, then one pixel dataset.

Dagster spreads `fill_slice` over its mapped steps; the builder fills whatever is still missing, so that
the stage is complete whoever calls it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ops.datasets.pixels import PixelDataset, build_rows, write_shards
from ops.generators.engine import choose_provider
from ops.generators.folder import find_sampler
from ops.generators.generation import (
    Piece,
    cut_pieces,
    cut_slices,
    fill_pieces,
    image_ids,
    missing_pieces,
    read_pieces,
)
from ops.plan import ExpansionPlan
from ops.report.sheets import rows_by_class, write_sheet
from ops.stage import Runtime, StageRun, identify, is_intact, read_manifest
from ops.storage import read_json
from ops.workspace import Workspace

STAGE = "generated_images"
PIECES = "pieces"


def plan_pieces(folder: Path) -> list[Piece]:
    """The pieces of an expansion_plan output."""
    plan = ExpansionPlan.from_dict(read_json(folder / "plan.json"))
    return cut_pieces([entry.drawn for entry in plan.classes])


def plan_slices(workspace: Workspace, expansion: str, slices: int) -> int:
    """How many slices have work: 0 when the output is current."""
    recipe = workspace.load_recipe(expansion)
    fingerprint = identify(workspace, recipe, expansion, STAGE)["fingerprint"]
    if is_intact(workspace.output(expansion, STAGE), fingerprint):
        return 0
    return len(cut_slices(plan_pieces(workspace.output(expansion, "expansion_plan")), slices))


def fill_slice(workspace: Workspace, expansion: str, index: int, slices: int, runtime: Runtime) -> int:
    """Draw the missing pieces of slice `index` into the staging folder; returns how many images it drew."""
    recipe = workspace.load_recipe(expansion)
    fingerprint = identify(workspace, recipe, expansion, STAGE)["fingerprint"]
    pieces = cut_slices(plan_pieces(workspace.output(expansion, "expansion_plan")), slices)[index]
    folder = workspace.staging(fingerprint) / PIECES
    sampler = find_sampler(workspace.output(expansion, "generator_onnx"))
    return _fill(folder, pieces, sampler, recipe.seed, runtime)


def build_generated_images(run: StageRun) -> dict[str, Any]:
    """Fill what is missing, then assemble; rows are ordered by class and draw."""
    pieces = plan_pieces(run.inputs["expansion_plan"])
    onnx = run.inputs["generator_onnx"]
    folder = run.scratch / PIECES
    _fill(folder, pieces, find_sampler(onnx), run.recipe.seed, run.runtime)
    names = tuple(read_json(onnx / "config.json")["class_names"])
    ids, columns = image_ids(pieces, read_manifest(onnx)["content"])
    rows = build_rows(columns["label"], ids, split="train", is_generated=True, rounds=[0] * len(ids), ks=columns["k"])
    dataset = PixelDataset(read_pieces(folder, pieces), rows, names)
    write_shards(run.out, dataset, prefix="generated")
    write_sheet(run.out / "contact_sheet.png", rows_by_class(dataset.images, dataset.labels, len(names), 12))
    provider = choose_provider(run.runtime.provider, allow_fallback=run.runtime.allow_cpu_fallback)
    return {"images": len(dataset), "provider": provider, "precision": "fp32"}


def _fill(folder: Path, pieces: list[Piece], sampler: Path, seed: int, runtime: Runtime) -> int:
    provider = choose_provider(runtime.provider, allow_fallback=runtime.allow_cpu_fallback)
    missing = sum(piece.count for piece in missing_pieces(folder, pieces))
    progress = runtime.progress("generation", missing, "images")
    progress.begin(0)
    done = 0
    for piece in fill_pieces(
        folder, pieces, sampler, seed=seed, provider=provider, workers=runtime.workers, batch_size=runtime.batch_size
    ):
        done += piece.count
        progress.update(done)
    return done
