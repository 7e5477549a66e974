"""The training of a game: critic and maker take turns at each step, and averaged weights of the maker are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ops.generators.adversarial.game import Game
from ops.training.checkpoint import Checkpoints
from ops.training.loop import Learner, train
from ops.training.optimizers import build_adamw
from ops.training.schedules import trapezoid
from ops.training.state import Observation, TrainingState


def learn_in_turns(
    game: Game,
    checkpoints: Checkpoints,
    *,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> TrainingState:
    """Train the game's pair; leaves the averaged, settled weights of the best moment, on the CPU.

    The rest is as in `ops.training.loop.train`. Buffers of the networks are part of a checkpoint. Raises
    TrainingDiverged.
    """
    pair, settings, given = game.pair, game.settings, game.given
    learners = [
        Learner(
            network,
            find_loss,
            build_adamw(network, rate, settings.weight_decay, betas=game.betas),
            trapezoid(rate, settings.steps, settings.warmup_steps),
        )
        for network, find_loss, rate in (
            (pair.critic, game.find_critic_loss, settings.critics_rate),
            (pair.maker, game.find_maker_loss, settings.learning_rate),
        )
    ]

    def observe(step: int) -> Observation:
        game.settle()
        return checkpoints.observe(step)

    state = train(
        pair,
        learners,
        settings.steps,
        ema_decay=settings.ema_decay,
        checkpoints=replace(checkpoints, observe=observe),
        pool=given.pool if given.device == "cpu" else None,
        prepare=game.prepare,
        if_diverged=f"lower the generator's learning_rate (now {settings.learning_rate:g}) or use precision: fp32",
        on_step=on_step,
    )
    pair.to("cpu")
    return state
