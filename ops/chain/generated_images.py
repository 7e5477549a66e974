"""Stage `generated_images`: rounds of drawing and scoring, until every class has the images that it needs.

The first round follows the plan; how many of its images pass the filters determines how many the next round draws. An
image is a function of generator, seed, unit (a class or a seed image) and draw; a score is a function of the image and
of the images that it is compared with. So rounds of an earlier output are reused, and a changed filter draws only the
missing images. The next stage decides which images are kept.

With several slices Dagster spreads the first round of every generator over its mapped steps, which only draw. The
builder draws everything that is still missing while it writes, so the stage is complete for any caller; with one slice
it draws all images.
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
from ops.chain.parts.kept_sampler import keep_sampler
from ops.chain.parts.rounds import Part, Rounds, describe_origin, open_round, take_round
from ops.chain.parts.units import Source, find_source
from ops.datasets.index import write_index
from ops.datasets.pixels import read_images
from ops.drawing.assembly import Assembly
from ops.drawing.drawing import Drawing, follow
from ops.drawing.pieces import Piece, cut_slices
from ops.files.outputs import CONTACT_SHEET, HELD_OUT_SCORES, IMAGINED, ROUNDS
from ops.files.storage import link_file, write_json
from ops.generators.diffusion_kind import find_precision
from ops.generators.folder import PSEUDO, read_config
from ops.imagination.criteria import Scores
from ops.pictures.sheets import write_sheet
from ops.planning.plan import ExpansionPlan, read_plan
from ops.planning.quota import plan_round, share_plan
from ops.recipe.stages import STAGES
from ops.stages.integrity import is_intact, require_intact
from ops.stages.materialization import Runtime, StageRun, identify, place_outputs
from ops.stages.refused import REFUSED, list_refused
from ops.stages.seen import LEARNT_FROM_POOL
from ops.stages.several import count_generators, derive_seed, place, place_inputs, read_part
from ops.stages.unused import UNUSED, explain_unused
from ops.workspaces.workspace import Workspace

PER_CLASS = 12  # images on the contact sheet


def plan_slices(workspace: Workspace, expansion: str, slices: int) -> int:
    """How many slices have images to draw: 0 if the output is current, or the builder draws everything or nothing."""
    recipe = workspace.load_recipe(expansion)
    require_intact(workspace, expansion, STAGES[STAGE].inputs)
    fingerprint = identify(workspace, recipe, expansion, STAGE)["fingerprint"]
    cache = workspace.hash_cache(expansion, STAGE)
    if slices == 1 or is_intact(workspace.output(expansion, STAGE), fingerprint, cache):
        return 0
    plan = read_plan(workspace.output(expansion, "expansion_plan"))
    if explain_unused(workspace.output(expansion, "generator_onnx"), _list_growing(plan)):
        return 0
    firsts = _open_firsts(workspace, expansion, recipe.seed, fingerprint)
    taken = [
        take_round(
            find_earlier(workspace, expansion, generator),
            describe_origin(first.inputs, first.seed, first.source),
            [first.assembly.draws.counts],
            first.assembly,
            place(workspace.staging(fingerprint), generator),
            first.source,
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
            drawing = Drawing(
                first.assembly,
                first.source.drawer,
                first.seed,
                runtime,
                first.source.seeds,
                first.source.worker_share,
            )
            follow(drawing.draw(missing), missing, runtime)
        drawn += sum(map(len, missing))
    return drawn


def build_generated_images(run: StageRun) -> dict[str, Any]:
    """Draw and score the images of each generator."""
    count = count_generators(run.inputs["generator_onnx"])
    return build_each(run, _generate_one, count, summed=("images", "rounds", "taken_over"))


def _generate_one(run: StageRun) -> dict[str, Any]:
    """Draw and score round after round; rows are ordered by round, unit and draw. Nothing, if it is not used."""
    plan = read_plan(run.inputs["expansion_plan"])
    if why := explain_unused(run.inputs["generator_onnx"], _list_growing(plan)):
        write_json(run.out / ROUNDS, {UNUSED: why, "rounds": []})
        return {"images": 0, "rounds": 0, "taken_over": 0}
    refused = list_refused(run.inputs["generator_onnx"])
    plan = plan.without(refused)
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
    imagined = {}
    if rounds.source.recorded is not None:
        records = rounds.join_records()
        write_index(run.out / rounds.source.recorded, records)
        imagined = _measure_imagination(records) if rounds.source.recorded == IMAGINED else {}
    if rounds.source.seeds is not None and rounds.source.recorded != IMAGINED:
        keep_sampler(run.inputs["generator_onnx"], run.out)
    # accepted_images records the pass counts, so a threshold that changes no round leaves this output unchanged.
    entries = [
        {"drawn": list(tally.drawn), "shards": shards} for tally, shards in zip(rounds.tallies, names, strict=True)
    ]
    varied = {} if (names_of := rounds.source.parents) is None else {"parents": names_of, REFUSED: refused}
    pool = read_config(run.inputs["generator_onnx"]).get(PSEUDO)
    learnt = {} if pool is None else {LEARNT_FROM_POOL: pool}
    record = {"drawn_by": rounds.drawn_by, "scored_by": rounds.scored_by, **varied, **learnt, "rounds": entries}
    write_json(run.out / ROUNDS, record)
    write_index(run.out / SCORES, pl.concat([part.scores for part in rounds.parts]))
    write_index(run.out / HELD_OUT_SCORES, rounds.real_scores)
    _write_contact_sheet(run.out / CONTACT_SHEET, rounds.parts[0])
    provider = rounds.source.drawer.choose_provider(run.runtime.provider, allow_fallback=run.runtime.allow_cpu_fallback)
    examined = read_part(run.inputs["generator_onnx"])["metrics"]["precision"]
    return {
        "images": sum(len(part.assembly) for part in rounds.parts),
        "rounds": len(rounds.parts),
        "taken_over": sum(len(part.assembly) for part in rounds.parts if part.taken_over),
        "provider": provider,
        "precision": find_precision(read_config(run.inputs["generator_onnx"]), provider) or examined,
        **imagined,
    }


def _measure_imagination(records: pl.DataFrame) -> dict[str, float]:
    """What imagining did to the scores, on average."""
    gains = [(pl.col(f"{name}_after") - pl.col(f"{name}_before")).alias(f"{name}_gain") for name in Scores._fields]
    means = records.select(*gains, "clamped").mean().row(0, named=True)
    return {name: round(value, 6) for name, value in means.items()}


@dataclass(frozen=True)
class _First:
    """A generator's first round, its folders of the stages' outputs, its source, and the seed of its noise."""

    assembly: Assembly
    inputs: dict[str, Path]
    source: Source
    seed: int


def _open_firsts(workspace: Workspace, expansion: str, seed: int, fingerprint: str) -> list[_First]:
    """Each generator's first round, including its pieces in the staging folder; `seed` is the recipe's."""
    needed = ("real_images", "expansion_plan", "scorer", "generator_onnx")
    folders = place_outputs(workspace, expansion, STAGE, needed)
    plan = read_plan(folders["expansion_plan"])
    firsts = []
    for generator in range(count_generators(folders["generator_onnx"])):
        inputs, scratch = place_inputs(folders, generator), place(workspace.staging(fingerprint), generator)
        source = find_source(inputs)
        own = plan.without(list_refused(inputs["generator_onnx"]))
        drawn = plan_round(share_plan(own, source.units), [], own.rounds)
        assembly = open_round(inputs, scratch, source, [], drawn)
        firsts.append(_First(assembly, inputs, source, derive_seed(seed, generator)))
    return firsts


def _list_growing(plan: ExpansionPlan) -> list[str]:
    """The names of the classes that are to grow."""
    return [entry.name for entry in plan.classes if entry.wanted]


def _list_pieces(firsts: Sequence[_First]) -> list[tuple[int, Piece]]:
    """All pieces of the first rounds, each with its generator's number."""
    return [(generator, piece) for generator, first in enumerate(firsts) for piece in first.assembly.pieces]


def _collect_shards(parts: list[Part], out: Path) -> list[list[str]]:
    """Link the rounds' files into `out`, numbered in order as one set; returns the file names of each round."""
    shards = [[shard.path for shard in part.assembly.shards()] for part in parts]
    total, done, names = sum(map(len, shards)), 0, []
    for paths in shards:
        names.append([f"generated-{done + i:05d}-of-{total:05d}.parquet" for i in range(len(paths))])
        done += len(paths)
        for path, name in zip(paths, names[-1], strict=True):
            link_file(path, out / name)
    return names


def _write_contact_sheet(path: Path, first: Part) -> None:
    """The first images of each class, one row per class. Variants: the first of each seed image, then the second."""
    draws, classes = first.assembly.draws, len(first.assembly.class_names)
    places, ks = draws.rows(0, len(draws))
    order = np.lexsort((places, ks))
    of_class = [order[draws.labels[places[order]] == label][:PER_CLASS] for label in range(classes)]
    images = read_images(first.shards, np.concatenate(of_class).tolist()).reshape(-1, *first.assembly.shape)
    write_sheet(path, np.split(images, np.cumsum([len(rows) for rows in of_class])[:-1]))
