"""Stage `generated_images`: all planned draws, in parallel pieces, and the pixel dataset that grows from them.

With several slices Dagster spreads `fill_slice` over its mapped steps, which only draw. The builder draws whatever is
still missing while it writes, so that the stage is complete whoever calls it; with one slice that is everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ops.datasets.pixels import read_images
from ops.generating import Drawing, follow
from ops.generators.assembly import Assembly
from ops.generators.folder import find_fastest
from ops.generators.generation import Draws, cut_slices
from ops.plan import ExpansionPlan
from ops.report.sheets import write_sheet
from ops.stage import Runtime, StageRun, identify, is_intact, read_manifest
from ops.storage import read_json
from ops.workspace import Workspace

STAGE = "generated_images"
PER_CLASS = 12  # images on the contact sheet


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
    sampler = find_fastest(workspace.output(expansion, "generator_onnx"))
    drawing = Drawing(assembly, sampler, recipe.seed, runtime)
    follow(drawing.draw(missing), missing, runtime)
    return sum(map(len, missing))


def build_generated_images(run: StageRun) -> dict[str, Any]:
    """Draw what is missing and write it as it comes; rows are ordered by class and draw."""
    assembly = _open(run.inputs, run.scratch)
    drawing = Drawing(assembly, find_fastest(run.inputs["generator_onnx"]), run.recipe.seed, run.runtime)
    drawing.run()
    _write_contact_sheet(run.out / "contact_sheet.png", assembly)
    precision = read_manifest(run.inputs["generator_onnx"])["metrics"]["precision"]
    return {"images": len(assembly), "provider": drawing.provider, "precision": precision}


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


def _write_contact_sheet(path: Path, assembly: Assembly) -> None:
    """The first images of each class, one row a class."""
    counts = [min(count, PER_CLASS) for count in assembly.draws.counts]
    rows = [start + i for start, count in zip(assembly.draws.starts, counts, strict=True) for i in range(count)]
    images = read_images([shard.path for shard in assembly.shards()], rows).reshape(-1, *assembly.shape)
    write_sheet(path, np.split(images, np.cumsum(counts)[:-1]))
