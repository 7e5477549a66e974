"""Fit kind `instance`: first the encoder, then the flow that is told its features.

Each training has its own checkpoints, so that a killed run goes on in the one that it was in.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from ops.files.outputs import LOSSES
from ops.files.storage import write_json
from ops.generators.denoising.learning import learn_on
from ops.generators.denoising.network import describe_network
from ops.generators.denoising.steps import DenoisingSteps
from ops.generators.instance.contrast import count_carrying, learn_encoder, standardise
from ops.generators.instance.drawing import draw_in_threads
from ops.generators.instance.flow import InstanceFlow
from ops.generators.instance.hiding import tell
from ops.generators.instance.network import (
    Encoder,
    FeatureUNet,
    InstanceNetworks,
    build_encoder,
    build_flow,
    describe_encoder,
)
from ops.generators.instance.sizes import check_pool
from ops.generators.protocol import Fitting
from ops.generators.stored_network import save_network
from ops.generators.told_training import learn_and_tell
from ops.machine.parallel import start_threads
from ops.machine.precision import resolve_precision
from ops.recipe.instance import InstanceSettings
from ops.training.checkpoint import Checkpoints
from ops.training.microbatches import in_parts
from ops.training.state import LOSS_WINDOW, TrainingState
from ops.training.terms import Terms

SCRATCH = "encoder"  # folder of its checkpoints


def fit_instance(maths: InstanceFlow, settings: InstanceSettings, fitting: Fitting) -> dict[str, Any]:
    """Train both, and write config.json, model.safetensors and losses.json; returns metrics.

    UserError for too few images.
    """
    check_pool(settings.encoder, len(fitting.images))
    channels, height, width = fitting.images.shape[1:]
    config = {
        **fitting.describe(maths.name),
        **describe_encoder(settings.encoder, (channels, height, width)),
        **describe_network(settings, channels),
    }
    precision = resolve_precision(settings.precision, fitting.device)
    with start_threads() as pool:
        encoder, taught = _learn_encoder(settings, fitting, config, precision, pool)
        encoder.requires_grad_(False).to(fitting.device)
        features = standardise(encoder, fitting.images, pool, fitting.device)
        carrying = count_carrying(features)
        if carrying < features.shape[1]:
            told = f"{carrying} of {features.shape[1]} features tell images apart"
            fitting.sink(f"encoder: {told}; lower prior.encoder.features")
        flow, ended = _learn_flow(maths, settings, fitting, encoder, features, config, precision, pool)
    networks = InstanceNetworks(encoder.to("cpu"), flow)
    save_network(fitting.out, networks, config)
    write_json(fitting.out / LOSSES, {"every": LOSS_WINDOW, "loss": ended.losses, "encoder": taught.losses})
    return {
        "parameters": sum(p.numel() for p in networks.parameters()),
        **ended.describe(settings.batch_size),
        "precision": precision,
        "encoder_steps": taught.step,
        "features_carrying": carrying,
    }


def _learn_encoder(
    settings: InstanceSettings, fitting: Fitting, config: dict[str, Any], precision: str, pool: ThreadPoolExecutor
) -> tuple[Encoder, TrainingState]:
    torch.manual_seed(fitting.seed)
    encoder = build_encoder(config)
    checkpoints = Checkpoints(fitting.scratch / SCRATCH, settings.checkpoints)

    def learn(terms: Terms) -> TrainingState:
        return learn_encoder(encoder, settings.encoder, fitting.images, checkpoints, terms)

    return encoder, learn_and_tell(fitting, "encoder", settings.encoder.steps, precision, pool, learn)


def _learn_flow(
    maths: InstanceFlow,
    settings: InstanceSettings,
    fitting: Fitting,
    encoder: Encoder,
    features: Tensor,
    config: dict[str, Any],
    precision: str,
    pool: ThreadPoolExecutor,
) -> tuple[FeatureUNet, TrainingState]:
    torch.manual_seed(fitting.seed)
    device, flow, sampler = fitting.device, build_flow(config), settings.default_sampler()
    observer = fitting.watch(settings.max_copies)

    def tell_some(index: Tensor, generator: torch.Generator) -> Tensor:
        """The features of a batch, each image's hidden at a strength of its own."""
        some = features[index]
        hiding = torch.randn(some.shape, generator=generator)
        return tell(some, hiding, torch.rand(len(some), generator=generator))

    def sample(feeds: Mapping[str, Tensor]) -> Tensor:
        return draw_in_threads(maths, encoder, flow, feeds, sampler, device, precision, pool)

    steps = DenoisingSteps(
        in_parts(flow, pool, device),
        maths.loss,
        fitting.images,
        fitting.labels,
        settings,
        seed=fitting.seed,
        precision=precision,
        device=device,
        pair_noise=maths.choose_pairing(settings),
        noise_share=maths.noise_share,
        tell=tell_some,
    )
    checkpoints = Checkpoints(fitting.scratch, settings.checkpoints, lambda step: observer.observe(step, sample))

    def learn(terms: Terms) -> TrainingState:
        return learn_on(terms, flow, steps, settings, checkpoints, prepare=steps.prepare)

    return flow, learn_and_tell(fitting, fitting.name, settings.steps, precision, pool, learn)
