"""The perturbation of a latent, (1 + z) · f + b, and where its random numbers come from.

z stretches f and b shifts it (GIF; DistDiff, arXiv 2403.06741, uses the same form). How many numbers a latent gets is
its granularity. One pair per channel can only change tone and contrast of what the decoder shows; one pair per element
can change anything, and can also leave what the decoder knows sooner.

| prior | latent | granularity | shape of z and b |
|---|---|---|---|
| GIF-SD, as released | (4, 64, 64) | channel | (4, 1, 1) |
| GIF-MAE, from memory (low confidence) | (197, 1024) | token | (1, 1024) |
| GIF-DALLE, read off a figure | (768,) | element | (768,) |

Draws are counter-based: the numbers of variant k of a seed image depend on (seed, round, seed image, k) and on nothing
else. Guided and random images therefore start from equal z and b without anyone storing them.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ops.generators.noise import draw_noise, draw_uniform

Granularity = Literal["channel", "token", "element"]
USUAL: dict[int, Granularity] = {1: "element", 2: "token", 3: "channel"}  # by the latent's number of axes


class Perturbation(NamedTuple):
    """z and b of n variants, float32 [n, *shape] each; `shape` broadcasts to that of the latent (`find_shape`)."""

    z: Tensor
    b: Tensor

    def apply(self, latents: Tensor) -> Tensor:
        """(1 + z) · f + b of latents [n, ...], not projected."""
        return (1 + self.z) * latents + self.b

    def take(self, rows: slice) -> Perturbation:
        """Some of the variants."""
        return Perturbation(self.z[rows], self.b[rows])


def find_shape(latent_shape: tuple[int, ...], granularity: Granularity | None = None) -> tuple[int, ...]:
    """The shape of a variant's z and b, for a latent of one image.

    channel: a number for each index of the first axis. token: for each index of the last, shared by all tokens.
    element: for each element. None: the usual one, by the latent's number of axes. ValueError if there is none.

    >>> find_shape((4, 64, 64)), find_shape((197, 1024)), find_shape((768,))
    ((4, 1, 1), (1, 1024), (768,))
    """
    axes = len(latent_shape)
    if granularity is None:
        if axes not in USUAL:
            raise ValueError(f"a latent of {axes} axes has no usual granularity; name one")
        granularity = USUAL[axes]
    if granularity == "element":
        return latent_shape
    if granularity == "channel":
        return (latent_shape[0], *[1] * (axes - 1))
    return (*[1] * (axes - 1), latent_shape[-1])


def draw_perturbation(
    shape: tuple[int, ...], *, seed: int, round_: int, key: str, start: int, count: int
) -> Perturbation:
    """z ~ U(0, 1) and b ~ N(0, 1) of variants `start` .. `start + count - 1` of the seed image `key`, on the CPU."""
    # Units of their own: the prior draws its noise for the same seed image from the unit `key`.
    z = draw_uniform(shape, seed=seed, round_=round_, unit=f"imagination z/{key}", start=start, count=count)
    b = draw_noise(shape, seed=seed, round_=round_, unit=f"imagination b/{key}", start=start, count=count)
    return Perturbation(torch.from_numpy(z), torch.from_numpy(b))


def no_perturbation(shape: tuple[int, ...], count: int) -> Perturbation:
    """z = b = 0 for each of `count` variants: `apply` gives the latents back, bit by bit."""
    return Perturbation(torch.zeros(count, *shape), torch.zeros(count, *shape))
