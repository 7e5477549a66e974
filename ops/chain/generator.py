"""Stage `generator`: train the class-conditional flow, with checkpoints and sample sheets on the way."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ops.chain.keeping import TRAINED_ON
from ops.datasets.index import write_index
from ops.datasets.pixels import read_split
from ops.generators.draws import draw_noise
from ops.generators.flow import FlowUNet, integrate, to_pixels
from ops.generators.folder import build_model, save_generator
from ops.generators.training import train_flow
from ops.parallel import use_threads
from ops.precision import resolve_precision
from ops.report.sheets import write_sheet
from ops.stage import StageRun
from ops.storage import write_json

SHEET_COLUMNS = 12


def build_generator(run: StageRun) -> dict[str, Any]:
    """Train on the real training images; the sheets show the same noise as training goes on."""
    settings, seed, device = run.recipe.generator, run.recipe.seed, run.runtime.device
    train = read_split(run.inputs["real_images"], "train")
    height, width, channels = train.images.shape[1:]
    config = {
        "kind": settings.kind,
        "channels": channels,
        "height": height,
        "width": width,
        "class_names": list(train.class_names),
        "widths": list(settings.widths),
        "layers_per_block": settings.layers_per_block,
        "unshuffle": settings.unshuffle,
    }
    use_threads()
    torch.manual_seed(seed)
    model = build_model(config)
    precision = resolve_precision(settings.precision, device)
    progress = run.runtime.progress("generator", settings.steps, "steps")
    started = time.monotonic()

    losses = train_flow(
        model,
        torch.from_numpy(np.ascontiguousarray(train.images.transpose(0, 3, 1, 2))),
        torch.from_numpy(train.labels.copy()),
        settings,
        seed=seed,
        precision=precision,
        device=device,
        checkpoint=run.scratch / "checkpoint.safetensors",
        checkpoint_every=max(50, settings.steps // 4),
        on_step=lambda step, loss: progress.update(step, loss=round(loss, 4)),
        on_checkpoint=lambda step: write_samples(run.out / f"samples-{step:06d}.png", model, config, device, precision),
    )
    rate = settings.steps * settings.batch_size / (time.monotonic() - started)
    run.runtime.sink(f"generator: {rate:.0f} training images per second, {precision}")
    save_generator(run.out, model, config)
    write_samples(run.out / f"samples-{settings.steps:06d}.png", model, config, "cpu", "fp32")
    write_index(run.out / TRAINED_ON, train.rows.select("image_id"))
    write_json(run.out / "losses.json", {"every": settings.steps // max(1, len(losses)), "loss": losses})
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "training_images": settings.steps * settings.batch_size,
        "final_loss": round(float(np.mean(losses[-5:])), 6) if losses else None,
        "precision": precision,
    }


@torch.inference_mode()
def write_samples(path: Path, model: FlowUNet, config: dict[str, Any], device: str, precision: str) -> None:
    """A sheet with a row per class, always from the same noise."""
    classes = len(config["class_names"])
    shape = (config["channels"], config["height"], config["width"])
    noise = draw_noise(shape, seed=0, round_=0, unit="samples", start=0, count=SHEET_COLUMNS)
    rows = []
    for label in range(classes):
        labels = torch.full((SHEET_COLUMNS,), label, device=device)
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bf16"):
            images = integrate(model, torch.from_numpy(noise).to(device), labels, solver="heun", steps=3)
        rows.append(to_pixels(images.float()).cpu().numpy())
    write_sheet(path, rows)
