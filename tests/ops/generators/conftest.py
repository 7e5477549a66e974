"""One small generator for all tests of this folder: exporting a network takes seconds, so it happens once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ops.generators.export import export_net, export_sampler
from ops.generators.folder import NET, build_model, sampler_name, save_generator

# RGB, not square and not divisible by 4: a swapped axis or a forgotten crop shows.
CONFIG = {
    "kind": "flow", "channels": 3, "height": 10, "width": 13, "class_names": ["cat", "dog", "Ölbaum"],
    "widths": [8, 16], "layers_per_block": 1, "unshuffle": 2,
}  # fmt: skip


@pytest.fixture(scope="session")
def generator_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator directory: an untrained network of 42,000 weights, its net.onnx and a 3-step Heun sampler."""
    folder = tmp_path_factory.mktemp("generator")
    torch.manual_seed(3)
    model = build_model(CONFIG).eval()
    save_generator(folder, model, CONFIG)
    shape = (CONFIG["channels"], CONFIG["height"], CONFIG["width"])
    export_net(model, shape, folder / NET)
    export_sampler(
        folder / NET, folder / sampler_name(3), solver="heun", steps=3, shape=shape, class_names=CONFIG["class_names"]
    )
    return folder


@pytest.fixture(scope="session")
def make_sampler(generator_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], Path]:
    """Composes a sampler of any solver and steps from the same network."""

    def make(solver: str, steps: int) -> Path:
        path = tmp_path_factory.mktemp("sampler") / sampler_name(steps)
        export_sampler(
            generator_folder / NET, path, solver=solver, steps=steps, shape=(3, 10, 13),
            class_names=CONFIG["class_names"],
        )  # fmt: skip
        return path

    return make
