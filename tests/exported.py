"""Fixtures of one small generator for all tests of generators and drawing: it is exported once, which takes seconds."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ops.generators.folder import NET, sampler_name
from tests.sharing import make_once

if TYPE_CHECKING:
    from ops.generators.kinds.denoiser import Denoiser

SHAPE = (3, 10, 13)
# RGB, not square and not divisible by 4: a swapped axis or a forgotten crop shows.
CONFIG = {
    "kind": "flow", "channels": 3, "height": 10, "width": 13, "class_names": ["cat", "dog", "Ölbaum"],
    "widths": [8, 16], "layers_per_block": 1, "unshuffle": 2, "dropout": 0.0, "drops_labels": True, "conditions": 0,
}  # fmt: skip

MakeSampler = Callable[..., Path]


@pytest.fixture(scope="session")
def generator_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator directory: an untrained network of 42,000 weights, its net.onnx and a 3-step Heun sampler.

    It is made once for all test processes; nothing may change it.
    """
    return make_once(tmp_path_factory, "generator", write_generator)


def write_generator(folder: Path) -> None:
    import torch

    from ops.generators.denoising.network import build_network
    from ops.generators.onnx.export import export_net
    from ops.generators.stored_network import save_network

    torch.manual_seed(3)
    network = build_network(CONFIG).eval()
    save_network(folder, network, CONFIG)
    export_net(network, SHAPE, folder / NET)
    write_sampler(folder / NET, folder / sampler_name(3), "flow", "heun", 3)


@pytest.fixture(scope="session")
def make_sampler(generator_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> MakeSampler:
    """Composes a sampler of any kind, solver and steps from the same network."""

    def make(
        solver: str,
        steps: int,
        kind: str = "flow",
        guidance: float = 1.0,
        strength: float | None = None,
        labelled: bool = True,
    ) -> Path:
        path = tmp_path_factory.mktemp("sampler") / sampler_name(steps)
        write_sampler(generator_folder / NET, path, kind, solver, steps, guidance, strength, labelled)
        return path

    return make


@pytest.fixture(scope="session")
def make_unrolled(generator_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> MakeSampler:
    """As `make_sampler`, before it is simplified."""

    import onnx

    from ops.generators.kinds.flow import Flow
    from ops.generators.onnx.export import unroll_sampler
    from ops.recipe.sampler import SamplerSettings

    def make(solver: str, steps: int) -> Path:
        path = tmp_path_factory.mktemp("unrolled") / sampler_name(steps)
        settings = SamplerSettings(solver=solver, steps=steps)
        net = onnx.load(generator_folder / NET)
        onnx.save(unroll_sampler(Flow(), net, settings, shape=SHAPE, class_names=CONFIG["class_names"]), path)
        return path

    return make


@pytest.fixture
def copied_folder(generator_folder: Path, tmp_path: Path) -> Path:
    """The generator directory, to be damaged."""
    return Path(shutil.copytree(generator_folder, tmp_path / "generator"))


def find_maths(kind: str) -> Denoiser:
    """The mathematics of a kind that denoises."""
    from ops.generators.denoiser_kind import DenoiserKind
    from ops.generators.registry import KINDS

    found = KINDS[kind]
    assert isinstance(found, DenoiserKind)
    return found.maths


def write_sampler(
    net: Path,
    path: Path,
    kind: str,
    solver: str,
    steps: int,
    guidance: float = 1.0,
    strength: float | None = None,
    labelled: bool = True,
) -> None:
    import onnx

    from ops.generators.onnx.export import unroll_sampler
    from ops.generators.onnx.simplify import simplify
    from ops.recipe.sampler import SamplerSettings

    settings = SamplerSettings(solver=solver, steps=steps, guidance=guidance, strength=strength)
    names: tuple[str, ...] = tuple(CONFIG["class_names"])
    maths = find_maths(kind)
    sampler = unroll_sampler(maths, onnx.load(net), settings, shape=SHAPE, class_names=names, labelled=labelled)
    onnx.save(simplify(sampler), path)
