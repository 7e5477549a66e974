"""Fit kind `mae`: train it on the pool, or take weights from elsewhere; either way its latents get the pool's scale."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from ops.files.outputs import LOSSES
from ops.files.storage import write_json
from ops.generators.folder import ORIGIN
from ops.generators.mae.drawing import Variation, draw_in_threads
from ops.generators.mae.learning import examine, learn_mae, standardise
from ops.generators.mae.network import Mae, build_mae
from ops.generators.mae.sizes import describe_network
from ops.generators.mae.weights import check_weights_folder, identify_weights, load_weights
from ops.generators.protocol import Fitting, Sample
from ops.generators.stored_network import save_network
from ops.generators.told_training import learn_and_tell
from ops.machine.parallel import start_threads
from ops.machine.precision import resolve_precision
from ops.recipe.mae import MaeSettings
from ops.training.checkpoint import Checkpoints
from ops.training.state import LOSS_WINDOW, TrainingState
from ops.training.terms import Terms

SHOWN_STRENGTH = 0.4  # of draws during training


def fit_mae(settings: MaeSettings, fitting: Fitting) -> dict[str, Any]:
    """Write config.json, model.safetensors and losses.json; returns metrics."""
    config = {**fitting.describe("mae"), "hidden": list(settings.hidden)}
    with start_threads() as pool:
        if settings.weights is None:
            return _train(settings, fitting, config, pool)
        return _take(settings, fitting, config, pool)


def _train(settings: MaeSettings, fitting: Fitting, config: dict[str, Any], pool: ThreadPoolExecutor) -> dict[str, Any]:
    channels, height, width = fitting.images.shape[1:]
    config = {**config, "network": describe_network(settings, (channels, height, width)), "frame": None}
    precision = resolve_precision(settings.precision, fitting.device)
    torch.manual_seed(fitting.seed)
    mae, observer = build_mae(config), fitting.watch(settings.max_copies)
    sample = _make_sample(mae, settings, fitting, precision, pool)
    checkpoints = Checkpoints(fitting.scratch, settings.checkpoints, lambda step: observer.observe(step, sample))

    def learn(terms: Terms) -> TrainingState:
        return learn_mae(mae, settings, fitting.images, checkpoints, terms)

    ended = learn_and_tell(fitting, fitting.name, settings.steps, precision, pool, learn)
    return _finish(mae, settings, fitting, config, ended, precision, pool)


def _take(settings: MaeSettings, fitting: Fitting, config: dict[str, Any], pool: ThreadPoolExecutor) -> dict[str, Any]:
    assert settings.weights is not None
    channels, height, width = fitting.images.shape[1:]
    folder = check_weights_folder(settings.weights, fitting.root, (channels, height, width))
    identify_weights(folder, settings.weights, fitting.root)
    named = settings.weights.model_dump(mode="json")
    config = {**config, "network": folder.network, "frame": folder.frame, ORIGIN: named}
    mae = build_mae(config)
    load_weights(folder, mae)
    mae.eval().to(fitting.device)
    sample = _make_sample(mae, settings, fitting, "fp32", pool)
    fitting.watch(settings.max_copies).observe(0, sample)
    return _finish(mae.to("cpu"), settings, fitting, config, TrainingState(), "fp32", pool)


def _make_sample(mae: Mae, settings: MaeSettings, fitting: Fitting, precision: str, pool: ThreadPoolExecutor) -> Sample:
    """Draws with the weights of the moment, and the scale that latents have with them."""
    variation = Variation(mae, settings.hidden, SHOWN_STRENGTH)

    def sample(feeds: Mapping[str, Tensor]) -> Tensor:
        standardise(mae, fitting.images, pool, fitting.device)
        return draw_in_threads(variation, feeds, fitting.device, precision, pool)

    return sample


def _finish(
    mae: Mae,
    settings: MaeSettings,
    fitting: Fitting,
    config: dict[str, Any],
    ended: TrainingState,
    precision: str,
    pool: ThreadPoolExecutor,
) -> dict[str, Any]:
    mae.requires_grad_(False).to(fitting.device)
    standardise(mae, fitting.images, pool, fitting.device)
    levels = examine(mae, fitting.images, pool, fitting.device)
    fitting.sink(f"{fitting.name}: images differ from their reconstruction by {levels:.1f} grey levels on average")
    save_network(fitting.out, mae.to("cpu"), config)
    metrics = {
        "parameters": sum(p.numel() for p in mae.parameters()),
        **ended.describe(settings.batch_size),
        "reconstruction_levels": levels,
    }
    if settings.weights is not None:
        return {**metrics, "sha256": settings.weights.sha256, "training_images": None, "precision": precision}
    write_json(fitting.out / LOSSES, {"every": LOSS_WINDOW, "loss": ended.losses})
    return {**metrics, "precision": precision}
