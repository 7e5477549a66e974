"""Does the exported sampler draw what the trained network draws? Same noise, every class, pixel by pixel."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from ops.generators.draws import draw_noise
from ops.generators.engine import Sampler
from ops.generators.flow import FlowUNet, integrate, to_pixels

MAX_SHARE_BEYOND_ONE = 0.001  # 99.9 % of the pixels within one grey level
MAX_DIFFERENCE = 3


@dataclass(frozen=True)
class Parity:
    """Grey-level differences between the eager fp32 sampler and the exported one on the same noise."""

    images: int
    share_equal: float
    share_beyond_one: float
    max_difference: int

    @property
    def passed(self) -> bool:
        return self.share_beyond_one <= MAX_SHARE_BEYOND_ONE and self.max_difference <= MAX_DIFFERENCE

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "passed": self.passed}


@torch.inference_mode()
def measure_parity(model: FlowUNet, sampler: Sampler, *, images: int = 1024, seed: int = 0) -> Parity:
    """Compare on `images` draws spread evenly over the classes; the eager side runs fp32 on the CPU."""
    info = sampler.info
    labels = np.arange(images) % len(info.class_names)
    noise = draw_noise(info.shape, seed=seed, round_=0, unit="parity", start=0, count=images)
    differences = []
    for i in range(0, images, sampler.batch_size):
        part = slice(i, i + sampler.batch_size)
        eager = to_pixels(
            integrate(
                model,
                torch.from_numpy(noise[part]),
                torch.from_numpy(labels[part]),
                solver=info.solver,
                steps=info.steps,
            )
        ).numpy()
        exported = sampler(noise[part], labels[part])
        differences.append(np.abs(eager.astype(np.int16) - exported.astype(np.int16)).ravel())
    difference = np.concatenate(differences)
    return Parity(
        images=images,
        share_equal=float((difference == 0).mean()),
        share_beyond_one=float((difference > 1).mean()),
        max_difference=int(difference.max()),
    )
