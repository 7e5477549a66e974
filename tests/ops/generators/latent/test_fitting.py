"""Both trainings of kind `latent`: what they learn, and that a run killed in either goes on to the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ops.datasets.axes import to_nchw
from ops.files.storage import read_json
from ops.generators.denoising import steps as denoising
from ops.generators.denoising.augmentation import augment
from ops.generators.folder import WEIGHTS
from ops.generators.latent import autoencoding
from ops.generators.latent.autoencoding import LEAST_SPREAD, encode_all, examine
from ops.generators.latent.fitting import SCRATCH
from ops.generators.latent.network import build_autoencoder, build_latent_flow, describe_autoencoder
from ops.generators.protocol import Fitting, Sample
from ops.generators.registry import KINDS
from ops.generators.stored_network import load_network
from ops.machine.parallel import start_threads, use_threads
from ops.recipe.latent import AutoencoderSettings, LatentSettings
from ops.recipe.sampler import SamplerSettings
from ops.training.checkpoint import CHECKPOINT, Checkpoints
from ops.training.loop import TrainingDiverged
from ops.training.state import Observation
from ops.training.terms import Terms
from tests.workspaces import digit_splits

OWN = {"width": 8, "batch_size": 8, "steps": 4, "warmup_steps": 2, "ema_decay": 0.9}
SMALL: dict[str, Any] = {
    "kind": "latent", "widths": (8, 16), "steps": 4, "batch_size": 8, "warmup_steps": 2, "ema_decay": 0.9,
    "checkpoints": 2, "precision": "fp32", "autoencoder": OWN,
}  # fmt: skip


class Killed(Exception):
    """Stands for a process that ends in the middle."""


def take_digits() -> tuple[Tensor, Tensor]:
    train = digit_splits()["train"]
    return torch.from_numpy(to_nchw(train.images))[:32], torch.from_numpy(train.labels.copy())[:32]


def make_toys(classes: int = 2, channels: int = 1) -> tuple[Tensor, Tensor]:
    """Images of 16 x 16: class 0 is dark, class 1 is bright."""
    labels = torch.arange(2).repeat_interleave(12)
    noise = torch.randint(0, 40, (24, channels, 16, 16), generator=torch.Generator().manual_seed(1))
    return (noise + 200 * labels[:, None, None, None]).to(torch.uint8), labels % classes


def fit(
    folder: Path,
    images: Tensor,
    labels: Tensor,
    threads: int = 1,
    fitting: dict[str, Any] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    settings = LatentSettings.model_validate({**SMALL, **changes})
    names = tuple("abc"[: int(labels.max()) + 1])
    given = Fitting(images, labels, names, 7, folder, folder / "out", folder / "scratch", **(fitting or {}))
    given.out.mkdir(parents=True, exist_ok=True)
    with use_threads(threads):
        return KINDS["latent"].fit(settings, given)


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
    [(autoencoding, "AutoencodingSteps", f"{SCRATCH}/{CHECKPOINT}"), (denoising, "DenoisingSteps", CHECKPOINT)],
    ids=["autoencoder", "flow"],
)
def test_a_run_killed_in_either_training_goes_on_to_the_bytes_of_a_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, steps: str, kept: str
) -> None:
    changes = {"dropout": 0.2, "label_dropout": 0.2, "precision": "bf16"}
    fit(tmp_path / "whole", *take_digits(), **changes)
    found = getattr(module, steps)
    monkeypatch.setattr(found, "__call__", die_at(3, found.__call__))  # after the checkpoint of step 2
    with pytest.raises(Killed):
        fit(tmp_path / "killed", *take_digits(), threads=2, **changes)
    assert (tmp_path / "killed" / "scratch" / kept).exists()
    monkeypatch.undo()
    torch.rand(5)  # another state of the global generator
    taken: list[int] = []
    whole = autoencoding.AutoencodingSteps.__call__
    monkeypatch.setattr(
        autoencoding.AutoencodingSteps, "__call__", lambda self, step: taken.append(step) or whole(self, step)
    )
    fit(tmp_path / "killed", *take_digits(), **changes)
    assert read_weights(tmp_path / "killed") == read_weights(tmp_path / "whole")
    assert taken == ([2, 3] if steps == "AutoencodingSteps" else [])


@pytest.mark.parametrize(
    "changes",
    [{"augment": 0.5, "distillation": {"evaluations": 1, "pairs": 20, "steps": 2, "batch_size": 8}}, {}],
    ids=["augmented and distilled", "plain"],
)
def test_weights_are_the_same_for_any_number_of_threads(tmp_path: Path, changes: dict[str, Any]) -> None:
    for threads in (1, 2):
        fit(tmp_path / str(threads), *take_digits(), threads=threads, steps=2, **changes)
    assert read_weights(tmp_path / "1") == read_weights(tmp_path / "2")


def test_augmented_images_reach_both_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, tuple[int, ...]]] = []

    def note(name: str) -> Callable[..., Any]:
        def call(images: Tensor, *rest: Any) -> Any:
            seen.append((name, tuple(images.shape)))
            return augment(images, *rest)

        return call

    monkeypatch.setattr(autoencoding, "augment", note("autoencoder"))
    monkeypatch.setattr(denoising, "augment", note("flow"))
    fit(tmp_path, *take_digits(), augment=0.5)
    assert {shape for _, shape in seen} == {(8, 1, 16, 16)}  # the flow's images are augmented before they are encoded
    assert [name for name, _ in seen].count("autoencoder") == 4 and ("flow", (8, 1, 16, 16)) in seen
    assert read_json(tmp_path / "out" / "config.json")["conditions"] > 0


def test_the_reconstruction_of_digits_gets_better(tmp_path: Path) -> None:
    images, labels = take_digits()
    own = AutoencoderSettings(**{**OWN, "steps": 60, "width": 16})
    settings = LatentSettings(autoencoder=own, precision="fp32")
    config = {"channels": 1, "height": 16, "width": 16, **describe_autoencoder(own, (1, 16, 16))}
    torch.manual_seed(0)
    autoencoder = build_autoencoder(config)
    with start_threads() as pool:
        before = examine(autoencoder, images, pool, "fp32", "cpu")
        checkpoints, terms = Checkpoints(tmp_path, 1), Terms(0, "fp32", pool)
        autoencoding.learn_autoencoder(autoencoder, settings, images, labels, (4, 4, 4), checkpoints, terms)
        latents = encode_all(autoencoder, images, pool, "fp32", "cpu")
        after = examine(autoencoder, images, pool, "fp32", "cpu")
    assert after < 0.4 * before and after < 25
    # Latents are standardised over the training images.
    assert latents.mean(dim=(0, 2, 3)).abs().max() < 1e-3
    assert (latents.std(dim=(0, 2, 3)) - 1).abs().max() < 1e-2
    with torch.inference_mode():
        assert torch.allclose(autoencoder.encode(images.float() / 127.5 - 1), latents, atol=1e-4)


def test_an_autoencoder_that_diverges_is_told_by_its_own_key(tmp_path: Path) -> None:
    own = AutoencoderSettings(**{**OWN, "learning_rate": 1e30, "warmup_steps": 0})
    config = {"channels": 1, "height": 16, "width": 16, **describe_autoencoder(own, (1, 16, 16))}
    settings, told = LatentSettings(autoencoder=own), r"lower the prior's autoencoder.learning_rate \(now"
    with start_threads() as pool, pytest.raises(TrainingDiverged, match=told):
        autoencoding.learn_autoencoder(
            build_autoencoder(config), settings, *take_digits(), (4, 4, 4), Checkpoints(tmp_path, 1),
            Terms(0, "fp32", pool, section="prior"),
        )  # fmt: skip


def test_a_channel_of_latents_that_does_not_vary_is_not_blown_up() -> None:
    autoencoder = build_autoencoder(
        {"channels": 1, "height": 16, "width": 16, **describe_autoencoder(AutoencoderSettings(width=8), (1, 16, 16))}
    )
    with torch.no_grad():
        for parameter in autoencoder.encoder.conv_out.parameters():
            parameter.zero_()
    with start_threads() as pool:
        latents = encode_all(autoencoder, take_digits()[0], pool, "fp32", "cpu")
    assert not latents.any() and (autoencoder.spread == LEAST_SPREAD).all()


def test_draws_of_the_dark_class_are_dark_and_those_of_the_bright_class_bright(tmp_path: Path) -> None:
    brightness: list[list[float]] = []

    class Eye:
        def observe(self, step: int, sample: Sample) -> Observation:
            label = torch.arange(2).repeat(6)
            drawn = sample({"noise": torch.randn(12, 1, 16, 16), "label": label})
            assert drawn.shape == (12, 16, 16, 1) and drawn.dtype == torch.uint8
            brightness.append([float(drawn[label == c].float().mean()) for c in range(2)])
            return Observation()

    images, labels = make_toys()
    metrics = fit(
        tmp_path, images, labels, steps=60, learning_rate=0.02, fitting={"watch": lambda copies: Eye()},
        autoencoder={**OWN, "steps": 60, "learning_rate": 0.01},
    )  # fmt: skip
    assert len(brightness) == 2
    dark, bright = brightness[-1]
    assert dark < 80 and bright > 160
    assert metrics["steps"] == metrics["best_step"] == 60 and metrics["training_images"] == 480
    assert metrics["autoencoder_steps"] == 60 and 0 < metrics["reconstruction_levels"] < 40
    assert set(read_json(tmp_path / "out" / "losses.json")) == {"every", "loss", "autoencoder"}
    whole, config = load_network(tmp_path / "out", build_latent_flow)
    assert config["kind"] == "latent" and config["latent_shape"] == [4, 4, 4] and not whole.training
    # The stored generator draws what the one in training drew.
    drawn = (
        KINDS["latent"]
        .load(tmp_path / "out")
        .sample(
            {"noise": torch.randn(12, 1, 16, 16), "label": torch.arange(2).repeat(6)},
            SamplerSettings(solver="heun", steps=6),
        )
    )
    assert float(drawn[1::2].float().mean()) - float(drawn[::2].float().mean()) > 80


def test_one_class_is_enough(tmp_path: Path) -> None:
    images, labels = make_toys(classes=1, channels=3)
    fit(tmp_path, images, labels)
    generator = KINDS["latent"].load(tmp_path / "out")
    feeds = {"noise": torch.randn(3, 3, 16, 16), "label": torch.zeros(3, dtype=torch.int64)}
    drawn = generator.sample(feeds, SamplerSettings(solver="euler", steps=2))
    assert drawn.shape == (3, 16, 16, 3) and len(np.unique(drawn.numpy(), axis=0)) == 3


def test_the_cost_is_positive_and_the_autoencoder_is_part_of_it(tmp_path: Path) -> None:
    kind, shape = KINDS["latent"], (1, 16, 16)
    settings = LatentSettings.model_validate({**SMALL, "augment": 0.2})
    sampler = settings.resolve_sampler(SamplerSettings(strength=0.5))
    estimated = kind.estimate(settings, sampler, shape, 2, tmp_path)
    assert min(estimated.fit_seconds, estimated.step_seconds, estimated.image_seconds) > 0
    longer = settings.model_copy(update={"autoencoder": settings.autoencoder.model_copy(update={"steps": 1004})})
    one, other = (kind.guess(own, sampler, shape, tmp_path, 1e10, 1) for own in (settings, longer))
    assert other.step_seconds == one.step_seconds and other.fit_seconds - one.fit_seconds > 1000 * 0.01
    fixed = [
        kind.guess(own, sampler, shape, tmp_path, 1e10, 1)
        for own in (settings, settings.model_copy(update={"steps": 8}))
    ]
    assert fixed[1].fit_seconds - fixed[0].fit_seconds == pytest.approx(4 * fixed[0].step_seconds)
    unvaried = kind.guess(settings, settings.resolve_sampler(SamplerSettings()), shape, tmp_path, 1e10, 1)
    assert unvaried.image_seconds < one.image_seconds
