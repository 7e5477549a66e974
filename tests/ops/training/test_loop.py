"""The loop on toys: learners that take turns, resume, what is kept with and without checkpoints and averages."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from ops.machine.parallel import start_threads
from ops.training.checkpoint import BEST, CHECKPOINT, Checkpoints
from ops.training.loop import Learner, TrainingDiverged, train
from ops.training.optimizers import build_adamw, build_sgd
from ops.training.schedules import trapezoid
from ops.training.state import Observation

STEPS = 9


class Killed(Exception):
    """Stands for a process that ends in the middle."""


class Pair(nn.Module):
    """A generator of one number and a discriminator, each with a loss that depends on the other."""

    def __init__(self) -> None:
        super().__init__()
        self.maker, self.critic = nn.Linear(1, 1), nn.Linear(1, 1)

    def draw(self, step: int) -> tuple[Tensor, Tensor]:
        """Made and real numbers [8, 1]."""
        noise = torch.randn(8, 1, generator=torch.Generator().manual_seed(step))
        return self.maker(noise), 3 + noise

    def find_critics_loss(self, step: int) -> Tensor:
        made, real = self.draw(step)
        return (self.critic(real) - 1).square().mean() + self.critic(made).square().mean()

    def find_makers_loss(self, step: int) -> Tensor:
        return (self.critic(self.draw(step)[0]) - 1).square().mean()


def build_pair(seed: int = 0) -> Pair:
    torch.manual_seed(seed)
    return Pair()


def make_learners(pair: Pair) -> list[Learner]:
    """The critic learns first; each has an optimizer and a rate of its own."""
    slow, fast = trapezoid(0.01, STEPS, 2), trapezoid(0.1, STEPS, 0)
    return [
        Learner(pair.critic, pair.find_critics_loss, build_adamw(pair.critic, 0.01, 0.0), slow, clip=1.0),
        Learner(pair.maker, pair.find_makers_loss, build_sgd(pair.maker, 0.1, 0.0), fast),
    ]


def assert_same(one: nn.Module, other: nn.Module) -> None:
    for (name, first), second in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(first, second), name


def test_two_learners_move_as_in_a_loop_written_out() -> None:
    pair, expected, losses = build_pair(), build_pair(), []
    train(pair, make_learners(pair), STEPS, on_step=lambda step, loss: losses.append((step, loss)))
    assert not pair.training
    adamw = torch.optim.AdamW(expected.critic.parameters(), weight_decay=0.0)
    sgd = torch.optim.SGD(expected.maker.parameters(), momentum=0.9, nesterov=True)
    for step in range(STEPS):
        total = 0.0
        for optimizer, find_loss, network, schedule, clip in (
            (adamw, expected.find_critics_loss, expected.critic, trapezoid(0.01, STEPS, 2), 1.0),
            (sgd, expected.find_makers_loss, expected.maker, trapezoid(0.1, STEPS, 0), 1e9),
        ):
            optimizer.param_groups[0]["lr"] = schedule(step)["lr"]
            optimizer.zero_grad()
            loss = find_loss(step)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), clip)
            optimizer.step()
            total += float(loss.detach())
        assert losses[step] == (step + 1, pytest.approx(total, rel=1e-6))
    torch.testing.assert_close(pair.state_dict(), expected.state_dict())


def test_a_killed_training_of_two_learners_resumes_to_the_same_bits_with_any_pool(tmp_path: Path) -> None:
    whole = build_pair()
    train(whole, make_learners(whole), STEPS, ema_decay=0.9, checkpoints=Checkpoints(tmp_path / "whole", 3))

    def die(step: int, loss: float) -> None:
        if step == 5:
            raise Killed

    killed, resumed = build_pair(), build_pair(1)  # other initial weights: all must come from the checkpoint
    kept, seen = Checkpoints(tmp_path / "killed", 3), list[int]()
    with pytest.raises(Killed):
        train(killed, make_learners(killed), STEPS, ema_decay=0.9, checkpoints=kept, on_step=die)
    with start_threads() as pool:
        train(
            resumed, make_learners(resumed), STEPS, ema_decay=0.9, checkpoints=kept, pool=pool,
            on_step=lambda step, loss: seen.append(step),
        )  # fmt: skip
    assert seen == [4, 5, 6, 7, 8, 9]
    assert_same(resumed, whole)


def test_without_checkpoints_nothing_is_written_and_the_last_weights_are_left_averaged_or_not(tmp_path: Path) -> None:
    live, averaged, kept = build_pair(), build_pair(), build_pair()
    train(live, make_learners(live), STEPS)
    train(averaged, make_learners(averaged), STEPS, ema_decay=0.9)
    assert list(tmp_path.iterdir()) == []
    train(kept, make_learners(kept), STEPS, ema_decay=0.9, checkpoints=Checkpoints(tmp_path, 1))
    assert sorted(path.name for path in tmp_path.iterdir()) == [BEST, CHECKPOINT]
    assert_same(averaged, kept)
    with pytest.raises(AssertionError):
        assert_same(live, averaged)


def test_the_best_moment_has_its_buffers_too(tmp_path: Path) -> None:
    network = nn.BatchNorm1d(1)
    moments: dict[int, dict[str, Tensor]] = {}

    def observe(step: int) -> Observation:
        assert not network.training
        moments[step] = {name: value.clone() for name, value in network.state_dict().items()}
        return Observation({"a": (abs(step - 6), 0.0)})

    def find_loss(step: int) -> Tensor:
        numbers = torch.randn(8, 1, generator=torch.Generator().manual_seed(step)) + step
        return (network(numbers) - numbers).square().mean()

    learner = Learner(network, find_loss, build_sgd(network, 0.1, 0.0), trapezoid(0.1, STEPS, 0))
    state = train(network, [learner], STEPS, checkpoints=Checkpoints(tmp_path, 3, observe))
    assert (state.best_step, state.step) == (6, STEPS)
    torch.testing.assert_close(dict(network.state_dict()), moments[6], rtol=0, atol=0)
    assert not torch.equal(moments[6]["running_mean"], moments[9]["running_mean"])


def test_next_steps_are_prepared_once_each_when_all_learners_are_done_with_the_one_before() -> None:
    pair, calls = build_pair(), []

    def note(find_loss: object, name: str) -> object:
        return lambda step: (calls.append((name, step)), find_loss(step))[1]

    pair.find_critics_loss = note(pair.find_critics_loss, "critic")
    pair.find_makers_loss = note(pair.find_makers_loss, "maker")
    train(pair, make_learners(pair), 3, prepare=lambda step: calls.append(("ahead", step)))
    assert calls == [
        ("critic", 0), ("maker", 0), ("ahead", 1), ("critic", 1), ("maker", 1), ("ahead", 2), ("critic", 2),
        ("maker", 2),
    ]  # fmt: skip


def test_a_loss_that_is_not_finite_ends_training_only_for_those_who_ask(tmp_path: Path) -> None:
    def find_loss(step: int) -> Tensor:
        return network.weight.sum() * (torch.nan if step == 4 else 1.0)

    for advice, kept, end in (
        ("rest", None, "at step 4; rest$"),
        ("rest", Checkpoints(tmp_path, 3), "at step 4; rest; the checkpoint of step 3 is kept$"),
    ):
        network = nn.Linear(1, 1, bias=False)
        learner = Learner(network, find_loss, build_sgd(network, 0.1, 0.0), trapezoid(0.1, STEPS, 0))
        with pytest.raises(TrainingDiverged, match=end):
            train(network, [learner], STEPS, checkpoints=kept, if_diverged=advice)
        assert torch.isfinite(network.weight).all()
    network = nn.Linear(1, 1, bias=False)
    learner = Learner(network, find_loss, build_sgd(network, 0.1, 0.0), trapezoid(0.1, STEPS, 0))
    assert train(network, [learner], STEPS).step == STEPS
    assert torch.isnan(network.weight).all()
