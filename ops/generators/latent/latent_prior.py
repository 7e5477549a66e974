"""Kind `latent` as a prior that imagines: f is a latent that was noised and denoised, and decoding is the decoder.

This is where GIF-SD perturbs: the flow has done its part, and only the autoencoder's decoder is differentiated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime as ort
import torch
from torch import Tensor

from ops.generators.denoising.sampling import make_evaluate
from ops.generators.folder import DECODER
from ops.generators.imaginable import Asked, draw_asked, to_levels
from ops.generators.kinds.flow import Flow
from ops.generators.latent.network import LatentFlow
from ops.generators.latent.sizes import Shape
from ops.generators.latent.spaces import LatentSpace
from ops.generators.onnx.engine import load_session
from ops.recipe.sampler import SamplerSettings


@dataclass(frozen=True, eq=False)
class LatentPrior:
    """An `OpenedPrior`. `shape` (C, H, W) of the images; `decoder`: the exported one, where there is one."""

    maths: Flow
    whole: LatentFlow
    sampler: SamplerSettings
    shape: Shape
    latent_shape: Shape
    decoder: ort.InferenceSession | None = None

    def encode(self, images: Tensor) -> Tensor:
        return self.whole.autoencoder.encode(images * 2 - 1)

    def vary(self, images: Tensor, requests: Sequence[Asked]) -> Tensor:
        """The latent of each image, noised up to the strength and denoised."""
        noise = LatentSpace(self.whole.autoencoder, self.latent_shape).take_noise(draw_asked(self.shape, requests))
        strength, solver, steps = self.sampler.settled_strength, self.sampler.solver, self.sampler.steps
        assert strength is not None and solver is not None and steps is not None
        evaluate = make_evaluate(self.whole.flow, torch.zeros(len(images), dtype=torch.int64), self.sampler)
        return self.maths.vary(evaluate, self.encode(images), noise, strength, solver=solver, steps=steps)

    def decode(self, latents: Tensor) -> Tensor:
        return to_levels(self.whole.autoencoder.decode(latents))

    def render(self, latents: Tensor) -> Tensor:
        """`decode`, by the exported decoder where there is one."""
        if self.decoder is None:
            return self.decode(latents)
        (images,) = self.decoder.run(["image"], {"latent": latents.detach().contiguous().numpy()})
        return to_levels(torch.from_numpy(images))


def open_latent_prior(
    maths: Flow, whole: LatentFlow, config: dict[str, Any], folder: Path, sampler: SamplerSettings
) -> LatentPrior:
    """The prior of a generator's directory with this config."""
    channels, height, width = config["latent_shape"]
    shape = config["channels"], config["height"], config["width"]
    decoder = load_session(folder / DECODER, "cpu") if (folder / DECODER).exists() else None
    return LatentPrior(maths, whole.requires_grad_(False), sampler, shape, (channels, height, width), decoder)
