"""Blends of real images in the place of generated ones."""

from __future__ import annotations

import numpy as np

from ops.classifiers.placebos.parents import draw_parents
from ops.recipe.ingredients.guidance import MixedPlacebo


def blend_real(
    settings: MixedPlacebo, images: np.ndarray, labels: np.ndarray, is_generated: np.ndarray, seed: int
) -> np.ndarray:
    """A copy of uint8 `images` [n, C, H, W] whose generated ones are λ·x + (1 - λ)·x' of two real ones of the class."""
    rng = np.random.default_rng([seed, 4])
    one, other = (images[draw_parents(labels, is_generated, rng)].astype(np.float32) for _ in range(2))
    shares = rng.beta(settings.alpha, settings.alpha, size=(len(one), 1, 1, 1)).astype(np.float32)
    found = images.copy()
    found[is_generated] = np.rint(shares * one + (1 - shares) * other).astype(np.uint8)
    return found
