"""Draw a set of images on this machine: choose provider, workers and batch size, and report progress.

This module does not know what the set is for: its caller, a stage or a command, does. The assembly knows the rows and
how they become files.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

from ops.drawing.assembly import Assembly
from ops.drawing.batching import resolve_batch_size
from ops.drawing.pieces import Piece, fill_pieces
from ops.drawing.stored_seeds import StoredSeeds
from ops.generators.drawers import DrawerSpec
from ops.generators.feeds import SeedImages
from ops.stages.materialization import Runtime

TRIAL_SEEDS = 16  # seed images for the trials of a batch size


@dataclass(frozen=True)
class Drawing:
    """A set, its drawer and how to compute. Pixels follow from `assembly`, `drawer`, `seed` and `seeds`."""

    assembly: Assembly
    drawer: DrawerSpec
    seed: int
    runtime: Runtime
    seeds: StoredSeeds | None = None  # for a set of variants
    worker_share: int | None = None  # images that one more worker process is worth; None: as for an exported sampler

    @cached_property
    def provider(self) -> str:
        """`cpu` or `cuda`; EnvironmentFault if the requested provider is not available."""
        return self.drawer.choose_provider(self.runtime.provider, allow_fallback=self.runtime.allow_cpu_fallback)

    def draw(self, pieces: Sequence[Piece]) -> Iterable[Piece]:
        """Draw the missing ones of `pieces`; each is yielded once it is written."""
        if not pieces:
            return ()
        batch_size = resolve_batch_size(
            self.runtime.batch_size,
            self.drawer,
            provider=self.provider,
            pixels=self.assembly.image_bytes,
            piece=self.assembly.piece_size,
            images=sum(map(len, pieces)),
            load_seeds=None if self.seeds is None else partial(self._load_few, self.seeds, pieces[0]),
        )
        return fill_pieces(
            self.assembly.pieces_folder,
            pieces,
            self.drawer,
            draws=self.assembly.draws,
            seed=self.seed,
            provider=self.provider,
            workers=self.runtime.workers,
            batch_size=batch_size,
            seeds=self.seeds,
            worker_share=self.worker_share,
        )

    def _load_few(self, seeds: StoredSeeds, piece: Piece) -> SeedImages:
        """The first seed images of a piece, for the trials of a batch size."""
        return seeds.load([run.unit for run in self.assembly.draws.runs(piece.begin, piece.end)][:TRIAL_SEEDS])

    def run(self) -> float:
        """Draw all missing pieces and write the shards meanwhile; returns the seconds taken."""
        missing = self.assembly.missing()
        return follow(self.assembly.write(self.draw), missing, self.runtime)


def follow(drawn: Iterable[Piece], missing: Sequence[Piece], runtime: Runtime) -> float:
    """Iterate over the drawn pieces and report progress; returns the seconds taken."""
    progress = runtime.progress("generation", sum(map(len, missing)), "images")
    progress.begin(0)
    done = 0
    for piece in drawn:
        done += len(piece)
        progress.update(done)
    return progress.clock() - progress.started
