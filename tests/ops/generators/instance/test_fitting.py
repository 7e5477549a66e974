"""Both trainings of kind `instance`: what they leave, and that a run killed in either goes on to the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ops.errors import UserError
from ops.files.storage import read_json
from ops.generators.denoising import steps as denoising
from ops.generators.folder import WEIGHTS
from ops.generators.instance import contrast
from ops.generators.instance.fitting import SCRATCH
from ops.generators.instance_kind import InstanceGenerator
from ops.generators.noise import draw_noise
from ops.generators.protocol import Fitting, Sample
from ops.generators.registry import KINDS
from ops.machine.parallel import use_threads
from ops.recipe.instance import InstanceSettings
from ops.recipe.sampler import SamplerSettings
from ops.training.checkpoint import CHECKPOINT
from ops.training.state import Observation

OWN = {"features": 4, "width": 8, "batch_size": 8, "steps": 4, "warmup_steps": 2, "ema_decay": 0.9}
SMALL: dict[str, Any] = {
    "kind": "instance", "widths": (8, 16), "steps": 4, "batch_size": 8, "warmup_steps": 2, "ema_decay": 0.9,
    "checkpoints": 2, "precision": "fp32", "encoder": OWN,
}  # fmt: skip


class Killed(Exception):
    """Stands for a process that ends in the middle."""


def make_shapes(count: int, side: int = 12) -> tuple[Tensor, np.ndarray]:
    """Discs and crosses by turns, of random places and sizes: uint8 [count, 1, side, side], and 0 or 1."""
    rng, grid = np.random.default_rng(0), np.arange(side)
    images, kinds = [], np.arange(count) % 2
    for kind in kinds:
        row, column = rng.uniform(0.38 * side, 0.62 * side, 2)
        size = rng.uniform(0.22, 0.32) * side
        down, right = np.abs(grid - row)[:, None], np.abs(grid - column)[None]
        disc = np.hypot(down, right) < size
        cross = (np.minimum(down, right) < 0.09 * side) & (np.maximum(down, right) < 1.3 * size)
        images.append(np.where(cross if kind else disc, rng.integers(170, 256), rng.integers(0, 30)))
    return torch.from_numpy(np.stack(images).astype(np.uint8))[:, None], kinds


@dataclass
class Watcher:
    """Draws variants at each checkpoint, of one image with the same noise, and keeps them."""

    image: Tensor
    seen: dict[int, Tensor] = field(default_factory=dict)

    def observe(self, step: int, sample: Sample) -> Observation:
        noise = torch.from_numpy(draw_noise((1, 12, 12), seed=0, round_=0, unit="a", start=0, count=3))
        self.seen[step] = sample({"noise": noise, "image": self.image.repeat(3, 1, 1, 1)})
        return Observation()


def fit(
    folder: Path, images: Tensor, threads: int = 1, watcher: Watcher | None = None, **changes: Any
) -> dict[str, Any]:
    settings = InstanceSettings.model_validate({**SMALL, **changes})
    labels = torch.zeros(len(images), dtype=torch.int64)
    watched: dict[str, Any] = {} if watcher is None else {"watch": lambda copies: watcher}
    given = Fitting(images, labels, (), 7, folder, folder / "out", folder / "scratch", **watched)
    given.out.mkdir(parents=True, exist_ok=True)
    with use_threads(threads):
        return KINDS["instance"].fit(settings, given)


def read_weights(folder: Path) -> bytes:
    return (folder / "out" / WEIGHTS).read_bytes()


def die_at(step: int, whole: Callable[..., Any]) -> Callable[..., Any]:
    """`whole`, a method of a step, until this step."""

    def call(self: Any, at: int) -> Any:
        if at == step:
            raise Killed
        return whole(self, at)

    return call


@pytest.mark.parametrize(
    ("module", "steps", "kept"),
    [(contrast, "ContrastSteps", f"{SCRATCH}/{CHECKPOINT}"), (denoising, "DenoisingSteps", CHECKPOINT)],
    ids=["encoder", "flow"],
)
def test_a_run_killed_in_either_training_goes_on_to_the_bytes_of_a_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, steps: str, kept: str
) -> None:
    changes = {"dropout": 0.2, "augment": 0.5, "precision": "bf16"}
    images, _ = make_shapes(24)
    fit(tmp_path / "whole", images, **changes)
    found = getattr(module, steps)
    monkeypatch.setattr(found, "__call__", die_at(3, found.__call__))  # after the checkpoint of step 2
    with pytest.raises(Killed):
        fit(tmp_path / "killed", images, threads=2, **changes)
    assert (tmp_path / "killed" / "scratch" / kept).exists()
    monkeypatch.undo()
    torch.rand(5)  # another state of the global generator
    fit(tmp_path / "killed", images, threads=2, **changes)
    assert read_weights(tmp_path / "killed") == read_weights(tmp_path / "whole")


def test_what_is_kept_is_a_generator_of_standardised_features_that_was_watched_in_variants(tmp_path: Path) -> None:
    images, _ = make_shapes(40)
    watcher = Watcher(images[:1].permute(0, 2, 3, 1))
    metrics = fit(tmp_path, images, watcher=watcher)
    assert (metrics["steps"], metrics["encoder_steps"], metrics["training_images"]) == (4, 4, 32)
    assert list(read_json(tmp_path / "out" / "losses.json")) == ["every", "loss", "encoder"]
    generator = KINDS["instance"].load(tmp_path / "out")
    assert isinstance(generator, InstanceGenerator) and generator.config["labelled"] is False
    with torch.inference_mode():
        features = generator.networks.encoder.encode(images.float() / 127.5 - 1)
    assert torch.allclose(features.T @ features / 40, torch.eye(4), atol=1e-2) and features.mean(0).abs().max() < 1e-2
    assert list(watcher.seen) == [2, 4] and watcher.seen[4].shape == (3, 12, 12, 1)
    noise = torch.from_numpy(draw_noise((1, 12, 12), seed=0, round_=0, unit="a", start=0, count=3))
    feeds = {"noise": noise, "image": watcher.image.repeat(3, 1, 1, 1)}
    kept = generator.sample(feeds, InstanceSettings().default_sampler())
    assert torch.equal(kept, watcher.seen[4]), "the last weights are kept"


def test_features_do_not_change_while_the_flow_learns(tmp_path: Path) -> None:
    images, _ = make_shapes(24)
    encoders = []
    for steps in (1, 4):
        fit(tmp_path / str(steps), images, steps=steps, checkpoints=1)
        generator: Any = KINDS["instance"].load(tmp_path / str(steps) / "out")
        encoders.append(generator.networks.encoder.state_dict())
    assert all(torch.equal(encoders[0][name], value) for name, value in encoders[1].items())


def test_a_pool_that_is_too_small_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a pool of 4 images is too small for kind: instance"):
        fit(tmp_path, make_shapes(4)[0])
    assert not (tmp_path / "scratch").exists()


@pytest.mark.slow
def test_variants_of_a_kind_of_shape_are_nearer_to_their_kind(tmp_path: Path) -> None:
    """Planted: the pool has two kinds of shapes, told apart by nothing but their form. Variants of unseen ones."""
    images, kinds = make_shapes(512)
    encoder = {**OWN, "batch_size": 64, "steps": 150, "warmup_steps": 10, "features": 8}
    changes = {"encoder": encoder, "widths": (16, 32), "steps": 300, "batch_size": 32, "learning_rate": 0.01}
    fit(tmp_path, images[:400], checkpoints=1, **changes)
    generator = KINDS["instance"].load(tmp_path / "out")
    seeds, wanted = images[400:].permute(0, 2, 3, 1), kinds[400:]
    noise = torch.from_numpy(draw_noise((1, 12, 12), seed=0, round_=0, unit="a", start=0, count=len(seeds)))

    def keep(strength: float) -> float:
        sampler = SamplerSettings(solver="heun", steps=3, strength=strength)
        drawn = generator.sample({"noise": noise, "image": seeds}, sampler)
        distances = torch.cdist(drawn.flatten(1).float(), images[:400].flatten(1).float())
        return float((kinds[:400][distances.argmin(dim=1).numpy()] == wanted).mean())

    kept = [keep(strength) for strength in (0.0, 1.0)]
    assert kept[0] > 0.9 and abs(kept[1] - 0.5) < 0.2, kept
