"""A prior and a scorer that are small enough to be followed by hand, and smooth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ops.generators.noise import draw_noise
from ops.generators.units import Unit
from ops.imagination.protocols import Answer, Request, Statistics

SHAPE = (1, 4, 4)  # of an image


def weights(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class LinearPrior:
    """Latents [3, 2, 2]; an image is the sigmoid of a linear map. It notes how many rows each call had."""

    latent_shape: tuple[int, ...] = (3, 2, 2)

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.into, self.out = weights(16, 12, seed=1).to(dtype) / 2, weights(12, 16, seed=2).to(dtype) / 2
        self.rows: list[int] = []

    def encode(self, images: Tensor) -> Tensor:
        return ((images.flatten(1) - 0.5) @ self.into).unflatten(1, self.latent_shape)

    def decode(self, latents: Tensor) -> Tensor:
        self.rows.append(len(latents))
        return torch.sigmoid(latents.flatten(1) @ self.out).unflatten(1, SHAPE)


class RestlessPrior(LinearPrior):
    """Varies an image by noise that follows from the request."""

    def vary(self, images: Tensor, requests: Sequence[Request]) -> Tensor:
        self.rows.append(len(images))
        noise = [
            draw_noise(self.latent_shape, seed=r.seed, round_=r.round_, unit=r.key, start=r.k, count=1)
            for r in requests
        ]
        return self.encode(images) + 0.3 * torch.cat([torch.from_numpy(row) for row in noise])


class SmoothScorer:
    """Three classes from tanh features; it notes the images and statistics that it was given."""

    def __init__(self, dtype: torch.dtype = torch.float32, size: int = 16, sharpness: float = 3.0) -> None:
        self.body, self.head = weights(size, 6, seed=3).to(dtype), weights(6, 3, seed=4).to(dtype)
        self.sharpness = sharpness
        self.seen: list[tuple[Tensor, Statistics | None]] = []
        self.reads: Literal["images", "latents"] = "images" if size == 16 else "latents"

    def answer(self, inputs: Tensor, keys: Sequence[str], statistics: Statistics | None = None) -> Answer:
        assert len(keys) == len(inputs)
        self.seen.append((inputs.detach(), statistics))
        mean, deviation = statistics or Statistics((0.5,), (0.5,))
        features = torch.tanh((inputs.flatten(1) - mean[0]) / deviation[0] @ self.body)
        logits = self.sharpness * features @ self.head
        return Answer(F.normalize(features, dim=1), torch.log_softmax(logits, dim=1))


def make_seeds(count: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, list[Unit]]:
    """Seed images of random levels, with labels 0, 1, 2, 0, ..."""
    images = torch.sigmoid(weights(count, *SHAPE, seed=5)).to(dtype)
    return images, [Unit(f"seed {i}", i % 3, f"seed {i}") for i in range(count)]
