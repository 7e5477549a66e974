"""Hide a share of an image's features behind noise: what `sampler.strength` means for kind `instance`.

Features f have mean 0 and variance 1 over the pool. At strength s the flow is told

    f' = sqrt(1 - s²) · f + s · g,    g ~ N(0, 1),

and s itself; f' is spread as f is. The flow learns with all strengths, as with conditioning augmentation (Ho et al.
2022, "Cascaded diffusion models"). So at each of them it draws an image as its pool has them: at 0 one with the
features of the seed image, at 1 any image, and between them one that could have had these features.

A sampler is fed noise of the images' shape alone, from which the flow starts. g is made of it too: each of its numbers
is an alternating sum over a run of neighbouring pixels. These are standard normal and independent of each other. They
are no more than the part of the flow's start that changes sign from pixel to pixel, and no image is made of that part.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from onnx import numpy_helper
from torch import Tensor

from ops.generators.onnx.graph import Symbol


def hide(features: Tensor, hiding: Tensor, strength: Tensor | float) -> Tensor:
    """f' of f and g, float [n, d] each; the strength is in 0..1, for all or [n]."""
    s = _spread(features, strength)
    return (1 - s.square()).sqrt() * features + s * hiding


def show(hidden: Tensor, strength: Tensor | float) -> Tensor:
    """What the flow is told, float [n, d + 1]: f' and the strength."""
    return torch.cat([hidden, _spread(hidden, strength)], dim=1)


def tell(features: Tensor, hiding: Tensor, strength: Tensor | float) -> Tensor:
    """What the flow is told of f and g."""
    return show(hide(features, hiding, strength), strength)


def take_hiding(noise: Tensor, count: int) -> Tensor:
    """g float [n, count] of noise [n, C, H, W]."""
    signs = torch.from_numpy(_alternate(noise[0].numel(), count)).to(noise)
    return (noise.flatten(1)[:, : count * len(signs)].unflatten(1, (count, -1)) * signs).sum(dim=2)


def tell_symbols(features: Symbol, noise: Symbol, count: int, numbers: int, strength: float) -> Symbol:
    """`tell` with `take_hiding` on symbols; the noise has so many `numbers` for an image."""
    builder, signs = features.builder, _alternate(numbers, count)

    def add(operator: str, *inputs: str, **attributes: Any) -> str:
        return builder.add(operator, list(inputs), **attributes)

    name = builder.name("signs")
    builder.initializers.append(numpy_helper.from_array(signs, name))
    ends = [builder.integers([number]) for number in (0, count * len(signs), 1)]  # start, end, axis
    taken = add("Slice", add("Flatten", noise.name, axis=1), *ends)
    runs = add("Mul", add("Reshape", taken, builder.integers([-1, count, len(signs)])), name)
    hiding = Symbol(builder, add("ReduceSum", runs, builder.integers([2]), keepdims=0))
    told = features * math.sqrt(1 - strength**2) + hiding * strength
    # The strength becomes the last column.
    return Symbol(builder, add("Pad", told.name, builder.integers([0, 0, 0, 1]), builder.constant(strength)))


def _spread(features: Tensor, strength: Tensor | float) -> Tensor:
    """The strength of each row, [n, 1]."""
    return torch.as_tensor(strength).to(features).expand(len(features))[:, None]


def _alternate(numbers: int, count: int) -> np.ndarray:
    """1, -1, 1, … for a run, `count` of which fit into so many numbers: evenly many, so that a constant sums to 0.

    They are divided by the root of how many they are, so that a sum of normal numbers with these signs is normal.
    """
    length = numbers // count // 2 * 2
    signs = 1 - 2 * (np.arange(length) % 2)
    return (signs / math.sqrt(length)).astype(np.float32)
