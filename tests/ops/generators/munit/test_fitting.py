"""Training on 32 digits: a run that is killed and resumed, one and two cores, every option, and what it learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ops.datasets.axes import to_nchw
from ops.files.storage import read_json
from ops.generators.folder import WEIGHTS
from ops.generators.munit.cost import estimate_munit
from ops.generators.munit.fitting import examine, fit_munit, learn
from ops.generators.munit.guessing import guess_munit
from ops.generators.munit.network import Munit, build_makers, build_munit, describe_munit
from ops.generators.protocol import Fitting, Sample
from ops.generators.stored_network import load_network
from ops.machine.parallel import start_threads, use_threads
from ops.recipe.munit import MunitSettings
from ops.training.checkpoint import Checkpoints
from ops.training.loop import TrainingDiverged
from ops.training.state import Observation
from tests.workspaces import digit_splits

STEPS = 8
SMALL: dict[str, Any] = {
    "width": 8, "blocks": 1, "steps": STEPS, "batch_size": 6, "warmup_steps": 2, "ema_decay": 0.9, "precision": "fp32",
}  # fmt: skip


class Killed(Exception):
    """Stands for a process that ends in the middle."""


def take_digits() -> tuple[Tensor, Tensor]:
    train = digit_splits()["train"]
    return torch.from_numpy(to_nchw(train.images))[:32], torch.from_numpy(train.labels.copy())[:32]


def run(folder: Path, *, seed: int = 0, stop: int = -1, threads: int = 1, **changes: Any) -> Munit:
    """Train on `threads` threads; killed after `stop` steps."""
    settings = MunitSettings(**{**SMALL, **changes})
    torch.manual_seed(seed)
    config = {"channels": 1, "height": 16, "width": 16, **describe_munit(settings)}
    munit = build_munit(config, spectral_norm=settings.spectral_norm)

    def on_step(step: int, loss: float) -> None:
        assert np.isfinite(loss)
        if step == stop:
            raise Killed

    with use_threads(threads), start_threads() as pool:
        learn(
            munit, settings, *take_digits(), Checkpoints(folder, 2), seed=5, pool=pool, precision="fp32",
            on_step=on_step,
        )  # fmt: skip
    return munit


def assert_same(one: Munit, other: Munit) -> None:
    for (name, first), second in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(first, second), name


def test_a_killed_and_resumed_training_on_two_cores_ends_with_the_bits_of_a_whole_one_on_one(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", augment=0.3, flip=0.2)
    with pytest.raises(Killed):
        run(tmp_path / "killed", augment=0.3, flip=0.2, stop=5, threads=2)
    resumed = run(tmp_path / "killed", seed=1, augment=0.3, flip=0.2, threads=2)  # other initial weights
    assert_same(resumed, whole)


@pytest.mark.parametrize(
    "changes",
    [
        {"batch_size": 1},
        {"branches": 2, "sampling": "crossed"},
        {"adversary": "hinge", "cycle": 1.0},
        {"spectral_norm": False, "class_balanced": False, "halvings": 2},
    ],
    ids=str,
)
def test_every_option_trains(tmp_path: Path, changes: dict[str, Any]) -> None:
    munit = run(tmp_path, steps=2, **changes)
    assert all(value.isfinite().all() for value in munit.state_dict().values())


def test_a_huge_learning_rate_ends_in_one_sentence_that_says_what_to_do(tmp_path: Path) -> None:
    settings = MunitSettings(**{**SMALL, "learning_rate": 1e30, "warmup_steps": 0, "steps": 4})
    munit = build_munit({"channels": 1, "height": 16, "width": 16, **describe_munit(settings)})
    with (
        start_threads() as pool,
        pytest.raises(TrainingDiverged, match=r"lower the generator's learning_rate \(now 1e"),
    ):
        learn(munit, settings, *take_digits(), Checkpoints(tmp_path), seed=0, pool=pool, precision="fp32")


def test_a_fitted_generator_lies_in_its_directory_without_its_critic(tmp_path: Path) -> None:
    images, labels = take_digits()
    seen: list[tuple[int, Tensor]] = []

    class Eye:
        def observe(self, step: int, sample: Sample) -> Observation:
            feeds = {"image": images[:3].permute(0, 2, 3, 1), "noise": torch.randn(3, 1, 16, 16)}
            seen.append((step, sample(feeds)))
            return Observation()

    settings = MunitSettings(**{**SMALL, "checkpoints": 2})
    fitting = Fitting(
        images, labels, ("zero", "one"), 0, tmp_path, tmp_path / "out", tmp_path / "scratch", watch=lambda copies: Eye()
    )
    (tmp_path / "out").mkdir()
    metrics = fit_munit(settings, fitting)
    assert [step for step, _ in seen] == [4, 8]
    assert all(drawn.shape == (3, 16, 16, 1) and drawn.dtype == torch.uint8 for _, drawn in seen)
    makers, config = load_network(tmp_path / "out", build_makers)
    assert (config["kind"], config["class_names"], config["height"]) == ("munit", ["zero", "one"], 16)
    assert metrics["parameters"] == sum(p.numel() for p in makers.parameters())
    assert metrics["training_images"] == 8 * 6 and metrics["best_step"] == 8
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["config.json", "losses.json", WEIGHTS]
    assert read_json(tmp_path / "out" / "losses.json")["every"] == 20
    found = examine(makers, images)
    assert {name: metrics[name] for name in found} == found
    assert 0 < found["reconstruction_levels"] < 255


def test_images_are_found_again_better_with_training(tmp_path: Path) -> None:
    """The makers of so few steps reconstruct; more is not asked of them here."""
    images, _ = take_digits()
    before = examine(run(tmp_path / "none", steps=1, learning_rate=1e-9).makers, images)
    after = examine(run(tmp_path / "some", steps=30, learning_rate=3e-3).makers, images)
    assert after["reconstruction_levels"] < 0.8 * before["reconstruction_levels"]


def test_the_examination_of_a_known_maker_is_what_numpy_says() -> None:
    torch.manual_seed(0)
    config = {"channels": 1, "height": 16, "width": 16, **describe_munit(MunitSettings(**SMALL))}
    makers, (images, _) = build_makers(config).eval(), take_digits()
    with torch.inference_mode():
        x = images.float() / 127.5 - 1
        styles = makers[0].style_of(x)
        again = makers[0].decode(makers[0].encode(x), styles)
    found, numbers = examine(makers, images), styles.double().numpy()
    gap = np.cov(numbers.T, bias=True) - np.eye(8)
    assert found["reconstruction_levels"] == pytest.approx(127.5 * float((again - x).abs().mean()), abs=1e-3)
    assert found["style_mean"] == pytest.approx(np.sqrt((numbers.mean(0) ** 2).mean()), abs=1e-3)
    assert found["style_spread"] == pytest.approx(np.sqrt((gap**2).sum(1).mean()), rel=1e-3)


def test_a_guess_and_an_estimate_have_positive_times_and_longer_ones_for_more_steps() -> None:
    settings = MunitSettings(**SMALL)
    guessed, longer = (
        guess_munit(settings.model_copy(update={"steps": steps}), (1, 16, 16), 1e11, 2) for steps in (10, 20)
    )
    assert guessed.step_seconds == longer.step_seconds > 0 and longer.fit_seconds > guessed.fit_seconds
    with use_threads(1):
        measured = estimate_munit(settings, (1, 16, 16), 2)
    assert measured.fit_seconds == pytest.approx(STEPS * measured.step_seconds) and measured.image_seconds > 0
