"""Training: a run that is killed and resumed, one and two cores, every option, and that classes are learnt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ops.files.storage import read_json
from ops.generators.adversarial.cost import estimate_adversarial
from ops.generators.adversarial.drawing import Drawing
from ops.generators.adversarial.given import Given
from ops.generators.adversarial.learning import learn_in_turns
from ops.generators.adversarial.pair import Pair
from ops.generators.dcgan.design import Dcgan
from ops.generators.folder import WEIGHTS
from ops.generators.protocol import Fitting, Sample
from ops.generators.registry import KINDS
from ops.generators.stored_network import load_network
from ops.machine.parallel import start_threads, use_threads
from ops.recipe.dcgan import DcganSettings
from ops.recipe.sampler import SamplerSettings
from ops.training.checkpoint import Checkpoints
from ops.training.loop import TrainingDiverged
from ops.training.state import Observation

NAMES = ("dark", "light")
SMALL: dict[str, Any] = {"width": 8, "latent": 8, "steps": 8, "batch_size": 8, "ema_decay": 0.9, "precision": "fp32"}


class Killed(Exception):
    """Stands for a process that ends in the middle."""


def make_flat(count: int = 32) -> tuple[Tensor, Tensor]:
    """Two classes of flat grey images: class 0 around a level of 60, class 1 around one of 190."""
    labels = torch.arange(count) % 2
    levels = 60 + 130 * labels + torch.randint(-20, 21, (count,), generator=torch.Generator().manual_seed(0))
    return levels.to(torch.uint8)[:, None, None, None].expand(-1, 1, 8, 8).contiguous(), labels


def run(folder: Path, *, seed: int = 0, stop: int = -1, threads: int = 1, **changes: Any) -> Pair:
    """Train on `threads` threads; killed after `stop` steps."""
    settings = DcganSettings(**{**SMALL, **changes})
    torch.manual_seed(seed)
    config = {"channels": 1, "height": 8, "width": 8, "class_names": NAMES, **Dcgan().describe(settings, (1, 8, 8))}
    pair = Dcgan().build_pair(config, settings)

    def on_step(step: int, loss: float) -> None:
        assert np.isfinite(loss)
        if step == stop:
            raise Killed

    with use_threads(threads), start_threads() as pool:
        given = Given(*make_flat(), seed=5, pool=pool, precision=settings.precision)
        learn_in_turns(Dcgan().make_game(pair, settings, given), Checkpoints(folder, 2), on_step=on_step)
    return pair


def test_a_killed_and_resumed_training_on_two_cores_ends_with_the_bits_of_a_whole_one_on_one(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole")
    with pytest.raises(Killed):
        run(tmp_path / "killed", stop=5, threads=2)
    resumed = run(tmp_path / "killed", seed=1, threads=2)  # other initial weights
    assert "maker.norms.0.mean" in whole.state_dict() and "critic.score.u" in whole.state_dict()
    for (name, first), second in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(first, second), name


@pytest.mark.parametrize(
    "changes",
    [
        {"spectral_norm": False, "augment": [], "mode_seeking": 0.0, "latent": None},
        {"augment": ["colour"], "class_balanced": False, "ema_decay": 0.0, "precision": "bf16"},
        {"augment": ["colour", "translation", "cutout"], "width": None, "mode_seeking": 1.0, "learning_rate": 2e-4},
        {"batch_size": 9, "critic_rate": 1e-3, "warmup_steps": 1, "weight_decay": 0.1},
    ],
    ids=str,
)
def test_every_option_trains(tmp_path: Path, changes: dict[str, Any]) -> None:
    pair = run(tmp_path, steps=2, **changes)
    assert all(value.isfinite().all() for value in pair.state_dict().values())


def test_a_huge_learning_rate_ends_in_one_sentence_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TrainingDiverged, match=r"lower the generator's learning_rate \(now 1e"):
        run(tmp_path, learning_rate=1e30, steps=4)


def test_the_kept_statistics_are_those_of_the_kept_weights(tmp_path: Path) -> None:
    """Settled anew on the same draws they do not change; the live weights of the last step would give others."""
    pair = run(tmp_path)
    before = {name: value.clone() for name, value in pair.maker.named_buffers()}
    settings = DcganSettings(**SMALL)
    with start_threads() as pool:
        Dcgan().make_game(pair, settings, Given(*make_flat(), seed=5, pool=pool, precision="fp32")).settle()
    for name, value in pair.maker.named_buffers():
        torch.testing.assert_close(value, before[name], rtol=1e-5, atol=1e-6)
    assert float(before["norms.0.variance"].sub(1).abs().max()) > 0.1


def test_of_two_flat_classes_each_is_drawn_as_itself(tmp_path: Path) -> None:
    rates = {"learning_rate": 5e-3, "critic_rate": 5e-3, "mode_seeking": 0.0}
    pair = run(tmp_path, steps=100, batch_size=16, augment=[], **rates)
    with torch.inference_mode():
        noise = torch.randn(40, 1, 8, 8, generator=torch.Generator().manual_seed(1))
        drawn = Drawing(pair.maker)(noise, torch.arange(40) % 2).float().mean(dim=(1, 2, 3))
    for label, level in enumerate((60, 190)):
        own = drawn[label::2]
        assert abs(float(own.mean()) - level) < 30 and float((own - level).abs().max()) < 60, own


def test_a_fitted_generator_lies_in_its_directory_without_its_critic(tmp_path: Path) -> None:
    images, labels = make_flat()
    seen: list[tuple[int, Tensor]] = []

    class Eye:
        def observe(self, step: int, sample: Sample) -> Observation:
            seen.append((step, sample({"noise": torch.randn(3, 1, 8, 8), "label": torch.tensor([0, 1, 0])})))
            return Observation()

    (tmp_path / "out").mkdir()
    fitting = Fitting(
        images, labels, NAMES, 0, tmp_path, tmp_path / "out", tmp_path / "scratch", watch=lambda copies: Eye()
    )
    metrics = KINDS["dcgan"].fit(DcganSettings(**{**SMALL, "checkpoints": 2}), fitting)
    assert [step for step, _ in seen] == [4, 8]
    assert all(drawn.shape == (3, 8, 8, 1) and drawn.dtype == torch.uint8 for _, drawn in seen)
    maker, config = load_network(tmp_path / "out", Dcgan().build_maker)
    assert (config["kind"], config["class_names"], config["latent"]) == ("dcgan", list(NAMES), 8)
    assert metrics["parameters"] == sum(p.numel() for p in maker.parameters())
    assert metrics["training_images"] == 8 * 8 and metrics["best_step"] == 8
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["config.json", "losses.json", WEIGHTS]
    assert read_json(tmp_path / "out" / "losses.json")["every"] == 20


def test_the_cost_is_timed_and_guessed_for_all_steps() -> None:
    settings, kind = DcganSettings(**SMALL), KINDS["dcgan"]
    timed = estimate_adversarial(Dcgan(), settings, (1, 8, 8), 2)
    assert timed.fit_seconds == pytest.approx(8 * timed.step_seconds) and 0 < timed.image_seconds < timed.step_seconds
    guessed = [kind.guess(settings, SamplerSettings(), shape, Path(), 1e9, 2) for shape in ((1, 8, 8), (3, 64, 64))]
    assert guessed[0].fit_seconds == pytest.approx(8 * guessed[0].step_seconds)
    assert guessed[0].step_seconds < guessed[1].step_seconds and guessed[0].image_seconds < guessed[1].image_seconds
