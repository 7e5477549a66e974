"""Fit an adversarial kind: from labelled images to a generator directory."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from torch import Tensor

from ops.files.outputs import LOSSES
from ops.files.storage import write_json
from ops.generators.adversarial.design import Design
from ops.generators.adversarial.drawing import draw_in_threads
from ops.generators.adversarial.given import Given
from ops.generators.adversarial.learning import learn_in_turns
from ops.generators.protocol import Fitting
from ops.generators.stored_network import save_network
from ops.generators.watching import Watch
from ops.machine.parallel import start_threads
from ops.machine.precision import resolve_precision
from ops.recipe.adversarial import AdversarialSettings
from ops.training.checkpoint import Checkpoints
from ops.training.state import LOSS_WINDOW

Settings = TypeVar("Settings", bound=AdversarialSettings)


def fit_adversarial(design: Design[Settings], settings: Settings, fitting: Fitting) -> dict[str, Any]:
    """Train, and write config.json, model.safetensors (the maker) and losses.json; returns metrics."""
    with start_threads() as pool:
        return _fit(design, settings, fitting, pool)


def _fit(design: Design[Settings], settings: Settings, fitting: Fitting, pool: ThreadPoolExecutor) -> dict[str, Any]:
    device = fitting.device
    channels, height, width = fitting.images.shape[1:]
    config = {**fitting.describe(design.name), **design.describe(settings, (channels, height, width))}
    precision = resolve_precision(settings.precision, device)
    torch.manual_seed(fitting.seed)
    pair = design.build_pair(config, settings).to(device)
    given = Given(fitting.images, fitting.labels, fitting.seed, pool, precision, device)
    progress = fitting.progress(fitting.name, settings.steps, "steps")
    watch = Watch(fitting.watch(settings.max_copies))

    def sample(feeds: Mapping[str, Tensor]) -> Tensor:
        return draw_in_threads(pair.maker, feeds, device, precision, pool)

    game = design.make_game(pair, settings, given)
    watch.start()
    ended = learn_in_turns(
        game,
        Checkpoints(fitting.scratch, settings.checkpoints, lambda step: watch.observe(step, sample)),
        on_step=lambda step, loss: progress.update(step, loss=round(loss, 4)),
    )
    watch.tell_rate(progress, ended.step, settings.batch_size, precision)
    save_network(fitting.out, pair.maker, config)
    write_json(fitting.out / LOSSES, {"every": LOSS_WINDOW, "loss": ended.losses})
    return {
        "parameters": sum(p.numel() for p in pair.maker.parameters()),
        **ended.describe(settings.batch_size),
        "precision": precision,
        **game.describe(),
    }
