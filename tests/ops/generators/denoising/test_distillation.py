"""Distillation: trajectories against closed forms, the loss's minimum, resuming, a student as good as its teacher."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ops.files.storage import read_json
from ops.generators.denoiser_kind import FlowKind
from ops.generators.denoising.distillation import PAIRS, TEACHER, distil_steps, draw_trajectories
from ops.generators.denoising.learning import learn
from ops.generators.kinds.flow import Flow
from ops.generators.protocol import Fitting
from ops.machine.parallel import start_threads
from ops.recipe.denoisers import DistillationSettings, FlowSettings
from ops.recipe.sampler import SamplerSettings
from ops.training.checkpoint import Checkpoints
from ops.training.loop import TrainingDiverged

SHAPE = (1, 4, 4)
SETTINGS = DistillationSettings(evaluations=2, pairs=30, teacher_steps=4, steps=30, batch_size=16, warmup_steps=2)


class Pull(nn.Module):
    """The true velocity when class c's images are all 0.5 - c: straight lines."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        point = 0.5 - label.float()[:, None, None, None]
        return (point - x) / (1 - t)[:, None, None, None] + self.shift


def draw(
    folder: Path, teacher: nn.Module | None = None, settings: DistillationSettings = SETTINGS
) -> tuple[Tensor, Tensor]:
    with start_threads() as pool:
        return draw_trajectories(
            Flow(),
            teacher or Pull(),
            settings,
            SHAPE,
            3,
            seed=1,
            precision="fp32",
            device="cpu",
            path=folder / PAIRS,
            pool=pool,
        )


def test_trajectories_run_from_noise_through_the_middle_to_the_image(tmp_path: Path) -> None:
    states, labels = draw(tmp_path)
    assert states.shape == (3, 30, *SHAPE)
    assert np.bincount(labels.numpy()).tolist() == [10, 10, 10]
    noise, middle, image = states.float()
    assert float(noise.std()) == pytest.approx(1, abs=0.15)
    point = (0.5 - labels.float())[:, None, None, None].expand_as(noise)
    torch.testing.assert_close(image, point, atol=2e-3, rtol=0)
    torch.testing.assert_close(middle, (noise + point) / 2, atol=2e-3, rtol=0)


def test_trajectories_saved_before_a_kill_are_not_drawn_again(tmp_path: Path) -> None:
    first = draw(tmp_path)

    class Refusing(Pull):
        def forward(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
            raise AssertionError("asked again")

    again = draw(tmp_path, Refusing())
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))


def test_a_straight_flow_has_no_loss_as_its_own_student_and_a_shifted_one_has(tmp_path: Path) -> None:
    student = Pull()
    find_loss = distil_steps(student, *draw(tmp_path), SETTINGS, seed=0, precision="fp32")
    assert float(find_loss(0).detach()) < 1e-3
    with torch.no_grad():
        student.shift += 0.2
    assert float(find_loss(0).detach()) > 0.05


def test_training_recovers_the_average_velocity(tmp_path: Path) -> None:
    states, labels = draw(tmp_path)
    student = Pull()
    with torch.no_grad():
        student.shift += 0.3
    settings = SETTINGS.model_copy(update={"steps": 150, "learning_rate": 0.02, "ema_decay": 0.8})
    find_loss = distil_steps(student, states, labels, settings, seed=0, precision="fp32")
    learn(student, find_loss, settings, Checkpoints(tmp_path))
    assert float(student.shift.detach()) == pytest.approx(0, abs=0.01)


