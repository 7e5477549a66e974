"""A drawer around a pipeline, on a CPU or a GPU.

Images are drawn in parts of one size, so that no bit depends on the batch or on the number of workers: on a CPU one by
one, on a GPU a few together, the last part being filled up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from ops.errors import EnvironmentFault
from ops.generators.diffusion.diffuser import Diffuser
from ops.generators.diffusion.generator import PipelineGenerator, draw_fed, load_generator
from ops.generators.diffusion.opening import choose_precision
from ops.generators.drawers import SamplerInfo, draw_in_parts
from ops.generators.feeds import Feeds, count_rows
from ops.generators.folder import DRAWN_WITH
from ops.recipe.diffusion import StableDiffusionSettings
from ops.recipe.sampler import SamplerSettings

PART_IMAGES = {"cpu": 1, "cuda": 8}  # of one call of the pipeline


@dataclass(eq=False)
class PipelineDrawer:
    """A `Drawer`; `batch_size` only sets how many feeds are made at a time. A copy may draw in another thread."""

    generator: PipelineGenerator
    diffuser: Diffuser
    info: SamplerInfo
    sampler: SamplerSettings
    provider: str
    batch_size: int

    def with_batch_size(self, batch_size: int) -> PipelineDrawer:
        return replace(self, diffuser=self.diffuser.copy(), batch_size=batch_size)

    def draw(self, feeds: Feeds) -> np.ndarray:
        """Images uint8 [n, H, W, C]; ValueError for other inputs, UserError for a label without a class."""
        return draw_in_parts(self.info, feeds, PART_IMAGES[self.provider], lambda part: self._draw_part(part)[0])

    def _draw_part(self, feeds: Feeds) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        missing = PART_IMAGES[self.provider] - count_rows(feeds)
        filled = {
            name: torch.from_numpy(np.concatenate([array, np.repeat(array[-1:], missing, axis=0)]))
            for name, array in feeds.items()
        }
        drawn, told = draw_fed(self.generator, self.diffuser, filled, self.sampler)
        rows = slice(count_rows(feeds))
        return drawn.numpy()[rows], {name: values[rows] for name, values in told.items()}


@dataclass(eq=False)
class RecordingPipelineDrawer(PipelineDrawer):
    """A `RecordingDrawer`, for a pipeline that is told a text."""

    def draw_recorded(self, feeds: Feeds) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """As `draw`, and the columns of `draw_fed`."""
        told: list[dict[str, np.ndarray]] = []

        def draw_part(part: Feeds) -> np.ndarray:
            images, columns = self._draw_part(part)
            told.append(columns)
            return images

        images = draw_in_parts(self.info, feeds, PART_IMAGES[self.provider], draw_part)
        return images, {name: np.concatenate([columns[name] for columns in told]) for name in told[0]}


@dataclass(frozen=True)
class PipelineFile:
    """A `DrawerSpec`: config.json of a generator's directory, which `export` wrote."""

    path: Path
    uses_torch: ClassVar[bool] = True

    def read_info(self) -> SamplerInfo:
        generator, sampler = self._read()
        return describe_sampler(generator, sampler, "fp32")

    def choose_provider(self, wanted: str, *, allow_fallback: bool) -> str:
        """`auto` means CUDA where torch finds a device; EnvironmentFault if CUDA is wanted and there is none."""
        found = torch.cuda.is_available()
        if wanted == "auto":
            return "cuda" if found else "cpu"
        if wanted == "cuda" and not found:
            if allow_fallback:
                return "cpu"
            raise EnvironmentFault(
                "provider 'cuda' cannot be used: torch finds no CUDA device; use --provider cpu or --allow-cpu-fallback"
            )
        return wanted

    def open(self, provider: str, batch_size: int) -> PipelineDrawer:
        generator, sampler = self._read()
        opened = generator.open(provider)
        precision = choose_precision(generator.settings.precision, provider)
        info = describe_sampler(generator, sampler, precision)
        kind = RecordingPipelineDrawer if info.records else PipelineDrawer
        return kind(opened, opened.make_diffuser(sampler), info, sampler, provider, batch_size)

    def _read(self) -> tuple[PipelineGenerator, SamplerSettings]:
        generator = load_generator(self.path.parent)
        return generator, SamplerSettings.model_validate(generator.config[DRAWN_WITH])


def describe_sampler(generator: PipelineGenerator, sampler: SamplerSettings, precision: str) -> SamplerInfo:
    """The drawer's metadata. An evaluation is one of the network; with guidance it has two halves."""
    steps = sampler.steps or 0
    taken = steps if sampler.strength is None else int(steps * (sampler.settled_strength or 1.0))
    return SamplerInfo(
        class_names=tuple(generator.config["class_names"]),
        shape=generator.shape,
        solver=sampler.solver,
        steps=sampler.steps,
        evaluations=taken * (2 if sampler.guidance > 1 else 1),
        precision=precision,
        inputs=generator.settings.list_inputs(sampler),
        records=isinstance(generator.settings, StableDiffusionSettings),
    )
