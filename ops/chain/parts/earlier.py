"""What an earlier output of `generated_images` still holds that the present one needs: rounds, and their scores.

A round's images follow from the generator, the seed and the numbers drawn before and in it; its scores from the
images, the real ones and the scorer. A changed filter changes neither, so they are taken over, pixel files as links:
only the number of rounds may differ, and what is missing is drawn.
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
    """An earlier output; `record` is its rounds.json, None where there is no intact one."""

    folder: Path
    record: dict[str, Any] | None

    def take_shards(self, drawn_by: str, drawn: Sequence[tuple[int, ...]], shards: Sequence[Shard]) -> bool:
        """Link the files of the round that ends `drawn` to `shards`; False, and nothing linked, if they are not there.

        drawn_by: what the images follow from. drawn: images drawn of each unit in each round up to this one.
        """
        if self.record is None or self.record["drawn_by"] != drawn_by or not self._holds(drawn):
            return False
        names = self.record["rounds"][len(drawn) - 1]["shards"]
        if len(names) != len(shards):
            return False
        for name, shard in zip(names, shards, strict=True):
            link_file(self.folder / name, shard.path)
        return True

    def take_scores(self, scored_by: str, drawn: Sequence[tuple[int, ...]]) -> pl.DataFrame | None:
        """The scores of the round that ends `drawn`; None where they are not there or follow from something else."""
        if self.record is None or self.record["scored_by"] != scored_by or not self._holds(drawn):
            return None
        return read_scores(self.folder).filter(pl.col("round") == len(drawn) - 1)

    def take_real_scores(self, scored_by: str) -> pl.DataFrame | None:
        """The scores of held-out real images; None as above."""
        if self.record is None or self.record["scored_by"] != scored_by:
            return None
        return pl.read_parquet(self.folder / HELD_OUT_SCORES, glob=False)

    def _holds(self, drawn: Sequence[tuple[int, ...]]) -> bool:
        assert self.record is not None
        return [tuple(entry["drawn"]) for entry in self.record["rounds"][: len(drawn)]] == list(drawn)


def find_earlier(workspace: Workspace, expansion: str, generator: int = 0) -> Earlier:
    """What lies in a generator's place now; of use if it is whole and of the present version of the stage."""
    folder, cache = workspace.output(expansion, STAGE), workspace.hash_cache(expansion, STAGE)
    whole = is_intact(folder, cache=cache) and read_manifest(folder)["version"] == workspace.stage_version(STAGE)
    own = place(folder, generator)
    return Earlier(own, read_json(own / ROUNDS) if whole and own.is_dir() else None)


def read_scores(folder: Path) -> pl.DataFrame:
    """The scores of all images in `folder`, in the order of its files."""
    return pl.read_parquet(folder / SCORES, glob=False)
