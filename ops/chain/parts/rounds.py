"""The rounds of generation: each is drawn or reused from an earlier output, scored and counted.

Unfinished work of round r is in `round-<r>` of the scratch folder, where a resumed run finds it. `ops.planning.quota`
decides how many images a round draws; the stage decides what happens with the rounds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from ops.chain.parts.earlier import SCORES, Earlier, find_earlier
from ops.chain.parts.external_networks import describe_external_networks
from ops.chain.parts.scoring import Scoring, list_scores
from ops.chain.parts.units import Source, find_source
from ops.datasets.index import write_index
from ops.drawing.assembly import Assembly
from ops.drawing.drawing import Drawing
from ops.drawing.pieces import Draws
from ops.files.hashing import hash_json
from ops.files.manifests import join_hashes, read_manifest
from ops.files.outputs import (
    GATE,
    HELD_OUT_SCORES,
    IMAGINATION_FACTS,
    IMAGINATION_SHEET,
    PARITY,
    USABILITY,
)
from ops.files.storage import read_json
from ops.filters.rules import Limit, count_passing, find_reasons, set_limits
from ops.generators.diffusion_kind import identify_pixels
from ops.generators.drawers import FLAGGED
from ops.generators.folder import CARD, CONFIG, read_config
from ops.planning.quota import Round
from ops.stages.materialization import StageRun
from ops.stages.several import derive_seed, read_part

NOT_DRAWN_WITH = (USABILITY, GATE, IMAGINATION_FACTS, IMAGINATION_SHEET)  # files of an exported generator


@dataclass(frozen=True, eq=False)
class Part:
    """A finished round: its files, one row of scores per image, its counts, and whether its images were reused.

    records : how each image came about, where the drawer records it.
    """

    assembly: Assembly
    scores: pl.DataFrame
    tally: Round
    taken_over: bool
    records: pl.DataFrame | None

    @property
    def shards(self) -> list[Path]:
        return [shard.path for shard in self.assembly.shards()]


class Rounds:
    """The rounds of one run of the stage `generated_images`.

    drawn_by, scored_by: hashes of everything that determines the images and the scores, but the numbers drawn; an
    earlier output with equal hashes can be reused. source: the drawer and its units.
    """

    def __init__(self, run: StageRun, classes: int) -> None:
        self.parts: list[Part] = []
        self.source = find_source(run.inputs)
        self._seed = derive_seed(run.recipe.seed, run.generator)
        self.drawn_by = describe_origin(run.inputs, self._seed, self.source)
        real, scorer = (read_manifest(run.inputs[name])["content"] for name in ("real_images", "scorer"))
        settings = run.recipe.filter
        self.scored_by = hash_json([self.drawn_by, real, scorer, describe_external_networks(settings)])
        self._run = run
        self._classes = classes
        self._scoring = Scoring(
            run.inputs,
            settings,
            run.workspace.root,
            varied=self.source.seeds is not None,
        )
        self._earlier = find_earlier(run.workspace, run.expansion, run.generator)

    @property
    def tallies(self) -> list[Round]:
        """What was drawn and accepted in each round so far."""
        return [part.tally for part in self.parts]

    def join_records(self) -> pl.DataFrame:
        """How the images of all rounds came about; in one piece, so that equal frames give equal bytes."""
        return pl.concat([part.records for part in self.parts if part.records is not None], rechunk=True)

    @cached_property
    def real_scores(self) -> pl.DataFrame:
        """The scores of held-out real images, which set the rules' thresholds."""
        path = self._run.scratch / HELD_OUT_SCORES
        if not path.exists():
            table = self._earlier.take_real_scores(self.scored_by)
            write_index(path, self._scoring.score_real() if table is None else table)
        return pl.read_parquet(path, glob=False)

    def make(self, drawn: tuple[int, ...]) -> Part:
        """Make the next round, with `drawn` images of each unit."""
        run, before, source = self._run, [tally.drawn for tally in self.tallies], self.source
        assembly = open_round(run.inputs, run.scratch, source, before, drawn)
        taken = take_round(self._earlier, self.drawn_by, [*before, drawn], assembly, run.scratch, source)
        Drawing(assembly, source.drawer, self._seed, run.runtime, source.seeds, source.worker_share).run()
        records = None
        if source.recorded is not None:
            kept = _folder(run.scratch, len(before)) / source.recorded
            records = pl.read_parquet(kept, glob=False) if kept.exists() else assembly.read_records()
        scores = self._find_scores(assembly, [*before, drawn], records)
        broken = find_reasons(list_scores(scores), scores["label"].to_numpy(), self._limits)
        places = assembly.draws.rows(0, len(assembly))[0]
        tally = Round(drawn, tuple(count_passing(broken, places, len(drawn)).tolist()))
        self.parts.append(Part(assembly, scores, tally, taken, records))
        return self.parts[-1]

    @cached_property
    def _limits(self) -> list[Limit]:
        return set_limits(
            list_scores(self.real_scores),
            self.real_scores["label"].to_numpy(),
            self._classes,
            self._run.recipe.filter,
        )

    def _find_scores(
        self, assembly: Assembly, drawn: Sequence[tuple[int, ...]], records: pl.DataFrame | None
    ) -> pl.DataFrame:
        """The scores of the last round in `drawn`: read from the scratch folder, reused, or computed."""
        number, shards = len(drawn) - 1, [shard.path for shard in assembly.shards()]
        path = _folder(self._run.scratch, number) / SCORES
        if not path.exists():
            table = self._earlier.take_scores(self.scored_by, drawn)
            if table is None:
                self._run.runtime.sink(f"generated_images: scoring {len(assembly)} images")
                flagged = records[FLAGGED].to_numpy() if records is not None and FLAGGED in records.columns else None
                write_index(path, self._scoring.score(shards, number, flagged))
                return pl.read_parquet(path, glob=False)
            write_index(path, table)
        self._scoring.skip(shards)
        return pl.read_parquet(path, glob=False)


