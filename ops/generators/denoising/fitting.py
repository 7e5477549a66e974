"""Fit a denoising kind: from labelled images to a generator directory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ops.files.outputs import LOSSES
from ops.files.storage import write_json
from ops.generators.denoising.network import ConditionalUNet, build_network, describe_network
from ops.generators.denoising.sampling import sample_in_threads
from ops.generators.denoising.session import Session
from ops.generators.denoising.space import PIXELS, Space
from ops.generators.denoising.steps import DenoisingSteps
from ops.generators.kinds.denoiser import Denoiser
from ops.generators.protocol import Fitting
from ops.generators.stored_network import save_network
from ops.generators.watching import Watch
from ops.machine.parallel import start_threads
from ops.machine.precision import resolve_precision
from ops.recipe.denoisers import DenoiserSettings
from ops.recipe.sampler import SamplerSettings
from ops.training.checkpoint import Checkpoints
from ops.training.state import LOSS_WINDOW, Observation

Refine = Callable[[DenoiserSettings, Session], dict[str, Any]]


@dataclass(frozen=True)
class Learnt:
    """A trained and refined network, the mean losses of its training, and metrics."""

    network: ConditionalUNet
    losses: list[float]
    metrics: dict[str, Any]


def fit_denoiser(maths: Denoiser, settings: DenoiserSettings, fitting: Fitting, refine: Refine) -> dict[str, Any]:
    """Train, refine, and write config.json, model.safetensors and losses.json; returns metrics."""
    images = fitting.images
    config = {**fitting.describe(maths.name), **describe_network(settings, images.shape[1]), **maths.describe(images)}
    with start_threads() as pool:
        learnt = learn_to_denoise(maths.configure(config), settings, fitting, images, config, refine, pool)
    save_network(fitting.out, learnt.network, config)
    write_json(fitting.out / LOSSES, {"every": LOSS_WINDOW, "loss": learnt.losses})
    return learnt.metrics


def learn_to_denoise(
    maths: Denoiser,
    settings: DenoiserSettings,
    fitting: Fitting,
    images: Tensor,
    config: dict[str, Any],
    refine: Refine,
    pool: ThreadPoolExecutor,
    space: Space[Tensor] = PIXELS,
) -> Learnt:
    """Train the network that `config` describes, watched by the fitting's observer, and refine it.

    `images` are the fitting's, or what `space` has in their place, as in `DenoisingSteps`.
    """
    precision = resolve_precision(settings.precision, fitting.device)
    torch.manual_seed(fitting.seed)
    network = build_network(config)
    progress = fitting.progress(fitting.name, settings.steps, "steps")
    watching = Watch(fitting.watch(settings.max_copies))

    def watch(before: int, sampler: SamplerSettings) -> Callable[[int], Observation]:
        def sample(feeds: Mapping[str, Tensor]) -> Tensor:
            noise = feeds["noise"]
            label = feeds["label"] if fitting.class_names else torch.zeros(len(noise), dtype=torch.int64)
            return sample_in_threads(maths, network, noise, label, sampler, fitting.device, precision, pool, space)

        return lambda step: watching.observe(before + step, sample)

    session = Session(network, config, fitting, precision, pool, watch)
    steps = DenoisingSteps(
        session.called,
        maths.loss,
        images,
        fitting.labels,
        settings,
        seed=fitting.seed,
        precision=precision,
        device=fitting.device,
        pair_noise=maths.choose_pairing(settings),
        noise_share=maths.noise_share,
        space=space,
    )
    watching.start()
    checkpoints = Checkpoints(fitting.scratch, settings.checkpoints, watch(0, settings.default_sampler()))
    ended = session.learn(steps, settings, checkpoints, progress, prepare=steps.prepare)
    watching.tell_rate(progress, ended.step, settings.batch_size, precision)
    refined = refine(settings, replace(session, steps=ended.step))
    metrics = {
        "parameters": sum(p.numel() for p in network.parameters()),
        **ended.describe(settings.batch_size),
        "precision": precision,
        **refined,
    }
    return Learnt(network, ended.losses, metrics)
