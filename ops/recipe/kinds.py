"""The sections `generator` and `prior` by kind. Each kind is one line here, and one in `ops.generators.registry`."""

from __future__ import annotations

from ops.recipe.dcgan import DcganSettings
from ops.recipe.denoisers import DdpmSettings, EdmSettings, FlowSettings
from ops.recipe.diffusion import StableDiffusionSettings, UnclipSettings
from ops.recipe.generator import KindSettings, OnnxSettings
from ops.recipe.geometry import GeometrySettings
from ops.recipe.instance import InstanceSettings
from ops.recipe.latent import LatentSettings
from ops.recipe.mae import MaeSettings
from ops.recipe.munit import MunitSettings
from ops.recipe.prior import PriorGeneratorSettings, build_section
from ops.recipe.stylegan2 import StyleGan2Settings

KINDS: dict[str, type[KindSettings]] = {
    "flow": FlowSettings,
    "edm": EdmSettings,
    "ddpm": DdpmSettings,
    "latent": LatentSettings,
    "geometry": GeometrySettings,
    "munit": MunitSettings,
    "dcgan": DcganSettings,
    "stylegan2": StyleGan2Settings,
    "prior": PriorGeneratorSettings,
    "stable-diffusion": StableDiffusionSettings,
    "unclip": UnclipSettings,
    "onnx": OnnxSettings,
}
ONLY_PRIORS: dict[str, type[KindSettings]] = {  # labelled images alone are too few
    "instance": InstanceSettings,
    "mae": MaeSettings,
}
PRIORS: dict[str, type[KindSettings]] = {
    name: build_section(settings)
    for name, settings in {**KINDS, **ONLY_PRIORS}.items()
    if settings.class_keys is not None
}
DEFAULT_KIND = "flow"  # of a section without `kind`
