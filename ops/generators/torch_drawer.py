"""A drawer that computes in torch, for generators that draw better there than as their exported graph.

It draws PART_IMAGES images at a time and pads the last part, so torch's kernels always see one shape, and an image's
bits depend neither on the batch nor on the number of workers. How an image is drawn is up to `Generator.sample`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from ops.errors import EnvironmentFault
from ops.generators.drawers import SamplerInfo, draw_in_parts
from ops.generators.feeds import Feeds, count_rows
from ops.generators.protocol import Generator
from ops.recipe.sampler import SamplerSettings

PART_IMAGES = 16  # images of one call of the generator


class TorchDrawer:
    """A `Drawer` around a generator on the CPU; `batch_size` only sets how many feeds are made at a time."""

    def __init__(self, generator: Generator, info: SamplerInfo, sampler: SamplerSettings, batch_size: int) -> None:
        self.info, self.batch_size = info, batch_size
        self._generator, self._sampler = generator, sampler

    def with_batch_size(self, batch_size: int) -> TorchDrawer:
        other = copy.copy(self)
        other.batch_size = batch_size
        return other

    def draw(self, feeds: Feeds) -> np.ndarray:
        """Images uint8 [n, H, W, C]; ValueError for other inputs, UserError for a label without a class."""
        return draw_in_parts(self.info, feeds, PART_IMAGES, self._draw_part)

    def _draw_part(self, feeds: Feeds) -> np.ndarray:
        """Up to PART_IMAGES images."""
        padded = {}
        for name, array in feeds.items():
            rows = np.zeros((PART_IMAGES, *array.shape[1:]), array.dtype)
            rows[: len(array)] = array
            padded[name] = torch.from_numpy(rows)
        drawn = self._generator.sample(padded, self._sampler)
        images: np.ndarray = drawn.numpy()[: count_rows(feeds)]
        return images


@dataclass(frozen=True)
class TorchFile:
    """A `DrawerSpec`: `load`, an importable function, makes the generator from the folder of `path`."""

    path: Path
    load: Callable[[Path], Generator]
    inputs: tuple[str, ...]
    sampler: SamplerSettings
    uses_torch: ClassVar[bool] = True

    def read_info(self) -> SamplerInfo:
        return self._describe(self.load(self.path.parent))

    def choose_provider(self, wanted: str, *, allow_fallback: bool) -> str:
        """`cpu`; EnvironmentFault if CUDA is wanted, unless `allow_fallback`."""
        return stay_on_cpu(wanted, allow_fallback=allow_fallback)

    def open(self, provider: str, batch_size: int) -> TorchDrawer:
        generator = self.load(self.path.parent)
        return TorchDrawer(generator, self._describe(generator), self.sampler, batch_size)

    def _describe(self, generator: Generator) -> SamplerInfo:
        config = generator.config
        return SamplerInfo(
            class_names=tuple(config["class_names"]),
            shape=(config["channels"], config["height"], config["width"]),
            solver=self.sampler.solver,
            steps=self.sampler.steps,
            inputs=self.inputs,
        )


def stay_on_cpu(wanted: str, *, allow_fallback: bool) -> str:
    """The provider `cpu`; EnvironmentFault if CUDA is wanted, unless `allow_fallback`."""
    if wanted == "cuda" and not allow_fallback:
        raise EnvironmentFault(
            "provider 'cuda' cannot be used: this generator draws on the CPU; use --provider cpu or"
            " --allow-cpu-fallback"
        )
    return "cpu"
