"""A body that is the encoder of a recipe's prior: it learnt on the prior's pool to describe images.

No recipe names it as `classifier.network`; the trainers `probe` and `fine_tuned` build it. Like every body it is built
from a description that is stored beside the weights, so that a stored network does not need the prior any more.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ops.generators.encoding import EncodingKind
from ops.generators.feature_network import FeatureNetwork
from ops.generators.folder import read_config
from ops.recipe.arms import Network

SMALLEST = 1e-3  # of a feature's standard deviation, as a share of the widest one's


class PriorEncoder(Network):
    """The encoder of a kind of prior, by the config that the kind builds it from."""

    kind: Literal["prior_encoder"] = Field("prior_encoder", description="the encoder of the recipe's prior")
    of: str = Field(description="kind of the prior")
    config: dict[str, Any] = Field(description="what the encoder is built from")


class PriorEncoderBody(nn.Module):
    """Float images [n, C, H, W] in -1..1 to features [n, d], each with mean 0 and variance 1 once it is scaled."""

    shift: Tensor
    scale: Tensor

    def __init__(self, settings: PriorEncoder, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.encoder = _find_kind(settings.of).build_encoder(settings.config)
        self.feature_size = self.encoder.feature_size
        self.register_buffer("shift", torch.zeros(self.feature_size))
        self.register_buffer("scale", torch.ones(self.feature_size))

    def forward(self, x: Tensor) -> Tensor:
        return (self.encoder(x).float() - self.shift) / self.scale

    @torch.no_grad()
    def set_scale(self, features: Tensor) -> None:
        """So that these features [n, d], which the body gave before it was scaled, have mean 0 and variance 1."""
        spread = features.std(dim=0, correction=0)
        self.shift.copy_(features.mean(dim=0))
        self.scale.copy_(spread.clamp(min=SMALLEST * float(spread.max()) or 1.0))


def open_encoder(folder: Path) -> tuple[PriorEncoder, FeatureNetwork]:
    """The description and the trained encoder of the prior in a stage's folder.

    DamagedData if its weights are missing or do not fit; ValueError for a kind of prior without an encoder.
    """
    name = read_config(folder)["kind"]
    encoder, config = _find_kind(name).load_encoder(folder)
    return PriorEncoder(of=name, config=config), encoder


def _find_kind(name: str) -> EncodingKind:
    from ops.generators.registry import KINDS  # only these networks need it

    kind = KINDS[name]
    if not isinstance(kind, EncodingKind):
        raise ValueError(f"a prior of kind: {name} has no encoder")
    return kind
