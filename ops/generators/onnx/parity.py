"""Compare the exported sampler with the generator itself: same noise, every class, pixel by pixel."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from ops.generators.feeds import SeedImages, cut_feeds, make_feeds, spread_draws
from ops.generators.onnx.engine import Sampler
from ops.generators.protocol import Generator
from ops.machine.parallel import start_threads
from ops.recipe.sampler import SamplerSettings

MAX_SHARE_BEYOND_ONE = 0.001  # at least 99.9 % of the pixels must agree within one grey level
MAX_DIFFERENCE = 3


@dataclass(frozen=True)
class Parity:
    """Grey-level differences between the reference and the exported sampler on the same noise."""

    images: int
    share_equal: float
    share_beyond_one: float
    max_difference: int

    @property
    def passed(self) -> bool:
        return self.share_beyond_one <= MAX_SHARE_BEYOND_ONE and self.max_difference <= MAX_DIFFERENCE

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "passed": self.passed}


def measure_parity(
    generator: Generator,
    exported: Sampler,
    settings: SamplerSettings,
    *,
    images: int = 1024,
    seeds: SeedImages | None = None,
) -> Parity:
    """Compare on `images` draws spread evenly over the classes; the reference runs fp32 on the CPU.

    `seeds` are the seed images of a sampler that takes them.
    """
    info = exported.info
    runs = spread_draws("parity", np.arange(images) % len(info.class_names), seeds)
    feeds = make_feeds(info.inputs, info.shape, runs, seed=0, seeds=seeds)

    def compare(begin: int) -> np.ndarray:
        part = cut_feeds(feeds, slice(begin, begin + exported.batch_size))
        reference = generator.sample({name: torch.from_numpy(x) for name, x in part.items()}, settings).numpy()
        drawn = exported.with_batch_size(exported.batch_size).draw(part)
        return np.abs(reference.astype(np.int16) - drawn.astype(np.int16)).ravel()

    with start_threads() as pool:
        difference = np.concatenate(list(pool.map(compare, range(0, images, exported.batch_size))))
    return Parity(
        images=images,
        share_equal=float((difference == 0).mean()),
        share_beyond_one=float((difference > 1).mean()),
        max_difference=int(difference.max()),
    )
