"""An untrained generator for benchmarks: speed does not depend on the weights."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ops.generators.denoiser_kind import DenoiserGenerator
from ops.generators.denoising.network import build_network
from ops.generators.kinds.flow import Flow
from ops.recipe.sampler import SamplerSettings

SHAPE = (1, 28, 28)
CLASSES = tuple(str(label) for label in range(10))


def build_untrained(*, unshuffle: int = 2) -> DenoiserGenerator:
    """A flow for images of SHAPE and CLASSES."""
    channels, height, width = SHAPE
    config = {
        "kind": "flow", "channels": channels, "height": height, "width": width, "class_names": list(CLASSES),
        "widths": [32, 64], "layers_per_block": 1, "unshuffle": unshuffle, "dropout": 0.0, "drops_labels": False,
        "conditions": 0,
    }  # fmt: skip
    return DenoiserGenerator(Flow(), build_network(config).eval(), config)


def export_untrained(folder: Path, *, solver: str, steps: int) -> Path:
    """Make `folder` the directory of an untrained generator; returns the sampler's path."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        return build_untrained().export(folder, SamplerSettings(solver=solver, steps=steps), Path(scratch))
