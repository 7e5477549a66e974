"""Estimate the cost of a denoising generator on this machine by timing a few real steps and draws."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from ops.generators.denoising.learning import learn
from ops.generators.denoising.network import ConditionalUNet, build_network, describe_network
from ops.generators.denoising.sampling import PART_IMAGES, sample_in_threads
from ops.generators.denoising.steps import DenoisingSteps
from ops.generators.kinds.denoiser import Denoiser
from ops.generators.protocol import Cost, Fitting
from ops.generators.timing import make_stand_in, time_steps
from ops.machine.parallel import count_threads, start_threads
from ops.machine.precision import resolve_precision
from ops.recipe.denoisers import DenoiserSettings
from ops.recipe.sampler import SamplerSettings
from ops.training.checkpoint import Checkpoints
from ops.training.microbatches import in_parts

LONG_DRAWING = 2.0  # seconds; a drawing that takes longer is not repeated


def estimate_denoiser(
    maths: Denoiser,
    settings: DenoiserSettings,
    sampler: SamplerSettings,
    shape: tuple[int, int, int],
    classes: int,
    estimate_refining: Callable[[DenoiserSettings, float, float], float],
) -> Cost:
    """Time a few training steps on noise. Drawing is timed on one thread in fp32; ONNX Runtime is about as fast."""
    names = tuple(map(str, range(classes)))
    images, labels = make_stand_in(shape, classes)
    precision = resolve_precision(settings.precision)
    with tempfile.TemporaryDirectory() as folder, start_threads() as pool:
        fitting = Fitting(images, labels, names, 0, Path(folder), Path(folder), Path(folder))
        network = build_network({**fitting.describe(maths.name), **describe_network(settings, shape[0])})

        def train(count: int, checkpoints: Checkpoints, on_step: Callable[[int, float], None]) -> None:
            short = settings.model_copy(update={"steps": count})
            steps = DenoisingSteps(
                in_parts(network, pool),
                maths.loss,
                images,
                labels,
                short,
                seed=0,
                precision=precision,
                pair_noise=maths.choose_pairing(short),
                noise_share=maths.noise_share,
            )
            learn(network, steps, short, checkpoints, pool=pool, prepare=steps.prepare, on_step=on_step)

        per_step = time_steps(train)
        assert sampler.solver is not None and sampler.steps is not None
        once = SamplerSettings(solver=sampler.solver, steps=2, guidance=sampler.guidance)
        evaluations = maths.count_evaluations(sampler.solver, 2)
        many = 2 * PART_IMAGES * count_threads()
        in_training = _time_drawing(maths, network, many, classes, shape, once, precision, pool) / evaluations
        after = estimate_refining(settings, per_step, in_training)
        with ThreadPoolExecutor(1) as single_thread:
            one = _time_drawing(maths, network, PART_IMAGES, classes, shape, once, "fp32", single_thread) / evaluations
    per_image = one * maths.count_evaluations(sampler.solver, sampler.steps)
    return Cost(per_step * settings.steps + after, per_step, per_image)


def _time_drawing(
    maths: Denoiser,
    network: ConditionalUNet,
    images: int,
    classes: int,
    shape: tuple[int, int, int],
    sampler: SamplerSettings,
    precision: str,
    pool: ThreadPoolExecutor,
) -> float:
    """Seconds per image: the median of three runs, after one that is not counted; of one long run, that one."""
    noise, label, seconds = torch.randn(images, *shape), torch.arange(images) % classes, []
    for _ in range(4):
        started = time.perf_counter()
        sample_in_threads(maths, network, noise, label, sampler, "cpu", precision, pool)
        seconds.append(time.perf_counter() - started)
        if seconds[-1] > LONG_DRAWING:
            return seconds[-1] / images
    return float(np.median(seconds[1:])) / images
