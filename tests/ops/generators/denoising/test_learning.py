"""Flow training: an interrupted run against an unbroken one, the best moment, divergence."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ops.errors import GrowsetError
from ops.generators.denoising import steps as denoising
from ops.generators.denoising.augmentation import count_conditions
from ops.generators.denoising.learning import learn
from ops.generators.denoising.network import ConditionalUNet
from ops.generators.denoising.steps import DenoisingSteps
from ops.generators.kinds.flow import Flow
from ops.machine.parallel import start_threads
from ops.recipe.denoisers import FlowSettings
from ops.training import state
from ops.training.checkpoint import BEST, CHECKPOINT, Checkpoints
from ops.training.loop import TrainingDiverged
from ops.training.state import LOSS_WINDOW, Observation, TrainingState

STEPS, LOSS = 12, Flow().loss
SETTINGS = FlowSettings(
    widths=(8, 16), steps=STEPS, batch_size=8, learning_rate=1e-2, warmup_steps=3, ema_decay=0.9, precision="fp32"
)


class Killed(Exception):
    """Stands for a process that ends in the middle."""


def build_unet(seed: int = 0) -> ConditionalUNet:
    torch.manual_seed(seed)
    return ConditionalUNet(channels=1, height=8, width=8, labels=3, widths=(8, 16))


def make_toys(per_class: int = 10) -> tuple[Tensor, Tensor]:
    """Class 0 is dark, class 1 is bright."""
    labels = torch.arange(2).repeat_interleave(per_class)
    noise = torch.randint(0, 40, (2 * per_class, 1, 8, 8), generator=torch.Generator().manual_seed(1))
    return (noise + 200 * labels[:, None, None, None]).to(torch.uint8), labels


def train_toys(
    model: ConditionalUNet,
    scratch: Path,
    settings: FlowSettings = SETTINGS,
    *,
    loss: Callable[..., Tensor] = LOSS,
    seed: int = 7,
    checkpoints: int = 4,
    observe: Callable[[int], Observation] = lambda step: Observation(),
    **options: Any,
) -> TrainingState:
    steps = DenoisingSteps(
        model, loss, *make_toys(), settings, seed=seed, precision="fp32", noise_share=Flow().noise_share
    )
    return learn(model, steps, settings, Checkpoints(scratch, checkpoints, observe), **options)


def assert_same_weights(one: nn.Module, other: nn.Module) -> None:
    for (name, first), (_, second) in zip(one.state_dict().items(), other.state_dict().items(), strict=True):
        assert torch.equal(first, second), name


def test_a_resumed_run_ends_with_the_same_weights_and_losses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "LOSS_WINDOW", 3)
    whole = build_unet()
    losses = train_toys(whole, tmp_path / "whole").losses

    def run(model: ConditionalUNet, stop: int) -> TrainingState:
        def on_step(step: int, loss: float) -> None:
            seen.append(step)
            if step == stop:
                raise Killed

        return train_toys(model, tmp_path / "killed", checkpoints=3, on_step=on_step)

    seen: list[int] = []
    for initial, stop in ((0, 7), (1, 11)):  # killed twice, after the checkpoints at 4 and 8
        with pytest.raises(Killed):
            run(build_unet(initial), stop)
    resumed = build_unet(2)  # other initial weights: all must come from the checkpoint
    resumed_losses = run(resumed, STEPS + 1).losses
    assert seen == [*range(1, 8), *range(5, 12), *range(9, 13)]
    assert_same_weights(resumed, whole)
    assert resumed_losses == losses
    assert len(losses) == STEPS // 3
    assert sorted(file.name for file in (tmp_path / "killed").iterdir()) == [BEST, CHECKPOINT]


def test_a_run_that_was_killed_after_its_last_step_has_nothing_left_to_train(tmp_path: Path) -> None:
    whole, again, steps = build_unet(), build_unet(1), []
    train_toys(whole, tmp_path)
    ended = train_toys(again, tmp_path, on_step=lambda step, loss: steps.append(step))
    assert (steps, ended.step) == ([], STEPS)
    assert_same_weights(again, whole)


def test_writing_checkpoints_and_looking_at_the_averaged_weights_changes_nothing(tmp_path: Path) -> None:
    plain, watched = build_unet(), build_unet()
    train_toys(plain, tmp_path / "plain", checkpoints=1)
    steps: list[int] = []

    def observe(step: int) -> Observation:
        assert not watched.training
        steps.append(step)
        return Observation()

    train_toys(watched, tmp_path / "watched", checkpoints=3, observe=observe)
    assert steps == [4, 8, 12]
    assert_same_weights(watched, plain)
    assert not watched.training


def test_the_weights_of_the_best_moment_are_kept_and_the_later_of_equal_ones(tmp_path: Path) -> None:
    for scores, best in (([3.0, 1.0, 2.0], 8), ([1.0, 1.0, 2.0], 8), ([3.0, 2.0, 1.0], 12)):
        folder, moments = tmp_path / str(scores), {}
        model = build_unet()

        def observe(step: int, scores: list[float] = scores, moments: dict[int, Tensor] = moments) -> Observation:
            moments[step] = model.unet.conv_in.weight.detach().clone()  # noqa: B023
            return Observation({"a": (scores[step // 4 - 1], 0.0)})

        ended = train_toys(model, folder, checkpoints=3, observe=observe)
        assert ended.best_step == best
        assert torch.equal(model.unet.conv_in.weight, moments[best])


def test_an_observer_can_end_training_and_a_resumed_run_stays_ended(tmp_path: Path) -> None:
    for _ in range(2):
        ended = train_toys(build_unet(), tmp_path, checkpoints=3, observe=lambda step: Observation(stop=step >= 8))
        assert (ended.step, ended.best_step, ended.stopped) == (8, 8, True)


def test_labels_are_dropped_as_often_as_the_settings_say(tmp_path: Path) -> None:
    seen: list[Tensor] = []

    def loss(predict: nn.Module, images: Tensor, labels: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        seen.append(labels)
        return Flow().loss(predict, images, labels, noise, level)

    settings = SETTINGS.model_copy(update={"batch_size": 200, "label_dropout": 0.3})
    train_toys(build_unet(), tmp_path, settings, loss=loss)
    labels = torch.cat(seen)
    assert float((labels == 2).float().mean()) == pytest.approx(0.3, abs=0.04)
    assert set(labels.tolist()) == {0, 1, 2}


def test_the_network_is_told_how_an_image_was_augmented_and_nothing_when_it_was_not(tmp_path: Path) -> None:
    told: list[Tensor] = []

    class Listener(ConditionalUNet):
        def forward(self, x: Tensor, t: Tensor, label: Tensor, condition: Tensor | None = None) -> Tensor:
            assert condition is not None
            told.append(condition)
            return super().forward(x, t, label, condition)

    model = Listener(channels=1, height=8, width=8, labels=2, widths=(8, 16), conditions=count_conditions(1))
    settings = SETTINGS.model_copy(update={"augment": 0.3, "batch_size": 100})
    train_toys(model, tmp_path, settings)
    untouched = (torch.cat(told) == 0).all(dim=1).float().mean()
    assert float(untouched) == pytest.approx(0.85 * 0.7**3, abs=0.05)  # a flip, two shifts, a scale, a turn


def test_the_result_depends_on_the_seed_and_not_on_torchs_global_generator(tmp_path: Path) -> None:
    models = []
    for number, (global_seed, seed) in enumerate(((0, 7), (1, 7), (1, 8))):
        model = build_unet()
        torch.manual_seed(global_seed)
        train_toys(model, tmp_path / str(number), seed=seed)
        models.append(model)
    assert_same_weights(models[0], models[1])
    with pytest.raises(AssertionError):
        assert_same_weights(models[0], models[2])


def test_batches_drawn_ahead_by_other_threads_are_those_of_their_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = SETTINGS.model_copy(update={"augment": 0.3, "label_dropout": 0.2})
    drawn: list[int] = []
    draw = denoising.draw_batch

    def draw_and_note(by_class: list[np.ndarray], balanced: bool, size: int, seed: int, step: int) -> np.ndarray:
        drawn.append(step)
        return draw(by_class, balanced, size, seed, step)

    monkeypatch.setattr(denoising, "draw_batch", draw_and_note)
    models = [build_unet(), build_unet()]
    for number, model in enumerate(models):
        steps = DenoisingSteps(
            model, Flow().loss, *make_toys(), settings, seed=7, precision="fp32", noise_share=Flow().noise_share
        )
        with start_threads() as pool:
            ahead: dict[str, Any] = {"pool": pool, "prepare": steps.prepare} if number else {}
            learn(model, steps, settings, Checkpoints(tmp_path / str(number)), **ahead)
    assert_same_weights(*models)
    assert drawn == [*range(STEPS), *range(STEPS)]  # each once: what was drawn ahead is used


def test_an_error_of_what_is_done_ahead_is_raised(tmp_path: Path) -> None:
    def fail(step: int) -> None:
        raise Killed

    with start_threads() as pool, pytest.raises(Killed):
        train_toys(build_unet(), tmp_path, pool=pool, prepare=fail)


def test_every_step_of_every_seed_draws_noise_and_levels_of_its_own(tmp_path: Path) -> None:
    drawn: list[float] = []

    def loss(predict: nn.Module, images: Tensor, labels: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        drawn.extend((float(noise.sum()), float(level.sum())))
        return Flow().loss(predict, images, labels, noise, level)

    for seed in (7, 8):
        train_toys(build_unet(), tmp_path / str(seed), seed=seed, loss=loss)
    assert len(set(drawn)) == len(drawn) == 4 * STEPS


@pytest.mark.parametrize(
    ("section", "advice"),
    [
        ("prior", "lower the prior's learning_rate (now 1e+30) or set prior.precision to fp32"),
        (None, "lower learning_rate (now 1e+30) or set precision to fp32"),  # of a plan's timed steps
    ],
)
def test_a_huge_learning_rate_ends_in_one_sentence_that_says_what_to_do(
    tmp_path: Path, section: str | None, advice: str
) -> None:
    settings = SETTINGS.model_copy(update={"learning_rate": 1e30, "warmup_steps": 0})
    with pytest.raises(
        TrainingDiverged,
        match=rf"loss became (nan|inf), the norm of its gradient (nan|inf), at step \d+; {re.escape(advice)}$",
    ):
        train_toys(build_unet(), tmp_path, settings, section=section)
    assert issubclass(TrainingDiverged, GrowsetError)


def test_a_nan_loss_stops_before_it_reaches_the_weights_and_the_checkpoint_stays(tmp_path: Path) -> None:
    calls = []

    def spoil(*arguments: object) -> Tensor:
        calls.append(1)
        loss = Flow().loss(*arguments)
        return loss * torch.nan if len(calls) == 7 else loss

    model = build_unet()
    with pytest.raises(
        TrainingDiverged, match="nan, the norm of its gradient nan, at step 6;.*checkpoint of step 4 is kept"
    ):
        train_toys(model, tmp_path / "spoilt", checkpoints=3, loss=spoil)
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())
    # The checkpoint before it is intact: with a sound loss the run goes on to the same end.
    resumed, whole = build_unet(1), build_unet()
    train_toys(resumed, tmp_path / "spoilt", checkpoints=3)
    train_toys(whole, tmp_path / "whole")
    assert_same_weights(resumed, whole)


def test_training_lowers_the_loss_and_learns_which_class_is_bright(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"steps": 160, "batch_size": 16})
    model = build_unet()
    losses = train_toys(model, tmp_path, settings).losses
    assert len(losses) == 160 // LOSS_WINDOW
    assert losses[-1] < 0.5 * losses[0]
    noise = torch.randn(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(2).repeat_interleave(20)

    def evaluate(x: Tensor, time: float) -> Tensor:
        return model(x, x.new_full((len(x),), time), labels)

    with torch.inference_mode():
        drawn = Flow().integrate(evaluate, noise, solver="heun", steps=4).mean(dim=(1, 2, 3))
    images, _ = make_toys()
    truth = (images.float() / 127.5 - 1).mean(dim=(1, 2, 3))
    assert float(drawn[:20].mean()) == pytest.approx(float(truth[:10].mean()), abs=0.25)
    assert float(drawn[20:].mean()) == pytest.approx(float(truth[10:].mean()), abs=0.25)
