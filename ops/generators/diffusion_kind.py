"""Kinds `stable-diffusion` and `unclip`: pipelines of diffusers that learnt elsewhere, from a folder of the user's.

They draw in torch and export no graph: the stage `generator_onnx` holds what their drawer reads. Modules that compute
are imported inside functions, so that kinds can be named without loading torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops.generators.folder import CONFIG, DRAWN_WITH, FLAGS, SETTINGS
from ops.generators.protocol import Cost, Fitting, Generator
from ops.recipe.diffusion import PipelineSettings, StableDiffusionSettings
from ops.recipe.sampler import DRAWS_WITH, SamplerSettings

if TYPE_CHECKING:
    from ops.generators.diffusion.folder import PipelineFolder
    from ops.generators.drawers import DrawerSpec
    from ops.generators.imaginable import OpenedPrior


@dataclass(frozen=True)
class DiffusionKind:
    """The operations of a kind; `name` is one of those of `ops.generators.diffusion.folder`."""

    name: str

    def check(
        self, settings: PipelineSettings, root: Path, class_names: Sequence[str], shape: tuple[int, int, int]
    ) -> None:
        """UserError or DamagedData for a missing package, folder, file or class, for images of a size that cannot be
        drawn, and for prompts that do not fit the classes or are too long."""
        from ops.generators.diffusion.generator import check_pipeline
        from ops.pretrained.requirements import DIFFUSION, require_peft, require_transformers

        require_transformers("generator", DIFFUSION)
        if isinstance(settings, StableDiffusionSettings) and settings.lora is not None:
            require_peft("generator.lora")
        folder = check_pipeline(settings, root, tuple(class_names), shape)
        if isinstance(settings, StableDiffusionSettings):
            from ops.generators.diffusion.prompts import check_lengths

            check_lengths(settings, class_names, folder)

    def fit(self, settings: PipelineSettings, fitting: Fitting) -> dict[str, Any]:
        from ops.generators.diffusion.fitting import fit_pipeline

        return fit_pipeline(settings, fitting)

    def load(self, folder: Path) -> Generator:
        from ops.generators.diffusion.generator import load_generator

        return load_generator(folder)

    def find_drawer(self, folder: Path) -> DrawerSpec:
        from ops.generators.diffusion.drawer import PipelineFile

        return PipelineFile(folder / CONFIG)

    def estimate(
        self,
        settings: PipelineSettings,
        sampler: SamplerSettings,
        shape: tuple[int, int, int],
        classes: int,
        root: Path,
    ) -> Cost:
        """Timed on one matrix product and not on real steps, which would take minutes on a CPU."""
        from ops.generators.diffusion.cost import time_products

        return self.guess(settings, sampler, shape, root, time_products(), 1)

    def guess(
        self,
        settings: PipelineSettings,
        sampler: SamplerSettings,
        shape: tuple[int, int, int],
        root: Path,
        rate: float,
        workers: int,
    ) -> Cost:
        from ops.generators.diffusion.cost import guess_pipeline

        return guess_pipeline(settings, sampler, _read_unchecked(settings, root), rate, workers)

    def open_prior(self, folder: Path, sampler: SamplerSettings) -> OpenedPrior:
        """See `ops.generators.imaginable`, also for the next two."""
        return self.open_prior_on(folder, sampler, "cpu")

    def open_prior_on(self, folder: Path, sampler: SamplerSettings, device: str) -> OpenedPrior:
        from ops.generators.diffusion.generator import load_generator
        from ops.generators.diffusion.priors import build_prior

        return build_prior(load_generator(folder).open(device), sampler)

    def weigh_decoding(
        self, settings: PipelineSettings, sampler: SamplerSettings, shape: tuple[int, int, int], root: Path
    ) -> float:
        """The autoencoder's decoder, and with unclip the whole diffusion."""
        from ops.generators.diffusion.cost import weigh_decoding

        return weigh_decoding(settings, sampler, _read_unchecked(settings, root))


def _read_unchecked(settings: PipelineSettings, root: Path) -> PipelineFolder:
    """The folder of a pipeline; its safety checker, which estimates leave out, need not be there."""
    from ops.generators.diffusion.finding import find_pipeline
    from ops.generators.diffusion.folder import read_pipeline

    path = find_pipeline(settings.model, settings.revision, root)
    return read_pipeline(path, settings.kind, settings.variant, checked=False)


def require_same_classes(config: Mapping[str, Any], class_names: Sequence[str], whose: str) -> None:
    """UserError if a pipeline's generator directory has other classes than `whose` labels stand for, or another order.

    A generator whose weights were trained here learnt the labels themselves, and is not asked.
    """
    if SETTINGS not in config:
        return
    from ops.generators.diffusion.classes import compare_classes

    compare_classes(config["class_names"], class_names, whose)


def find_precision(config: Mapping[str, Any], provider: str) -> str | None:
    """The number format in which a pipeline draws on a provider; None for a generator of another kind."""
    if SETTINGS not in config:
        return None
    from ops.generators.diffusion.opening import choose_precision

    return choose_precision(config[SETTINGS]["precision"], provider)


def identify_pixels(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """What of config.json a pipeline's images follow from; None for a generator of another kind.

    The weights are known by their hash. Where they lie and what their licence is called decide no pixel. Where the
    recipe imagines, a file of its own says how, and the sampler's thresholds are not asked either.
    """
    if SETTINGS not in config:
        return None
    decisive = {key: value for key, value in config[SETTINGS].items() if key not in ("model", "revision", "licence")}
    sampler = config.get(DRAWN_WITH, {})
    if sampler.get("imagination") is not None:
        sampler = {key: sampler[key] for key in DRAWS_WITH}
    return {**config, SETTINGS: decisive, **({DRAWN_WITH: sampler} if sampler else {})}


def describe_weights(config: Mapping[str, Any]) -> dict[str, str]:
    """What a card says of a generator's weights that are not in its folder; empty for a generator without such."""
    settings = config.get(SETTINGS)
    if settings is None:
        return {}
    return {
        "weights": f"{settings['model']}, sha256 {settings['sha256']}; they are not in this folder",
        "licence of the weights, as their owner states it": settings["licence"],
        "safety checker of the pipeline": "it looks at every image" if config[FLAGS] else "none: not checked",
    }
