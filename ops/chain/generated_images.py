"""Stage `generated_images`: rounds of drawing and scoring, until every class has the images that it needs.

The first round draws what the plan says; which of its images pass the filters decides what the next one draws. An
image is a function of generator, seed, unit (a class or a seed image) and draw, a score of the image and what it is
compared with: rounds that an earlier output holds are taken over, so that a changed filter draws only what is missing.
Which images are kept in the end is the next stage's decision.

With several slices Dagster spreads the first round of every generator over its mapped steps, which only draw. The
builder draws whatever is still missing while it writes, so that the stage is complete whoever calls it; with one slice
that is everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ops.chain.parts.each import build_each
from ops.chain.parts.earlier import SCORES, STAGE, find_earlier
from ops.chain.parts.rounds import Part, Rounds, describe_origin, open_round
from ops.chain.parts.units import Source, find_source
from ops.datasets.index import write_index
from ops.datasets.pixels import read_images
from ops.drawing.assembly import Assembly
from ops.drawing.drawing import Drawing, follow
from ops.drawing.pieces import Piece, cut_slices
from ops.files.outputs import CONTACT_SHEET, HELD_OUT_SCORES, ROUNDS
from ops.files.storage import link_file, write_json
from ops.pictures.sheets import write_sheet
from ops.planning.plan import read_plan
from ops.planning.quota import plan_round, share_plan
from ops.recipe.stages import STAGES
from ops.stages.integrity import is_intact, require_intact
from ops.stages.materialization import Runtime, StageRun, identify
from ops.stages.several import count_generators, derive_seed, place, place_inputs, read_part
from ops.workspaces.workspace import Workspace

PER_CLASS = 12  # images on the contact sheet


def plan_slices(workspace: Workspace, expansion: str, slices: int) -> int:
    """How many slices have draws to make: 0 when the output is current, or when the builder makes them all."""
    recipe = workspace.load_recipe(expansion)
    require_intact(workspace, expansion, STAGES[STAGE].inputs)
    fingerprint = identify(workspace, recipe, expansion, STAGE)["fingerprint"]
    cache = workspace.hash_cache(expansion, STAGE)
    if slices == 1 or is_intact(workspace.output(expansion, STAGE), fingerprint, cache):
        return 0
    firsts = _open_firsts(workspace, expansion, recipe.seed, fingerprint)
    taken = [
        find_earlier(workspace, expansion, generator).take_shards(
            describe_origin(first.inputs, first.seed, first.source),
            [first.assembly.draws.counts],
            first.assembly.shards(),
        )
        for generator, first in enumerate(firsts)
    ]
    return 0 if all(taken) else len(cut_slices(_list_pieces(firsts), slices))


def fill_slice(workspace: Workspace, expansion: str, index: int, slices: int, runtime: Runtime) -> int:
    """Draw the missing pieces of slice `index` of the first rounds; returns how many images it drew."""
    recipe = workspace.load_recipe(expansion)
    require_intact(workspace, expansion, STAGES[STAGE].inputs)
    fingerprint = identify(workspace, recipe, expansion, STAGE)["fingerprint"]
    firsts = _open_firsts(workspace, expansion, recipe.seed, fingerprint)
    mine = set(cut_slices(_list_pieces(firsts), slices)[index])
    drawn = 0
    for generator, first in enumerate(firsts):
        missing = [piece for piece in first.assembly.missing() if (generator, piece) in mine]
        if missing:
            drawing = Drawing(first.assembly, first.source.drawer, first.seed, runtime, first.source.seeds)
            follow(drawing.draw(missing), missing, runtime)
        drawn += sum(map(len, missing))
    return drawn


def build_generated_images(run: StageRun) -> dict[str, Any]:
    """The images of each generator."""
    count = count_generators(run.inputs["generator_onnx"])
    return build_each(run, _generate_one, count, summed=("images", "rounds", "taken_over"))


def _generate_one(run: StageRun) -> dict[str, Any]:
    """Draw and score round after round; rows are ordered by round, unit and draw."""
    plan = read_plan(run.inputs["expansion_plan"])
    rounds = Rounds(run, len(plan.classes))
    quotas = share_plan(plan, rounds.source.units)
    while any(drawn := plan_round(quotas, rounds.tallies, plan.rounds)):
        part = rounds.make(drawn)
        accepted, wanted = sum(sum(tally.accepted) for tally in rounds.tallies), plan.wanted
        run.runtime.sink(
            f"generated_images: round {len(rounds.parts)}: {sum(part.tally.accepted):,} of {sum(drawn):,} images pass,"
            f" {accepted:,} in all; {wanted:,} wanted"
        )
    names = _collect_shards(rounds.parts, run.out)
    # What passes is left to the next stage: this output must stay what it is where another threshold changes no round.
    entries = [
        {"drawn": list(tally.drawn), "shards": shards} for tally, shards in zip(rounds.tallies, names, strict=True)
    ]
    parents = {} if (names_of := rounds.source.parents) is None else {"parents": names_of}
    record = {"drawn_by": rounds.drawn_by, "scored_by": rounds.scored_by, **parents, "rounds": entries}
    write_json(run.out / ROUNDS, record)
    write_index(run.out / SCORES, pl.concat([part.scores for part in rounds.parts]))
    write_index(run.out / HELD_OUT_SCORES, rounds.real_scores)
    _write_contact_sheet(run.out / CONTACT_SHEET, rounds.parts[0])
    return {
        "images": sum(len(part.assembly) for part in rounds.parts),
        "rounds": len(rounds.parts),
        "taken_over": sum(len(part.assembly) for part in rounds.parts if part.taken_over),
        "provider": rounds.source.drawer.choose_provider(
            run.runtime.provider, allow_fallback=run.runtime.allow_cpu_fallback
        ),
        "precision": read_part(run.inputs["generator_onnx"])["metrics"]["precision"],
    }


@dataclass(frozen=True)
class _First:
    """The first round of a generator, the stages' folders as that one sees them, its source, and its noise's seed."""

    assembly: Assembly
    inputs: dict[str, Path]
    source: Source
    seed: int


def _open_firsts(workspace: Workspace, expansion: str, seed: int, fingerprint: str) -> list[_First]:
    """Each generator's first round, with what of it lies in the staging folder; `seed` is the recipe's."""
    folders = {name: workspace.output(expansion, name) for name in ("real_images", "expansion_plan", "generator_onnx")}
    plan = read_plan(folders["expansion_plan"])
    firsts = []
    for generator in range(count_generators(folders["generator_onnx"])):
        inputs, scratch = place_inputs(folders, generator), place(workspace.staging(fingerprint), generator)
        source = find_source(inputs)
        drawn = plan_round(share_plan(plan, source.units), [], plan.rounds)
        assembly = open_round(inputs, scratch, source.units, [], drawn)
        firsts.append(_First(assembly, inputs, source, derive_seed(seed, generator)))
    return firsts


def _list_pieces(firsts: Sequence[_First]) -> list[tuple[int, Piece]]:
    """All pieces of the first rounds, each with its generator's number."""
    return [(generator, piece) for generator, first in enumerate(firsts) for piece in first.assembly.pieces]


def _collect_shards(parts: list[Part], out: Path) -> list[list[str]]:
    """Give the rounds' files the names of one set, in order; returns those of each round."""
    shards = [[shard.path for shard in part.assembly.shards()] for part in parts]
    total, done, names = sum(map(len, shards)), 0, []
    for paths in shards:
        names.append([f"generated-{done + i:05d}-of-{total:05d}.parquet" for i in range(len(paths))])
        done += len(paths)
        for path, name in zip(paths, names[-1], strict=True):
            link_file(path, out / name)
    return names


def _write_contact_sheet(path: Path, first: Part) -> None:
    """The first images of each class, one row a class; of variants one of each seed image, then the next one."""
    draws, classes = first.assembly.draws, len(first.assembly.class_names)
    places, ks = draws.rows(0, len(draws))
    order = np.lexsort((places, ks))
    of_class = [order[draws.labels[places[order]] == label][:PER_CLASS] for label in range(classes)]
    images = read_images(first.shards, np.concatenate(of_class).tolist()).reshape(-1, *first.assembly.shape)
    write_sheet(path, np.split(images, np.cumsum([len(rows) for rows in of_class])[:-1]))
