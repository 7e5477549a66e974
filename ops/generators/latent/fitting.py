"""Fit kind `latent`: first the autoencoder, then the flow among its latents.

Each training has its own checkpoints, so that a killed run goes on in the one that it was in.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

from ops.files.outputs import LOSSES
from ops.files.storage import write_json
from ops.generators.denoising.fitting import Refine, learn_to_denoise
from ops.generators.denoising.network import describe_network
from ops.generators.kinds.flow import Flow
from ops.generators.latent.autoencoding import encode_all, examine, learn_autoencoder
from ops.generators.latent.network import (
    Autoencoder,
    LatentFlow,
    build_autoencoder,
    describe_autoencoder,
    describe_flow,
)
from ops.generators.latent.sizes import find_latent_shape
from ops.generators.latent.spaces import LatentSpace
from ops.generators.protocol import Fitting
from ops.generators.stored_network import save_network
from ops.generators.told_training import learn_and_tell
from ops.machine.parallel import start_threads
from ops.machine.precision import resolve_precision
from ops.recipe.latent import LatentSettings
from ops.training.checkpoint import Checkpoints
from ops.training.state import LOSS_WINDOW, TrainingState
from ops.training.terms import Terms

SCRATCH = "autoencoder"  # folder of its checkpoints


def fit_latent(maths: Flow, settings: LatentSettings, fitting: Fitting, refine: Refine) -> dict[str, Any]:
    """Train both, and write config.json, model.safetensors and losses.json; returns metrics."""
    with start_threads() as pool:
        return _fit(maths, settings, fitting, refine, pool)


def _fit(
    maths: Flow, settings: LatentSettings, fitting: Fitting, refine: Refine, pool: ThreadPoolExecutor
) -> dict[str, Any]:
    channels, height, width = fitting.images.shape[1:]
    shape = channels, height, width
    config = {
        **fitting.describe("latent"),
        **describe_autoencoder(settings.autoencoder, shape),
        **describe_network(settings, channels),
    }
    device, precision = fitting.device, resolve_precision(settings.precision, fitting.device)
    autoencoder, ended = _learn_autoencoder(settings, fitting, config, precision, pool)
    autoencoder.requires_grad_(False).to(device)
    latents = encode_all(autoencoder, fitting.images, pool, precision, device)
    levels = examine(autoencoder, fitting.images, pool, precision, device)
    fitting.sink(f"generator: images differ from their reconstruction by {levels:.1f} grey levels on average")
    # Augmented images have other latents at each step.
    given = fitting.images if settings.augment else latents
    space = LatentSpace(autoencoder, find_latent_shape(settings.autoencoder, shape))
    learnt = learn_to_denoise(maths, settings, fitting, given, describe_flow(config), refine, pool, space)
    whole = LatentFlow(autoencoder.to("cpu"), learnt.network)
    save_network(fitting.out, whole, config)
    write_json(fitting.out / LOSSES, {"every": LOSS_WINDOW, "loss": learnt.losses, "autoencoder": ended.losses})
    return {
        **learnt.metrics,
        "parameters": sum(p.numel() for p in whole.parameters()),
        "autoencoder_steps": ended.step,
        "reconstruction_levels": levels,
    }


def _learn_autoencoder(
    settings: LatentSettings, fitting: Fitting, config: dict[str, Any], precision: str, pool: ThreadPoolExecutor
) -> tuple[Autoencoder, TrainingState]:
    torch.manual_seed(fitting.seed)
    autoencoder = build_autoencoder(config)
    images, labels, shape = fitting.images, fitting.labels, config["latent_shape"]
    checkpoints = Checkpoints(fitting.scratch / SCRATCH, settings.checkpoints)

    def learn(terms: Terms) -> TrainingState:
        return learn_autoencoder(autoencoder, settings, images, labels, shape, checkpoints, terms)

    return autoencoder, learn_and_tell(fitting, "autoencoder", settings.autoencoder.steps, precision, pool, learn)
