"""The sections `generator` by kind. Each kind is one line here, and one in `ops.generators.registry`."""

from __future__ import annotations

from ops.recipe.generator import DdpmSettings, EdmSettings, FlowSettings, KindSettings, OnnxSettings
from ops.recipe.geometry import GeometrySettings
from ops.recipe.latent import LatentSettings
from ops.recipe.munit import MunitSettings

KINDS: dict[str, type[KindSettings]] = {
    "flow": FlowSettings,
    "edm": EdmSettings,
    "ddpm": DdpmSettings,
    "latent": LatentSettings,
    "geometry": GeometrySettings,
    "munit": MunitSettings,
    "onnx": OnnxSettings,
}
DEFAULT_KIND = "flow"  # of a section without `kind`
