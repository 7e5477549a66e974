"""Training a masked autoencoder: what is left, what it learns from, and that a killed run goes on to the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ops.files.storage import read_json
from ops.generators.folder import WEIGHTS
from ops.generators.levels import to_float
from ops.generators.mae import learning
from ops.generators.mae.drawing import vary
from ops.generators.mae.learning import Rating
from ops.generators.mae.network import Mae, build_mae
from ops.generators.mae.sizes import describe_network
from ops.generators.mae_kind import MaeGenerator
from ops.generators.noise import draw_noise
from ops.generators.protocol import Fitting, Sample
from ops.generators.registry import KINDS
from ops.machine.parallel import use_threads
from ops.recipe.mae import MaeSettings
from ops.recipe.sampler import SamplerSettings
from ops.training.checkpoint import CHECKPOINT
from ops.training.state import Observation

HALF = {"width": 16, "layers": 1, "heads": 2}
SMALL: dict[str, Any] = {
    "kind": "mae", "encoder": HALF, "decoder": HALF, "steps": 4, "batch_size": 8, "warmup_steps": 2, "ema_decay": 0.9,
    "checkpoints": 2, "precision": "fp32",
}  # fmt: skip


class Killed(Exception):
    """Stands for a process that ends in the middle."""


class Watcher:
    """Draws two variants of the first image at each checkpoint, and keeps them."""

    def __init__(self, images: Tensor) -> None:
        noise = draw_noise(tuple(images.shape[1:]), seed=0, round_=0, unit="a", start=0, count=2)
        self.feeds = {"noise": torch.from_numpy(noise), "image": images[:1].permute(0, 2, 3, 1).repeat(2, 1, 1, 1)}
        self.seen: dict[int, Tensor] = {}

    def observe(self, step: int, sample: Sample) -> Observation:
        self.seen[step] = sample(self.feeds)
        return Observation()


def make_bars(count: int, side: int = 10) -> Tensor:
    """A bright bar across each image, uint8 [count, 1, side, side]: a part of it tells where the rest is."""
    rng, grid = np.random.default_rng(0), np.arange(side)
    images = np.full((count, 1, side, side), 20, np.uint8)
    for image, place, turned in zip(images, rng.integers(0, side - 2, count), rng.integers(0, 2, count), strict=True):
        inside = (grid >= place) & (grid < place + 3)
        image[0][inside if not turned else slice(None)] = 230 if not turned else np.where(inside, 230, 20)
    return torch.from_numpy(images)


def fit(folder: Path, images: Tensor, threads: int = 1, watcher: Watcher | None = None, **changes: Any) -> Any:
    settings = MaeSettings.model_validate({**SMALL, **changes})
    watched: dict[str, Any] = {} if watcher is None else {"watch": lambda copies: watcher}
    labels = torch.zeros(len(images), dtype=torch.int64)
    given = Fitting(images, labels, (), 7, folder, folder / "out", folder / "scratch", **watched)
    given.out.mkdir(parents=True, exist_ok=True)
    with use_threads(threads):
        return KINDS["mae"].fit(settings, given)


def load(folder: Path) -> Mae:
    generator = KINDS["mae"].load(folder / "out")
    assert isinstance(generator, MaeGenerator)
    return generator.mae


def test_a_killed_run_goes_on_to_the_bytes_of_a_whole_one_on_other_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, whole = make_bars(12), learning.RebuildingSteps.__call__

    def die(steps: learning.RebuildingSteps, at: int) -> Tensor:
        if at == 3:  # after the checkpoint of step 2
            raise Killed
        return whole(steps, at)

    watchers = [Watcher(images) for _ in range(2)]
    fit(tmp_path / "whole", images, watcher=watchers[0], precision="bf16")
    monkeypatch.setattr(learning.RebuildingSteps, "__call__", die)
    with pytest.raises(Killed):
        fit(tmp_path / "killed", images, 2, watchers[1], precision="bf16")
    assert (tmp_path / "killed" / "scratch" / CHECKPOINT).exists()
    monkeypatch.undo()
    torch.rand(5)  # another state of the global generator
    fit(tmp_path / "killed", images, 2, watchers[1], precision="bf16")
    one, other = ((tmp_path / name / "out" / WEIGHTS).read_bytes() for name in ("whole", "killed"))
    assert one == other
    assert [torch.equal(watchers[0].seen[step], watchers[1].seen[step]) for step in (2, 4)] == [True, True]


@pytest.mark.parametrize("normalise", [False, True])
def test_what_is_kept_has_standardised_latents_and_was_watched_in_variants(tmp_path: Path, normalise: bool) -> None:
    images = make_bars(30)  # of 10 pixels, in patches of 2
    watcher = Watcher(images)
    metrics = fit(tmp_path, images, watcher=watcher, normalise=normalise)
    assert (metrics["steps"], metrics["best_step"], metrics["training_images"]) == (4, 4, 32)
    assert list(read_json(tmp_path / "out" / "losses.json")) == ["every", "loss"]
    mae = load(tmp_path)
    config = read_json(tmp_path / "out" / "config.json")
    assert config["labelled"] is False and config["network"]["image_size"] == [10, 10] and config["hidden"] == [0, 0.5]
    assert metrics["parameters"] == sum(p.numel() for p in mae.parameters())
    with torch.inference_mode():
        latents = mae.encode(images.float() / 127.5 - 1)
        again = mae.decode(latents).clamp(-1, 1)
    apart = 127.5 * (again - (images.float() / 127.5 - 1)).abs().mean()
    assert metrics["reconstruction_levels"] == pytest.approx(float(apart), rel=1e-3)
    assert latents.shape == (30, 26, 18 if normalise else 16)
    varying = latents.std(dim=0) > 0.01
    assert latents.mean(dim=0).abs().max() < 1e-3
    assert (latents[:, varying].square().mean(dim=0) - 1).abs().max() < 0.05 and varying[1:].float().mean() > 0.9
    drawn = KINDS["mae"].load(tmp_path / "out").sample(watcher.feeds, SamplerSettings(strength=0.4))
    assert list(watcher.seen) == [2, 4] and drawn.shape == (2, 10, 10, 1)
    assert torch.equal(drawn, watcher.seen[4]), "the last weights are kept, and shown at strength 0.4"


def test_the_loss_weighs_hidden_and_seen_patches_as_told() -> None:
    torch.manual_seed(0)
    network = describe_network(MaeSettings.model_validate(SMALL), (1, 8, 8))
    mae = build_mae({"channels": 1, "height": 8, "width": 8, "network": network, "frame": None}).eval()
    x, kept = torch.rand(3, 1, 8, 8) * 2 - 1, torch.tensor([[0, 1, 2, 3]] * 3)
    with torch.inference_mode():
        error = (mae.rebuild(x, kept) - mae.find_target(x)).square().mean(dim=2)
        seen, unseen = error[:, :4], error[:, 4:]
        assert torch.allclose(Rating(mae, 0.0)(x, kept), unseen.mean(dim=1), atol=1e-6)
        half = (0.5 * seen.sum(dim=1) + unseen.sum(dim=1)) / (2 + 12)
        assert torch.allclose(Rating(mae, 0.5)(x, kept), half, atol=1e-6)


def test_steps_hide_between_the_least_and_the_most() -> None:
    shown: list[int] = []
    settings = MaeSettings.model_validate({**SMALL, "mask": [0.25, 0.75]})
    rate = lambda x, kept: (shown.append(kept.shape[1]), x.new_zeros(len(x)))[1]  # noqa: E731
    steps = learning.RebuildingSteps(rate, make_bars(4), 16, settings, seed=0, precision="fp32")
    for step in range(60):
        steps(step)
    assert min(shown) >= 4 and max(shown) <= 12 and len(set(shown)) > 5


def test_the_statistics_of_normalised_patches_are_those_of_the_seed_image() -> None:
    """With norm_pix_loss what is decoded has no level of its own; the latent holds each patch's."""
    torch.manual_seed(1)
    settings = MaeSettings.model_validate({**SMALL, "normalise": True})
    network = describe_network(settings, (1, 8, 8))
    mae = build_mae({"channels": 1, "height": 8, "width": 8, "network": network, "frame": None}).eval()
    x = torch.rand(2, 1, 8, 8)
    with torch.inference_mode():
        exact = mae.find_target(x)
        mae.decoder.forward = lambda read: exact  # a decoder that knows the answer
        again = mae.decode(mae.encode(x))
        dimmed = mae.decode(mae.encode(0.5 * x - 0.2))
    assert torch.allclose(again, x, atol=1e-5)
    assert torch.allclose(dimmed, 0.5 * x - 0.2, atol=1e-3)


