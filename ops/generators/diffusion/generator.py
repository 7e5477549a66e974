"""A pipeline as a generator: its directory, and images uint8 of the dataset's shape from fed noise, labels and images.

The directory holds config.json and, after fine-tuning, the adapter; the pipeline's weights stay in the user's folder,
whose hash is in the config and is compared whenever they are opened. An image that the safety checker flags comes back
black, and a column says so beside it.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ops.errors import DamagedData
from ops.files.model_folders import open_cache
from ops.files.storage import write_json
from ops.generators.diffusion.adapter import load_adapter
from ops.generators.diffusion.classes import ClassTable, build_class_table
from ops.generators.diffusion.diffuser import Diffuser
from ops.generators.diffusion.finding import find_pipeline, find_root
from ops.generators.diffusion.folder import PipelineFolder, identify_pipeline, read_pipeline
from ops.generators.diffusion.numbers import Draw, name_draws
from ops.generators.diffusion.opening import Parts, choose_precision, open_parts
from ops.generators.diffusion.sizes import enlarge, find_side, reduce
from ops.generators.drawers import FLAGGED, PROMPT
from ops.generators.feeds import IMAGE, LABEL, NOISE
from ops.generators.folder import CONFIG, DRAWN_WITH, FLAGS, SETTINGS, SPOKEN, WEIGHTS, read_config
from ops.recipe.diffusion import PipelineSettings, StableDiffusionSettings, UnclipSettings
from ops.recipe.sampler import SamplerSettings

SECTIONS: Mapping[str, type[PipelineSettings]] = {
    "stable-diffusion": StableDiffusionSettings,
    "unclip": UnclipSettings,
}


def check_pipeline(
    settings: PipelineSettings, root: Path, class_names: tuple[str, ...], shape: tuple[int, int, int]
) -> PipelineFolder:
    """The folder of the settings, with everything compared that needs no network; see `find_pipeline` and others."""
    path = find_pipeline(settings.model, settings.revision, root)
    folder = read_pipeline(path, settings.kind, settings.variant, checked=is_checked(settings))
    find_side(folder, settings.size, shape)
    if isinstance(settings, StableDiffusionSettings):
        build_class_table(class_names, settings.prompts)
    identify_pipeline(folder, settings.sha256, open_cache(root, path))
    return folder


def is_checked(settings: PipelineSettings) -> bool:
    """Whether a safety checker of the pipeline looks at its images."""
    return isinstance(settings, StableDiffusionSettings) and settings.safety_checker


def describe_pipeline(settings: PipelineSettings, common: dict[str, Any]) -> dict[str, Any]:
    """The content of config.json; `common` as in `Fitting.describe`."""
    found = {**common, FLAGS: is_checked(settings), SETTINGS: settings.model_dump(mode="json")}
    if isinstance(settings, StableDiffusionSettings):
        table = build_class_table(common["class_names"], settings.prompts)
        found[SPOKEN] = [list(row) for row in zip(table.names, table.spoken, strict=True)]
    return found


@dataclass(frozen=True, eq=False)
class PipelineGenerator:
    """The generator of a directory. Its networks are opened when the first image is drawn.

    opened : its networks, once they are open.
    """

    folder: Path
    config: dict[str, Any]
    opened: Parts | None = None

    @property
    def settings(self) -> PipelineSettings:
        """The recipe's section."""
        return SECTIONS[self.config["kind"]].model_validate(self.config[SETTINGS])

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the dataset's images."""
        return self.config["channels"], self.config["height"], self.config["width"]

    @cached_property
    def table(self) -> ClassTable:
        """The classes as they were when the generator was made; UserError if it is fed labels of another order."""
        settings = self.settings
        assert isinstance(settings, StableDiffusionSettings)
        names, spoken = zip(*self.config[SPOKEN], strict=True)
        table = ClassTable(names, spoken, settings.prompts.templates)
        table.require_same(self.config["class_names"], str(self.folder / CONFIG))
        return table

    @property
    def root(self) -> Path:
        """The root of the workspace; UserError outside a workspace."""
        return find_root(self.folder.absolute())

    def find_folder(self) -> PipelineFolder:
        """The pipeline's folder, below the root of the workspace that this directory lies in, or in the Hub's cache."""
        settings = self.settings
        path = find_pipeline(settings.model, settings.revision, self.root)
        return read_pipeline(path, settings.kind, settings.variant, checked=is_checked(settings))

    def open(self, device: str = "cpu") -> PipelineGenerator:
        """The same generator with its networks on a device; UserError if their folder has another hash."""
        settings, folder = self.settings, self.find_folder()
        identify_pipeline(folder, settings.sha256, open_cache(self.root, folder.path))
        precision = choose_precision(settings.precision, device)
        parts = open_parts(folder, checked=is_checked(settings), precision=precision, device=device)
        if isinstance(settings, StableDiffusionSettings) and settings.lora is not None:
            load_adapter(self.folder, parts.unet, settings.lora.rank, settings.lora.alpha)
        return replace(self, opened=parts)

    def make_diffuser(self, sampler: SamplerSettings) -> Diffuser:
        """What draws with these settings; ValueError before `open`."""
        if self.opened is None:
            raise ValueError("the generator's networks are not open")
        settings, folder = self.settings, self.find_folder()
        assert sampler.solver is not None and sampler.steps is not None
        negative = settings.prompts.negative if isinstance(settings, StableDiffusionSettings) else ""
        return Diffuser(
            self.opened,
            side=folder.side if settings.size is None else settings.size,
            factor=folder.factor,
            solver=sampler.solver,
            steps=sampler.steps,
            guidance=sampler.guidance,
            negative=negative,
        )

    def sample(self, feeds: Mapping[str, Tensor], sampler: SamplerSettings) -> Tensor:
        """n rows of its inputs to uint8 [n, H, W, C], on the CPU's networks unless others are open."""
        generator = self if self.opened is not None else self.open()
        return draw_fed(generator, generator.make_diffuser(sampler), feeds, sampler)[0]

    def export(self, folder: Path, sampler: SamplerSettings, scratch: Path) -> Path:
        """Write config.json with the sampler's settings, and the adapter; returns the path of config.json.

        Pipelines are not exported as graphs.
        """
        if (self.folder / WEIGHTS).exists():
            shutil.copyfile(self.folder / WEIGHTS, folder / WEIGHTS)
        write_json(folder / CONFIG, {**self.config, DRAWN_WITH: sampler.model_dump(mode="json")})
        return folder / CONFIG


