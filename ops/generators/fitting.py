"""Fit a kind that denoises: from labelled images to a generator directory, and what that would cost."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ops.generators.denoising import DenoisingSteps
from ops.generators.folder import save_network
from ops.generators.kinds.denoiser import Denoiser, DenoiserSettings, draw
from ops.generators.kinds.protocol import Cost, Fitting, Observation, SamplerSettings
from ops.generators.microbatches import InParts
from ops.generators.network import ConditionalUNet, build_network, to_pixels
from ops.generators.training import LOSS_WINDOW, train
from ops.parallel import count_threads, start_threads
from ops.precision import resolve_precision
from ops.storage import write_json

WARMING_STEPS, STEPS = 4, 16  # of an estimate; only the latter count
DRAWN = 50  # images that a thread draws at a time while a generator is watched


@dataclass(frozen=True)
class Training:
    """A network that is being trained, and where its kind may go on with it."""

    network: ConditionalUNet
    config: dict[str, Any]
    fitting: Fitting
    precision: str
    steps: int  # taken before
    pool: ThreadPoolExecutor  # of `start_threads`
    watch: Callable[[int, SamplerSettings], Callable[[int], Observation]]  # from steps before, sampler

    @property
    def called(self) -> Callable[..., Tensor]:
        """What a loss calls."""
        return in_parts(self.network, self.pool, self.fitting.device)


def fit_denoiser(kind: Denoiser, settings: DenoiserSettings, fitting: Fitting) -> dict[str, Any]:
    """Train, and write config.json, model.safetensors and losses.json; returns metrics."""
    with start_threads() as pool:
        return _fit(kind, settings, fitting, pool)


def _fit(kind: Denoiser, settings: DenoiserSettings, fitting: Fitting, pool: ThreadPoolExecutor) -> dict[str, Any]:
    config = {**fitting.describe(kind.name), **kind.describe(settings)}
    precision = resolve_precision(settings.precision, fitting.device)
    torch.manual_seed(fitting.seed)
    network = build_network(config)
    progress = fitting.progress("generator", settings.steps, "steps")
    observer = fitting.watch(settings.max_copies)
    looking = 0.0

    def watch(before: int, sampler: SamplerSettings) -> Callable[[int], Observation]:
        def sample(noise: Tensor, label: Tensor) -> Tensor:
            return _draw_pixels(kind, network, noise, label, sampler, fitting.device, precision, pool)

        def observe(step: int) -> Observation:
            nonlocal looking
            begun = time.monotonic()
            observation = observer.observe(before + step, sample)
            looking += time.monotonic() - begun
            return observation

        return observe

    steps = DenoisingSteps(
        in_parts(network, pool, fitting.device),
        kind.loss,
        fitting.images,
        fitting.labels,
        settings,
        seed=fitting.seed,
        device=fitting.device,
        pair_noise=kind.choose_pairing(settings),
    )
    started = time.monotonic()
    ended = train(
        network,
        steps,
        settings,
        precision=precision,
        scratch=fitting.scratch,
        device=fitting.device,
        checkpoints=settings.checkpoints,
        pool=pool if fitting.device == "cpu" else None,
        prepare=steps.prepare,
        observe=watch(0, SamplerSettings(**kind.resolve_sampler({}, {}))),
        on_step=lambda step, loss: progress.update(step, loss=round(loss, 4)),
    )
    rate = ended.step * settings.batch_size / (time.monotonic() - started - looking)
    fitting.sink(f"generator: {rate:.0f} training images per second, {precision}")
    refined = kind.refine(settings, Training(network, config, fitting, precision, ended.step, pool, watch))
    save_network(fitting.out, network, config)
    write_json(fitting.out / "losses.json", {"every": LOSS_WINDOW, "loss": ended.losses})
    return {
        "parameters": sum(p.numel() for p in network.parameters()),
        "steps": ended.step,
        "best_step": ended.best_step,
        "training_images": ended.best_step * settings.batch_size,
        "final_loss": round(float(np.mean(ended.losses[-5:])), 6) if ended.losses else None,
        "precision": precision,
        **refined,
    }


def estimate_denoiser(
    kind: Denoiser, settings: DenoiserSettings, sampler: SamplerSettings, shape: tuple[int, int, int], classes: int
) -> Cost:
    """Time a few real steps on noise; drawing is timed on one thread in fp32, which ONNX Runtime does about as fast."""
    channels, height, width = shape
    names = tuple(map(str, range(classes)))
    images = torch.randint(0, 256, (4 * classes, channels, height, width), dtype=torch.uint8)
    labels = torch.arange(4 * classes) % classes
    precision, stamps = resolve_precision(settings.precision), list[float]()
    with tempfile.TemporaryDirectory() as folder, start_threads() as pool:
        fitting = Fitting(images, labels, names, 0, Path(folder), Path(folder), Path(folder))
        network = build_network({**fitting.describe(kind.name), **kind.describe(settings)})
        short = settings.model_copy(update={"steps": WARMING_STEPS + STEPS})
        steps = DenoisingSteps(
            in_parts(network, pool),
            kind.loss,
            images,
            labels,
            short,
            seed=0,
            pair_noise=kind.choose_pairing(short),
        )
        train(
            network,
            steps,
            short,
            precision=precision,
            scratch=Path(folder),
            checkpoints=1,
            pool=pool,
            prepare=steps.prepare,
            on_step=lambda step, loss: stamps.append(time.perf_counter()),
        )
        per_step = float(np.median(np.diff(stamps[WARMING_STEPS - 1 :])))
        assert sampler.solver is not None and sampler.steps is not None
        once = SamplerSettings(solver=sampler.solver, steps=2, guidance=sampler.guidance)
        evaluations = kind.count_evaluations(sampler.solver, 2)
        many = 2 * DRAWN * count_threads()
        in_training = _time_drawing(kind, network, many, classes, shape, once, precision, pool) / evaluations
        after = kind.estimate_refining(settings, per_step, in_training)
        with ThreadPoolExecutor(1) as alone:
            one = _time_drawing(kind, network, DRAWN, classes, shape, once, "fp32", alone) / evaluations
    per_image = one * kind.count_evaluations(sampler.solver, sampler.steps)
    return Cost(per_step * settings.steps + after, per_step, per_image)


def in_parts(network: ConditionalUNet, pool: ThreadPoolExecutor, device: str = "cpu") -> Callable[..., Tensor]:
    """What a loss calls: on the CPU the network part by part, on a GPU the network itself."""
    return InParts(network, pool) if device == "cpu" else network


def _time_drawing(
    kind: Denoiser,
    network: ConditionalUNet,
    images: int,
    classes: int,
    shape: tuple[int, int, int],
    sampler: SamplerSettings,
    precision: str,
    pool: ThreadPoolExecutor,
) -> float:
    """Seconds an image, the median of three after one that is not counted."""
    noise, label, seconds = torch.randn(images, *shape), torch.arange(images) % classes, []
    for _ in range(4):
        started = time.perf_counter()
        _draw_pixels(kind, network, noise, label, sampler, "cpu", precision, pool)
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds[1:])) / images


def _draw_pixels(
    kind: Denoiser,
    network: ConditionalUNet,
    noise: Tensor,
    label: Tensor,
    sampler: SamplerSettings,
    device: str,
    precision: str,
    pool: ThreadPoolExecutor,
) -> Tensor:
    """uint8 [n, H, W, C], DRAWN at a time whatever the number of threads: no bit depends on it."""

    def draw_some(part: tuple[Tensor, Tensor]) -> Tensor:
        kind_of_device = torch.device(device).type
        with (
            torch.inference_mode(),
            torch.autocast(kind_of_device, torch.bfloat16, enabled=precision == "bf16", cache_enabled=False),
        ):
            x, y = (tensor.to(device) for tensor in part)
            return to_pixels(draw(kind, network, x, y, sampler).float()).cpu()

    return torch.cat(list(pool.map(draw_some, zip(noise.split(DRAWN), label.split(DRAWN), strict=True))))
