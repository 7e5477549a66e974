"""The training loop of every network: it learns from the loss of each step, and resumes exactly where it was killed.

What is learnt from at a step is the business of `find_loss(step)`. Where that draws every random number from (seed,
step), a training that was killed and resumed ends with the same weights as one that was not. The loop does not know
what a network is for, where images come from, in which precision a loss is computed, or how weights are judged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial

from safetensors.torch import load_file
from torch import Tensor, nn
from torch.optim import Optimizer

from ops.errors import GrowsetError
from ops.training.averages import averaged, copy_parameters, load_parameters, update_average
from ops.training.checkpoint import BEST, CHECKPOINT, Checkpoints, load_checkpoint, save_checkpoint, save_weights
from ops.training.optimizers import held_by
from ops.training.schedules import Schedule
from ops.training.state import TrainingState

SHARE = "share"  # in a parameter group: of the schedule's learning rate


class TrainingDiverged(GrowsetError):
    """The loss became NaN or infinite; the last checkpoint before it is intact."""


@dataclass(frozen=True)
class Learner:
    """A network, the loss that it learns from, and the optimizers that move it.

    network : each of its parameters is held by one of the optimizers.
    find_loss : the loss of a step, a scalar; gradients of parameters outside of `network` are left alone.
    schedule : what is set in the optimizers' parameter groups at a step; a group with a SHARE gets that of the rate.
    clip : the largest norm that the gradient may have; None does not limit it.
    """

    network: nn.Module
    find_loss: Callable[[int], Tensor]
    optimizers: Sequence[Optimizer]
    schedule: Schedule
    clip: float | None = None

    def find_gradient(self, step: int) -> tuple[float, float | None]:
        """Leave the gradient of a step in the parameters; returns the loss and, where it is clipped, its norm."""
        parameters = list(self.network.parameters())
        loss = self.find_loss(step)
        for parameter in parameters:
            parameter.grad = None
        loss.backward()
        norm = None if self.clip is None else float(nn.utils.clip_grad_norm_(parameters, self.clip))
        return float(loss.detach()), norm

    def list_moves(self, step: int, averages: Mapping[int, Tensor], decay: float | None) -> list[Callable[[], object]]:
        """Functions that take the step along the gradient, one for each optimizer; they may run side by side."""
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group.update(self.schedule(step))
                group["lr"] *= group.get(SHARE, 1.0)

        def move(optimizer: Optimizer) -> None:
            optimizer.step()
            if decay is not None:
                held: list[Tensor] = list(held_by(optimizer))
                update_average([averages[id(parameter)] for parameter in held], held, decay, step)

        return [partial(move, optimizer) for optimizer in self.optimizers]


def train(
    network: nn.Module,
    learners: Sequence[Learner],
    steps: int,
    *,
    ema_decay: float | None = None,
    checkpoints: Checkpoints | None = None,
    pool: ThreadPoolExecutor | None = None,
    prepare: Callable[[int], object] | None = None,
    if_diverged: str | None = None,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> TrainingState:
    """Train `network` in place, on the device where it is, and leave it in evaluation mode; returns where it ended.

    It ends with the weights of its best moment where there are checkpoints, else with the last ones. They are averaged
    weights where there is an `ema_decay`.

    Parameters
    ----------
    network : everything that a checkpoint holds: the learners' networks, and the buffers that their losses change.
    learners : take turns at each step, in this order. Two of them train a generator against a discriminator.
    ema_decay : of the averaged parameters; None keeps no average.
    checkpoints : None keeps nothing on disk: a killed training begins again.
    pool : threads that the optimizers' work is divided among; None: one after another. No bit depends on it.
    prepare : what the losses can do ahead for a step; called beside the last optimizers of the one before.
    if_diverged : what TrainingDiverged advises. None trains on with a loss that is not finite, for callers that judge
        the weights anyway.
    on_step : called with the number of steps taken and the sum of the learners' losses.

    Raises
    ------
    TrainingDiverged : on a loss, or the norm of a clipped gradient, that is not finite.
    """
    network.train()
    average = {} if ema_decay is None else copy_parameters(network)
    averages = {id(value): average[name] for name, value in network.named_parameters() if name in average}
    optimizers = [optimizer for learner in learners for optimizer in learner.optimizers]
    state, every = TrainingState(), steps
    if checkpoints is not None:
        checkpoint, best = checkpoints.folder / CHECKPOINT, checkpoints.folder / BEST
        every = checkpoints.find_interval(steps)
        if checkpoint.exists():
            state = load_checkpoint(checkpoint, network, average, optimizers)

    while state.step < steps and not state.stopped:
        step, total = state.step, 0.0
        for learner in learners:
            loss, norm = learner.find_gradient(step)
            if if_diverged is not None and not all(map(math.isfinite, (loss, norm or 0.0))):
                kept = step - step % every
                raise TrainingDiverged(
                    f"the loss became {loss}, the norm of its gradient {norm}, at step {step}; {if_diverged}"
                    + (f"; the checkpoint of step {kept} is kept" if kept and checkpoints is not None else "")
                )
            tasks = learner.list_moves(step, averages, ema_decay)
            if prepare is not None and learner is learners[-1] and step + 1 < steps:
                tasks.insert(0, partial(prepare, step + 1))
            _do_all(tasks, pool)
            total += loss

        state.count_step(total)
        on_step(state.step, total)
        if checkpoints is not None and (state.step % every == 0 or state.step == steps):
            # Observed before it is written: after a kill between the two, the observation is repeated, not lost.
            with averaged(network, average):
                state.judge(checkpoints.observe(state.step))
            if state.best_step == state.step:
                save_weights(best, {**network.state_dict(), **average})
            save_checkpoint(checkpoint, network, average, optimizers, state)

    if checkpoints is None:
        load_parameters(network, average)
    else:
        network.load_state_dict(load_file(best))
    network.eval()
    return state


def _do_all(tasks: Sequence[Callable[[], object]], pool: ThreadPoolExecutor | None) -> None:
    """Run tasks side by side in `pool`, waiting ones in order; an error of one is raised when all have ended."""
    if pool is None:
        for task in tasks:
            task()
        return
    futures = [pool.submit(task) for task in tasks]
    wait(futures)
    for future in futures:
        future.result()
