"""Fit MUNIT: from images to a generator directory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from ops.files.outputs import LOSSES
from ops.files.storage import write_json
from ops.generators.feeds import IMAGE, NOISE
from ops.generators.levels import to_float
from ops.generators.munit.drawing import draw_variants
from ops.generators.munit.game import Game
from ops.generators.munit.network import Makers, Munit, build_munit, describe_munit
from ops.generators.protocol import Fitting
from ops.generators.stored_network import save_network
from ops.generators.watching import Watch
from ops.machine.parallel import start_threads
from ops.machine.precision import compute_in, resolve_precision
from ops.recipe.munit import MunitSettings
from ops.training.checkpoint import Checkpoints
from ops.training.loop import Learner, train
from ops.training.optimizers import build_adamw
from ops.training.schedules import trapezoid
from ops.training.state import LOSS_WINDOW, TrainingState

BETAS = (0.5, 0.999)  # of AdamW: the gradients of a game turn quickly
PART_IMAGES = 50  # images that a thread draws at a time during training
EXAMINED = 500  # most training images that the fitted makers are examined on


def fit_munit(settings: MunitSettings, fitting: Fitting) -> dict[str, Any]:
    """Train, and write config.json, model.safetensors (the makers) and losses.json; returns metrics."""
    with start_threads() as pool:
        return _fit(settings, fitting, pool)


def _fit(settings: MunitSettings, fitting: Fitting, pool: ThreadPoolExecutor) -> dict[str, Any]:
    device = fitting.device
    config = {**fitting.describe("munit"), **describe_munit(settings)}
    precision = resolve_precision(settings.precision, device)
    torch.manual_seed(fitting.seed)
    munit = build_munit(config, spectral_norm=settings.spectral_norm)
    progress = fitting.progress("generator", settings.steps, "steps")
    watch = Watch(fitting.watch(settings.max_copies))

    def sample(feeds: Mapping[str, Tensor]) -> Tensor:
        return _sample(munit.makers, feeds, device, precision, pool)

    watch.start()
    ended = learn(
        munit,
        settings,
        fitting.images,
        fitting.labels,
        Checkpoints(fitting.scratch, settings.checkpoints, lambda step: watch.observe(step, sample)),
        seed=fitting.seed,
        pool=pool,
        precision=precision,
        device=device,
        on_step=lambda step, loss: progress.update(step, loss=round(loss, 4)),
    )
    watch.tell_rate(progress, ended.step, settings.batch_size, precision)
    save_network(fitting.out, munit.makers, config)
    write_json(fitting.out / LOSSES, {"every": LOSS_WINDOW, "loss": ended.losses})
    return {
        "parameters": sum(p.numel() for p in munit.makers.parameters()),
        **ended.describe(settings.batch_size),
        "precision": precision,
        **examine(munit.makers, fitting.images[:: -(-len(fitting.images) // EXAMINED)]),
    }


def learn(
    munit: Munit,
    settings: MunitSettings,
    images: Tensor,
    labels: Tensor,
    checkpoints: Checkpoints,
    *,
    seed: int,
    pool: ThreadPoolExecutor,
    precision: str,
    device: str = "cpu",
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> TrainingState:
    """Train critics and makers in turns; leaves the averaged weights of the best moment, on the CPU.

    The rest is as in `ops.training.loop.train`. Raises TrainingDiverged.
    """
    munit.to(device)
    game = Game(munit, settings, images, labels, seed=seed, pool=pool, precision=precision, device=device)
    learners = [
        Learner(
            network,
            find_loss,
            build_adamw(network, rate, settings.weight_decay, betas=BETAS),
            trapezoid(rate, settings.steps, settings.warmup_steps),
        )
        for network, find_loss, rate in (
            (munit.critics, game.find_critics_loss, settings.critics_rate),
            (munit.makers, game.find_makers_loss, settings.learning_rate),
        )
    ]
    state = train(
        munit,
        learners,
        settings.steps,
        ema_decay=settings.ema_decay,
        checkpoints=checkpoints,
        pool=pool if device == "cpu" else None,
        prepare=game.prepare,
        if_diverged=f"lower the generator's learning_rate (now {settings.learning_rate:g}) or use precision: fp32",
        on_step=on_step,
    )
    munit.to("cpu")
    return state


@torch.inference_mode()
def examine(makers: Makers, images: Tensor) -> dict[str, float]:
    """How well images uint8 [n, C, H, W] are found again, and how far their styles are from N(0, I).

    reconstruction_levels : mean absolute difference from an image decoded in its own style, in grey levels.
    style_mean, style_spread : root mean square of the styles' means, and of their covariance less the identity.
    """
    x = images.float() / 127.5 - 1
    maker, styles, total = makers[0], [], 0.0
    for part in x.split(PART_IMAGES):
        styles.append(maker.style_of(part))
        total += float((maker.decode(maker.encode(part), styles[-1]) - part).abs().mean(dim=(1, 2, 3)).sum())
    found = torch.cat(styles)
    covariance = torch.cov(found.T, correction=0).reshape(found.shape[1], found.shape[1])
    gap = covariance - torch.eye(found.shape[1])
    return {
        "reconstruction_levels": round(127.5 * total / len(x), 4),
        "style_mean": round(float(found.mean(dim=0).square().mean().sqrt()), 4),
        "style_spread": round(float(gap.square().sum(dim=1).mean().sqrt()), 4),
    }


def _sample(
    makers: Makers, feeds: Mapping[str, Tensor], device: str, precision: str, pool: ThreadPoolExecutor
) -> Tensor:
    """Variants uint8 [n, H, W, C], PART_IMAGES at a time, so that no bit depends on the number of threads."""

    def draw(part: tuple[Tensor, Tensor]) -> Tensor:
        with torch.inference_mode(), compute_in(precision, device):
            image, noise = (tensor.to(device) for tensor in part)
            return draw_variants(makers, to_float(image), noise, None).cpu()

    parts = zip(feeds[IMAGE].split(PART_IMAGES), feeds[NOISE].split(PART_IMAGES), strict=True)
    return torch.cat(list(pool.map(draw, parts)))
