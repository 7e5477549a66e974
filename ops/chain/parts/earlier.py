"""Reuse the rounds of an earlier output of `generated_images`, and their scores.

The generator, the seed and the numbers drawn up to a round determine its images. Its images, the real ones, the scorer
and the external networks determine its scores. A changed threshold changes neither, so both are reused, pixel files as
links. Only the number of rounds may differ; missing rounds are drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from ops.datasets.pixels import Shard
from ops.files.manifests import read_manifest
from ops.files.outputs import HELD_OUT_SCORES, ROUNDS
from ops.files.storage import link_file, read_json
from ops.stages.integrity import is_intact
from ops.stages.several import place
from ops.workspaces.workspace import Workspace

STAGE = "generated_images"
SCORES = "scores.parquet"


@dataclass(frozen=True)
class Earlier:
    """An earlier output; `record` is its rounds.json, or None if there is no intact one or it drew nothing."""

    folder: Path
    record: dict[str, Any] | None

    def take_shards(self, drawn_by: str, drawn: Sequence[tuple[int, ...]], shards: Sequence[Shard]) -> bool:
        """Link the files of the last round in `drawn` to `shards`; False, with nothing linked, if it is not stored.

        drawn_by: hash of everything that determines the images. drawn: images drawn of each unit in each round up to
        this one.
        """
        if self.record is None or self.record["drawn_by"] != drawn_by or not self._holds(drawn):
            return False
        names = self.record["rounds"][len(drawn) - 1]["shards"]
        if len(names) != len(shards):
            return False
        for name, shard in zip(names, shards, strict=True):
            link_file(self.folder / name, shard.path)
        return True

    def take_records(self, drawn_by: str, drawn: Sequence[tuple[int, ...]], name: str) -> pl.DataFrame | None:
        """How the images of the last round in `drawn` came about, from the file `name`; None if `take_shards` would not
        link them, or they were not recorded."""
        if self.record is None or self.record["drawn_by"] != drawn_by or not self._holds(drawn):
            return None
        path, first = self.folder / name, sum(map(sum, drawn[:-1]))
        if not path.exists():
            return None
        return pl.scan_parquet(path, glob=False).slice(first, sum(drawn[-1])).collect()  # reads these rows alone

    def take_scores(self, scored_by: str, drawn: Sequence[tuple[int, ...]]) -> pl.DataFrame | None:
        """The scores of the last round in `drawn`; None if they are not stored or were determined by something else."""
        if self.record is None or self.record["scored_by"] != scored_by or not self._holds(drawn):
            return None
        return read_scores(self.folder).filter(pl.col("round") == len(drawn) - 1)

    def take_real_scores(self, scored_by: str) -> pl.DataFrame | None:
        """The scores of held-out real images; None in the same cases as for `take_scores`."""
        if self.record is None or self.record["scored_by"] != scored_by:
            return None
        return pl.read_parquet(self.folder / HELD_OUT_SCORES, glob=False)

    def _holds(self, drawn: Sequence[tuple[int, ...]]) -> bool:
        assert self.record is not None
        return [tuple(entry["drawn"]) for entry in self.record["rounds"][: len(drawn)]] == list(drawn)


def find_earlier(workspace: Workspace, expansion: str, generator: int = 0) -> Earlier:
    """The present output of a generator; it can be reused if it is intact and of the stage's present version."""
    folder, cache = workspace.output(expansion, STAGE), workspace.hash_cache(expansion, STAGE)
    usable = is_intact(folder, cache=cache) and read_manifest(folder)["version"] == workspace.stage_version(STAGE)
    own = place(folder, generator)
    record = read_json(own / ROUNDS) if usable and own.is_dir() else None
    return Earlier(own, record if record and record["rounds"] else None)


def read_scores(folder: Path) -> pl.DataFrame:
    """The scores of all images in `folder`, in the order of its files."""
    return pl.read_parquet(folder / SCORES, glob=False)
