"""Draw what a pipeline must still draw after fine-tuning, before it is trained; a killed run loses one part at most.

A part is up to PART images of one class. Its latents are a file, which appears whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ops.files.storage import replace_file
from ops.generators.diffusion.classes import ClassTable
from ops.generators.diffusion.diffuser import Diffuser
from ops.generators.diffusion.numbers import Draw
from ops.recipe.diffusion import PreservationSettings

PRESERVED = "preserved"  # unit of these draws, and their folder
PART = 8  # images of a file
LATENTS = "latents"


def draw_preserved(
    diffuser: Diffuser,
    table: ClassTable,
    settings: PreservationSettings,
    *,
    seed: int,
    folder: Path,
    together: int = 1,
    on_image: Callable[[int], None] = lambda done: None,
) -> tuple[Tensor, np.ndarray]:
    """Latents float32 [n, *latent_shape] on the CPU and labels int [n], each class under the settings' templates.

    folder : of the parts; those that it has are not drawn again. together : images of one call of the pipeline.
    on_image : told how many there are after each part.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found: list[Tensor] = []
    for label in range(len(table.names)):
        for first in range(0, settings.images, PART):
            path = folder / f"{label:05d}-{first:06d}.safetensors"
            if not path.exists():
                numbers = range(first, min(first + PART, settings.images))
                latents = _draw_part(diffuser, table, settings.templates, label, numbers, seed, together)
                with replace_file(path) as temporary:
                    save_file({LATENTS: latents}, temporary)
            found.append(load_file(path)[LATENTS])
            on_image(label * settings.images + min(first + PART, settings.images))
    return torch.cat(found), np.repeat(np.arange(len(table.names)), settings.images)


def _draw_part(
    diffuser: Diffuser,
    table: ClassTable,
    templates: tuple[str, ...],
    label: int,
    numbers: Sequence[int],
    seed: int,
    together: int,
) -> Tensor:
    draws = [Draw(f"{PRESERVED}/{table.names[label]}", number, seed) for number in numbers]
    prompts = [table.write(label, draw.choose(len(templates), "template"), templates) for draw in draws]
    return torch.cat(
        [
            diffuser.draw_texts(prompts[i : i + together], draws[i : i + together]).cpu()
            for i in range(0, len(draws), together)
        ]
    ).contiguous()
