"""The latents as a space that a flow denoises in: with networks, and with their exported graphs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import onnx
from torch import Tensor

from ops.generators.latent.network import Autoencoder
from ops.generators.latent.sizes import Shape
from ops.generators.onnx.graph import Symbol, append


@dataclass(frozen=True)
class LatentSpace:
    """With networks. The noise of a latent is the first numbers of the image's, which are independent."""

    autoencoder: Autoencoder
    shape: Shape

    def take_noise(self, noise: Tensor) -> Tensor:
        return noise.flatten(1)[:, : math.prod(self.shape)].unflatten(1, self.shape)

    def encode(self, image: Tensor) -> Tensor:
        return self.autoencoder.encode(image)

    def decode(self, found: Tensor) -> Tensor:
        return self.autoencoder.decode(found)


@dataclass(frozen=True)
class LatentGraphs:
    """With graphs: `encoder` takes `image` [n, C, H, W] in -1..1 to `latent`, and `decoder` takes that to `image`."""

    encoder: onnx.GraphProto
    decoder: onnx.GraphProto
    shape: Shape

    def take_noise(self, noise: Symbol) -> Symbol:
        builder = noise.builder
        flat = builder.add("Flatten", [noise.name], axis=1)
        ends = [builder.integers([number]) for number in (0, math.prod(self.shape), 1)]  # start, end, axis
        taken = builder.add("Slice", [flat, *ends])
        return Symbol(builder, builder.add("Reshape", [taken, builder.integers([-1, *self.shape])]))

    def encode(self, image: Symbol) -> Symbol:
        return append(self.encoder, "encoder/", image)

    def decode(self, found: Symbol) -> Symbol:
        return append(self.decoder, "decoder/", found)
