"""Kind `mae` as a prior that imagines: f is the tokens that the decoder reads, and decoding is the decoder.

It is the counterpart of GIF-MAE, whose code was not published. The tokens are a linear map of the encoder's.
A latent is alone enough to draw its image, so `decode` is a function of it and draws nothing. `vary` hides patches and
mixes noise in as the exported sampler does for the same variant; `encode` hides none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime as ort
import torch
from torch import Tensor

from ops.generators.folder import DECODER
from ops.generators.imaginable import Asked, draw_asked, to_levels
from ops.generators.mae.drawing import vary
from ops.generators.mae.network import Mae
from ops.generators.onnx.engine import load_session
from ops.recipe.sampler import SamplerSettings


@dataclass(frozen=True, eq=False)
class MaePrior:
    """An `OpenedPrior`. `decoder`: the exported one, where there is one."""

    mae: Mae
    config: dict[str, Any]
    sampler: SamplerSettings
    decoder: ort.InferenceSession | None = None

    @property
    def latent_shape(self) -> tuple[int, ...]:
        return tuple(self.mae.mean.shape)

    def encode(self, images: Tensor) -> Tensor:
        return self.mae.encode(images * 2 - 1)

    def vary(self, images: Tensor, requests: Sequence[Asked]) -> Tensor:
        """The latent of each image, with patches hidden and noise mixed in at the strength."""
        shape = self.config["channels"], self.config["height"], self.config["width"]
        noise, strength = draw_asked(shape, requests), self.sampler.settled_strength
        assert strength is not None
        return vary(self.mae, images * 2 - 1, noise, tuple(self.config["hidden"]), strength)

    def decode(self, latents: Tensor) -> Tensor:
        return to_levels(self.mae.decode(latents))

    def render(self, latents: Tensor) -> Tensor:
        """`decode`, by the exported decoder where there is one."""
        if self.decoder is None:
            return self.decode(latents)
        (images,) = self.decoder.run(["image"], {"latent": latents.detach().contiguous().numpy()})
        return to_levels(torch.from_numpy(images))


def open_mae_prior(mae: Mae, config: dict[str, Any], folder: Path, sampler: SamplerSettings) -> MaePrior:
    """The prior of a generator's directory with this config."""
    decoder = load_session(folder / DECODER, "cpu") if (folder / DECODER).exists() else None
    return MaePrior(mae.requires_grad_(False), config, sampler, decoder)