def test_hidden_patches_stay_hidden_at_any_strength_and_change_nothing() -> None:
    torch.manual_seed(2)
    network = describe_network(MaeSettings.model_validate(SMALL), (1, 8, 8))
    mae = build_mae({"channels": 1, "height": 8, "width": 8, "network": network, "frame": None}).eval()
    x, noise = torch.rand(6, 1, 8, 8) * 2 - 1, torch.randn(6, 1, 8, 8)
    with torch.inference_mode():
        plain, moved = (vary(mae, x, noise, (0.5, 0.5), strength) for strength in (0.0, 0.6))
        masked = (plain[:, 1:] == mae.decoder.mask_token[0]).all(dim=2)
        assert masked.sum(dim=1).tolist() == [8] * 6
        assert torch.equal(plain[:, 1:][masked], moved[:, 1:][masked])
        assert not torch.isclose(plain[:, 1:][~masked], moved[:, 1:][~masked]).all(dim=1).any()
        covered = masked.view(6, 1, 4, 1, 4, 1).expand(-1, -1, -1, 2, -1, 2).reshape(6, 1, 8, 8)
        other = torch.where(covered, torch.rand(6, 1, 8, 8), x)
        torch.testing.assert_close(vary(mae, other, noise, (0.5, 0.5), 0.6), moved, atol=1e-5, rtol=1e-4)
        assert torch.equal(vary(mae, x, noise, (0.0, 0.0), 0.0), mae.encode(x))


@pytest.mark.slow
def test_it_learns_to_draw_what_is_hidden(tmp_path: Path) -> None:
    """Planted: the visible part of a bar tells where the hidden part is."""
    images = make_bars(300)
    half = {"width": 32, "layers": 2, "heads": 2}
    fit(tmp_path, images[:200], encoder=half, decoder=half, steps=300, batch_size=32, checkpoints=1)
    mae, x = load(tmp_path), to_float(images[200:].permute(0, 2, 3, 1))
    noise = torch.from_numpy(draw_noise((1, 10, 10), seed=0, round_=0, unit="a", start=0, count=100))
    with torch.inference_mode():
        again = mae.decode(vary(mae, x, noise, (0.4, 0.4), 0.0))
    mean = (images[:200].float() / 127.5 - 1).mean(dim=0)
    assert (again - x).abs().mean() < 0.5 * (mean - x).abs().mean()
