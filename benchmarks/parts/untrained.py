"""Untrained and hardly trained generators for benchmarks: speed does not depend on the weights, filters see them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.parts.fashion import LabelledImages
from ops.datasets.axes import to_nchw
from ops.generators.denoiser_kind import DenoiserGenerator, FlowKind
from ops.generators.denoising.network import build_network
from ops.generators.kinds.flow import Flow
from ops.generators.protocol import Fitting
from ops.recipe.generator import FlowSettings, SamplerSettings

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
    """Make `folder` such a generator's directory; returns the sampler's path."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        return build_untrained().export(folder, SamplerSettings(solver=solver, steps=steps), Path(scratch))


def draw_undertrained(train: LabelledImages, count: int, *, steps: int = 20, seed: int = 0) -> LabelledImages:
    """So many images by a flow of the demo's settings that was trained for so few steps, of all classes alike."""
    classes = int(train.labels.max()) + 1
    settings = FlowSettings(steps=steps, warmup_steps=min(steps, FlowSettings().warmup_steps), precision="fp32")
    with tempfile.TemporaryDirectory() as name:
        out, scratch = Path(name) / "generator", Path(name) / "scratch"
        out.mkdir()
        scratch.mkdir()
        names = tuple(str(label) for label in range(classes))
        labels = torch.from_numpy(train.labels)
        FlowKind().fit(settings, Fitting(train.images, labels, names, seed, Path(name), out, scratch))
        generator = FlowKind().load(out)
        wanted = np.arange(count) % classes
        random = torch.Generator().manual_seed(seed)
        noise = torch.randn(count, *train.images.shape[1:], generator=random)
        feeds = {"noise": noise, "label": torch.from_numpy(wanted)}
        drawn = generator.sample(feeds, SamplerSettings(solver="heun", steps=3))
    return LabelledImages(torch.from_numpy(to_nchw(drawn.numpy())), wanted)
