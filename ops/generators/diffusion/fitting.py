"""Fit a pipeline: nothing is learnt, or a LoRA on the labelled images; either way a generator directory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ops.files.outputs import LOSSES
from ops.files.storage import write_json
from ops.generators.diffusion.adapter import add_adapter, save_adapter
from ops.generators.diffusion.classes import ClassTable, build_class_table
from ops.generators.diffusion.diffuser import Diffuser
from ops.generators.diffusion.drawer import PART_IMAGES
from ops.generators.diffusion.fine_tuning import Examples, fine_tune
from ops.generators.diffusion.folder import PipelineFolder
from ops.generators.diffusion.generator import check_pipeline, describe_pipeline
from ops.generators.diffusion.opening import choose_precision, open_parts
from ops.generators.diffusion.preserving import PRESERVED, draw_preserved
from ops.generators.diffusion.sizes import enlarge, find_side
from ops.generators.folder import CONFIG
from ops.generators.protocol import Fitting
from ops.recipe.diffusion import LoraSettings, PipelineSettings, PreservationSettings, StableDiffusionSettings
from ops.recipe.sampler import SamplerSettings
from ops.training.checkpoint import Checkpoints
from ops.training.state import LOSS_WINDOW

CHECKPOINTS = 4  # of a training, to go on from


def fit_pipeline(settings: PipelineSettings, fitting: Fitting) -> dict[str, Any]:
    """Write config.json, and with `lora` the adapter and losses.json; returns metrics.

    Nobody judges the adapter while it is trained: its last moment is kept.
    """
    config = describe_pipeline(settings, fitting.describe(settings.kind))
    channels, height, width = fitting.images.shape[1:]
    folder = check_pipeline(settings, fitting.root, fitting.class_names, (channels, height, width))
    side = find_side(folder, settings.size, (channels, height, width))
    fitting.sink(f"{fitting.name}: draws {side} x {side} pixels, reduced to {height} x {width}")
    metrics: dict[str, Any] = {"sha256": settings.sha256, "training_images": None, "precision": None}
    if isinstance(settings, StableDiffusionSettings) and settings.lora is not None:
        metrics |= _fit_adapter(settings, settings.lora, fitting, folder, side)
    write_json(fitting.out / CONFIG, config)
    return metrics


def _fit_adapter(
    settings: StableDiffusionSettings, lora: LoraSettings, fitting: Fitting, folder: PipelineFolder, side: int
) -> dict[str, Any]:
    chosen = choose_precision(settings.precision, fitting.device)
    precision = "fp32" if chosen == "fp16" else chosen  # which could not hold the gradients
    parts = open_parts(folder, checked=False, precision="fp32", device=fitting.device)
    sampler = settings.resolve_sampler(SamplerSettings(strength=None if settings.mode == "text" else 1.0))
    assert sampler.solver is not None and sampler.steps is not None
    diffuser = Diffuser(
        parts,
        side=side,
        factor=folder.factor,
        solver=sampler.solver,
        steps=sampler.steps,
        guidance=sampler.guidance,
        negative=settings.prompts.negative,
    )
    table, labels = build_class_table(fitting.class_names, settings.prompts), fitting.labels.numpy()
    own = Examples(_encode(diffuser, fitting), labels, _embed(diffuser, table, table.templates))
    kept = None if lora.preservation is None else _draw_preserved(diffuser, table, lora.preservation, fitting)
    torch.manual_seed(fitting.seed)  # of the adapter's first weights
    adapter = add_adapter(parts.unet, lora.rank, lora.alpha)
    progress = fitting.progress(fitting.name, lora.steps, "steps")
    ended = fine_tune(
        parts,
        adapter,
        lora,
        own,
        kept,
        seed=fitting.seed,
        precision=precision,
        checkpoints=Checkpoints(fitting.scratch, CHECKPOINTS),
        on_step=lambda step, loss: progress.update(step, loss=round(loss, 4)),
    )
    save_adapter(fitting.out, parts.unet)
    write_json(fitting.out / LOSSES, {"every": LOSS_WINDOW, "loss": ended.losses})
    return {
        "parameters": sum(value.numel() for value in adapter.parameters()),
        **ended.describe(lora.batch_size),
        "precision": precision,
    }


def _encode(diffuser: Diffuser, fitting: Fitting) -> Tensor:
    """Latents of the training images, on the CPU."""
    parts = [diffuser.encode(enlarge(one.float() / 255, diffuser.side)).cpu() for one in fitting.images.split(1)]
    return torch.cat(parts)


def _embed(diffuser: Diffuser, table: ClassTable, templates: tuple[str, ...]) -> list[Tensor]:
    """Each class's embedded prompts [templates, tokens, d], on the CPU."""
    return [
        torch.cat([diffuser.embed_text(table.write(label, i, templates)).float().cpu() for i in range(len(templates))])
        for label in range(len(table.names))
    ]


def _draw_preserved(diffuser: Diffuser, table: ClassTable, kept: PreservationSettings, fitting: Fitting) -> Examples:
    """What the pipeline draws before it is trained, under the templates of `preservation`."""
    total = len(table.names) * kept.images
    progress = fitting.progress(f"{fitting.name}, images to preserve", total, "images")
    latents, labels = draw_preserved(
        diffuser,
        table,
        kept,
        seed=fitting.seed,
        folder=fitting.scratch / PRESERVED,
        together=PART_IMAGES[fitting.device],
        on_image=progress.update,
    )
    return Examples(latents, labels, _embed(diffuser, table, kept.templates))