def test_every_batch_holds_all_segments_equally_often(tmp_path: Path) -> None:
    times: list[Tensor] = []

    class Listener(Pull):
        def forward(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
            times.append(t)
            return super().forward(x, t, label)

    for evaluations in (1, 2, 4):
        settings = SETTINGS.model_copy(update={"evaluations": evaluations})
        states = draw(tmp_path / str(evaluations), settings=settings)
        find_loss = distil_steps(Listener(), *states, settings, seed=0, precision="fp32")
        for step in range(3):
            find_loss(step)
            shares = torch.unique(times.pop(), return_counts=True)
            assert shares[0].tolist() == [i / evaluations for i in range(evaluations)]
            assert int(shares[1].max() - shares[1].min()) <= 1


def fit(folder: Path, distillation: DistillationSettings | None, steps: int = 120) -> dict[str, object]:
    """A flow trained for a few steps on dark and bright images of 8 x 8."""
    labels = torch.arange(2).repeat_interleave(10)
    noise = torch.randint(0, 40, (20, 1, 8, 8), generator=torch.Generator().manual_seed(1))
    images = (noise + 200 * labels[:, None, None, None]).to(torch.uint8)
    settings = FlowSettings(
        widths=(8, 16), steps=steps, batch_size=16, learning_rate=4e-3, warmup_steps=3, ema_decay=0.9, precision="fp32",
        distillation=distillation,
    )  # fmt: skip
    fitting = Fitting(images, labels, ("dark", "bright"), 7, folder, folder / "out", folder / "scratch")
    return FlowKind().fit(settings, fitting)


def test_a_student_draws_in_two_evaluations_what_its_teacher_draws_in_many(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"pairs": 200, "steps": 100, "learning_rate": 4e-3, "ema_decay": 0.9})
    metrics = fit(tmp_path, settings)
    assert (metrics["steps"], metrics["student_steps"], metrics["best_step"]) == (120, 100, 220)
    noise, label = torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(2)), torch.arange(64) % 2
    student = FlowKind().load(tmp_path / "out")
    (tmp_path / "out" / TEACHER).rename(tmp_path / "out" / "model.safetensors")
    teacher = FlowKind().load(tmp_path / "out")
    truth = teacher.sample({"noise": noise, "label": label}, SamplerSettings(solver="heun", steps=4)).float()
    two = SamplerSettings(solver="euler", steps=2)
    distance = float((student.sample({"noise": noise, "label": label}, two).float() - truth).abs().mean())
    undistilled = float((teacher.sample({"noise": noise, "label": label}, two).float() - truth).abs().mean())
    assert distance < 0.8 * undistilled


@pytest.mark.slow
def test_a_run_that_was_killed_in_the_middle_of_distilling_ends_with_the_same_student(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = SETTINGS.model_copy(update={"steps": 20})
    fit(tmp_path / "whole", settings)
    from ops.generators.denoising import distillation

    class Killed(Exception):
        pass

    def kill(*arguments: object, **options: object) -> None:
        raise Killed

    whole_steps = distillation.distil_steps
    monkeypatch.setattr(distillation, "distil_steps", kill)
    with pytest.raises(Killed):
        fit(tmp_path / "killed", settings)
    monkeypatch.setattr(distillation, "distil_steps", whole_steps)
    fit(tmp_path / "killed", settings)
    for name in ("model.safetensors", TEACHER):
        assert (tmp_path / "killed" / "out" / name).read_bytes() == (tmp_path / "whole" / "out" / name).read_bytes()
    assert read_json(tmp_path / "killed" / "out" / "config.json")["kind"] == "flow"


def test_a_student_that_diverges_is_told_by_its_own_key(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"steps": 20, "learning_rate": 1e30, "warmup_steps": 0})
    with pytest.raises(TrainingDiverged, match=r"lower the generator's distillation.learning_rate \(now"):
        fit(tmp_path, settings, steps=1)


def test_teacher_steps_must_fill_the_segments() -> None:
    with pytest.raises(ValueError, match="teacher_steps must be a multiple of evaluations, 4"):
        DistillationSettings(evaluations=4, teacher_steps=6)


def test_a_student_accepts_only_its_own_sampler() -> None:
    distilled = FlowSettings(distillation=DistillationSettings(evaluations=1))
    assert distilled.resolve_sampler(SamplerSettings()) == SamplerSettings(solver="euler", steps=1, guidance=1.0)
    for key, value in (("solver", "heun"), ("steps", 2), ("guidance", 2.0)):
        with pytest.raises(ValueError, match=rf"{key} must be .* with this generator.distillation"):
            distilled.resolve_sampler(SamplerSettings.model_validate({key: value}))
