"""The blocks and cells of a part `mixup_gan`, and how they are run: each cell is one GAN, in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch

from ops.files.hashing import hash_json
from ops.machine.interruption import at, check
from ops.machine.parallel import map_processes, worth_workers
from ops.stages.materialization import Runtime
from ops.study.design import Study
from ops.study.mixup_gan import game, mixtures
from ops.study.mixup_gan.design import MixupGanPart
from ops.study.mixup_gan.game import Game, draw_latent, play
from ops.study.mixup_gan.mixtures import MIXTURES, Coverage, draw_points, measure_coverage
from ops.study.results import Block, Cell, Row
from ops.workspaces.workspace import Workspace

VERSION = 1  # of the training and its measures; a higher one makes every cell anew
WORKER_SHARE = 100  # steps (some seconds of one core) that make a process worth starting


@dataclass(frozen=True)
class GanBench:
    """A part and its name. quick: few steps of the first seed alone."""

    name: str
    part: MixupGanPart
    runtime: Runtime
    quick: bool = False

    @property
    def measures(self) -> Sequence[str]:
        return self.part.measures

    @property
    def blocks(self) -> list[Block]:
        """In the order of the design: all steps and mixtures of the first seed come first."""
        part = self.part
        seeds, steps = (part.seeds[:1], (part.quick.steps,)) if self.quick else (part.seeds, part.steps)
        return [Block(self.name, mixture, each, seed) for seed in seeds for each in steps for mixture in part.mixtures]

    def list_cells(self, block: Block) -> list[Cell]:
        """One cell for each upper end of the weights."""
        return [
            Cell(block, name_arm(mixing), 0, _identify(block.setting, self.build_game(block, mixing)))
            for mixing in self.part.mixing
        ]

    def build_game(self, block: Block, mixing: float) -> Game:
        """The GAN of a cell."""
        return Game(block.steps, mixing, self.part.latent, self.part.width, block.seed)

    def run(self, block: Block, cells: Sequence[Cell]) -> Iterator[list[Row]]:
        """Train the GANs of `cells`, on as many processes as are worth it; yields the rows of each that is finished."""
        games = {name_arm(mixing): self.build_game(block, mixing) for mixing in self.part.mixing}
        runtime, waiting = self.runtime, {cell.arm: cell for cell in cells}
        steps = block.steps * len(cells)
        workers = worth_workers(runtime.workers, steps, WORKER_SHARE) if runtime.device == "cpu" else 1
        runtime.sink(f"{block.name}: {len(cells)} GANs: {', '.join(waiting)}")
        progress = runtime.progress(block.name, len(cells), "GANs")
        progress.begin(0)
        work = partial(_train, mixture=block.setting, device=runtime.device)
        tasks = [(arm, games[arm]) for arm in waiting]
        with at(f"in the block {block.name}"):
            finished = map_processes(work, tasks, workers=workers, share={})
            for done, (arm, found, seconds) in enumerate(finished, start=1):
                values = asdict(found)
                yield [Row(waiting[arm], measure, float(values[measure]), seconds) for measure in self.measures]
                progress.update(done)
                check()


def open_bench(study: Study, name: str, main: Workspace, area: Path, runtime: Runtime, *, quick: bool) -> GanBench:
    """A part; it needs no workspace, because it keeps no files beside its results."""
    part = study.design.parts[name]
    assert isinstance(part, MixupGanPart)
    return GanBench(name, part, runtime, quick)


def name_arm(mixing: float) -> str:
    """`a=0.2`."""
    return f"a={mixing:g}"


def _train(task: tuple[str, Game], *, mixture: str, device: str) -> tuple[str, Coverage, float]:
    """The arm, how its generator covers the mixture, and the seconds that took."""
    (arm, played), started = task, time.monotonic()
    modes = MIXTURES[mixture]()
    generator = play(played, partial(draw_points, modes), device=device)
    random = torch.Generator().manual_seed(played.seed + 1)  # other latents than those of the training
    with torch.no_grad():
        points = generator(draw_latent(played, mixtures.POINTS, random).to(device)).cpu()
    return arm, measure_coverage(points, modes), time.monotonic() - started


def _identify(mixture: str, played: Game) -> str:
    """The fingerprint of a cell: its game, and the constants of training and measures."""
    constants = [game.LAYERS, game.BATCH, game.DISCRIMINATOR_STEPS, mixtures.DEVIATION, mixtures.REACH, mixtures.POINTS]
    return hash_json(["mixup_gan", VERSION, mixture, asdict(played), constants])