def draw_fed(
    generator: PipelineGenerator, diffuser: Diffuser, feeds: Mapping[str, Tensor], sampler: SamplerSettings
) -> tuple[Tensor, dict[str, np.ndarray]]:
    """Images uint8 [n, H, W, C] of fed rows, on the CPU, and columns of n rows.

    With text there is the column `prompt`, with a safety checker the column `flagged`; a flagged image is black.
    """
    settings, draws = generator.settings, name_draws(feeds[NOISE])
    seeds, told = None, dict[str, np.ndarray]()
    if IMAGE in feeds:
        levels = feeds[IMAGE].permute(0, 3, 1, 2).to(diffuser.parts.device)
        seeds = enlarge(levels.float() / 255, diffuser.side)
    if isinstance(settings, StableDiffusionSettings):
        prompts = write_prompts(generator.table, feeds[LABEL].tolist(), draws)
        told[PROMPT] = np.array(prompts)
        if seeds is None:
            latents = diffuser.draw_texts(prompts, draws)
        else:
            assert sampler.settled_strength is not None
            latents = diffuser.vary(seeds, prompts, draws, sampler.settled_strength)
    else:
        assert isinstance(settings, UnclipSettings) and seeds is not None
        latents = diffuser.draw_embedded(diffuser.see(seeds), draws, settings.noise_level)
    with torch.no_grad():
        images = diffuser.decode(latents)
    flagged = diffuser.find_flagged(images)
    if diffuser.is_checked:
        told[FLAGGED] = flagged.cpu().numpy()
    images[flagged] = 0.0
    levels = (reduce(images, generator.shape) * 255).round().to(torch.uint8)
    return levels.permute(0, 2, 3, 1).contiguous().cpu(), told


def write_prompts(table: ClassTable, labels: Sequence[int], draws: Sequence[Draw]) -> list[str]:
    """The prompt of each draw of a label: by one of the table's templates, at random."""
    return [
        table.write(label, draw.choose(len(table.templates), "template"))
        for label, draw in zip(labels, draws, strict=True)
    ]


def load_generator(folder: Path) -> PipelineGenerator:
    """The generator of a directory; DamagedData if its config lacks the settings."""
    config = read_config(folder)
    if SETTINGS not in config:
        raise DamagedData(f"{folder / CONFIG} does not describe a pipeline: {SETTINGS} is missing")
    return PipelineGenerator(folder, config)
