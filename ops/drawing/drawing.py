"""Draw a set of images with the means of this machine: provider, workers, batch size, progress.

Where the set lies and what becomes of it is the caller's business, be it a stage or a command; which rows there are
and how they become files is the assembly's.
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

FEW = 16  # seed images that a batch size is tried with


@dataclass(frozen=True)
class Drawing:
    """A set, what draws it, and how to compute; pixels follow from the first, second, the seed and the seed images."""

    assembly: Assembly
    drawer: DrawerSpec
    seed: int
    runtime: Runtime
    seeds: StoredSeeds | None = None  # of a set of variants

    @cached_property
    def provider(self) -> str:
        """`cpu` or `cuda`; EnvironmentFault where the one that was asked for is not there."""
        return self.drawer.choose_provider(self.runtime.provider, allow_fallback=self.runtime.allow_cpu_fallback)

    def draw(self, pieces: Sequence[Piece]) -> Iterable[Piece]:
        """Draw those of the pieces that are missing; each comes when it is written."""
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
        )

    def _load_few(self, seeds: StoredSeeds, piece: Piece) -> SeedImages:
        """The first seed images of a piece, for trials."""
        return seeds.load([run.unit for run in self.assembly.draws.runs(piece.begin, piece.end)][:FEW])

    def run(self) -> float:
        """Draw everything that is missing and write the shards meanwhile; returns the seconds that it took."""
        missing = self.assembly.missing()
        return follow(self.assembly.write(self.draw), missing, self.runtime)


def follow(drawn: Iterable[Piece], missing: Sequence[Piece], runtime: Runtime) -> float:
    """Go through the pieces as they come and show how far they are; returns the seconds it took."""
    progress = runtime.progress("generation", sum(map(len, missing)), "images")
    progress.begin(0)
    done = 0
    for piece in drawn:
        done += len(piece)
        progress.update(done)
    return progress.clock() - progress.started