def describe_origin(inputs: Mapping[str, Path], seed: int, source: Source) -> str:
    """Hash of everything that determines the images of every round, but the numbers drawn; `seed` is the noise's.

    For variants it includes their seed images, for imagined ones the scorer too.
    """
    origin = [hash_sampler(inputs["generator_onnx"]), seed]
    return hash_json(origin if source.content is None else [*origin, source.content])


def hash_sampler(generator_onnx: Path) -> str:
    """Content hash of what images follow from: all files but those that say whether they are used, and that show them.

    Those change with the real images, also for a generator that is kept. Of a pipeline, whose files also say where its
    weights lie and what their licence is, only what decides pixels.
    """
    files = read_part(generator_onnx)["files"]
    kept = {name: entry for name, entry in files.items() if name not in NOT_DRAWN_WITH}
    if (pixels := identify_pixels(read_config(generator_onnx))) is None:
        return join_hashes(kept)
    weights = {name: entry for name, entry in kept.items() if name not in (CONFIG, CARD, PARITY)}
    return hash_json([join_hashes(weights), pixels])


def take_round(
    earlier: Earlier,
    drawn_by: str,
    drawn: Sequence[tuple[int, ...]],
    assembly: Assembly,
    scratch: Path,
    source: Source,
) -> bool:
    """Take over the last round in `drawn` from an earlier output, with its records where images have such; whether it
    could be.

    The records come first, so that shards that were taken over never lack them.
    """
    if source.recorded is not None:
        kept = _folder(scratch, len(drawn) - 1) / source.recorded
        if not kept.exists():
            if (found := earlier.take_records(drawn_by, drawn, source.recorded)) is None:
                return False
            write_index(kept, found)
    return earlier.take_shards(drawn_by, drawn, assembly.shards())


def open_round(
    inputs: Mapping[str, Path],
    scratch: Path,
    source: Source,
    before: Sequence[tuple[int, ...]],
    drawn: tuple[int, ...],
) -> Assembly:
    """The images of the round after those that drew `before`, including finished pieces in the scratch folder.

    Of images that are to have records, pieces and shards without these are deleted.
    """
    config = read_json(inputs["generator_onnx"] / CONFIG)
    number = len(before)
    assembly = Assembly(
        draws=Draws(source.units, drawn, tuple(np.sum(before, axis=0).tolist()) if before else None),
        shape=(config["height"], config["width"], config["channels"]),
        class_names=tuple(config["class_names"]),
        pieces_folder=_folder(scratch, number) / "pieces",
        out=_folder(scratch, number) / "shards",
        id_prefix=f"g{hash_sampler(inputs['generator_onnx'])[:8]}",
        round_=number,
        smallest=source.smallest,
    )
    if source.recorded is not None and not (_folder(scratch, number) / source.recorded).exists():
        assembly.drop_unrecorded()
    return assembly


def _folder(scratch: Path, number: int) -> Path:
    return scratch / f"round-{number}"
