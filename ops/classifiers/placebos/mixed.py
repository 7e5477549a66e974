"""Blends of real images in the place of generated ones."""

from __future__ import annotations

import numpy as np

from ops.classifiers.placebos.parents import draw_parents
from ops.recipe.ingredients.guidance import MixedPlacebo


def blend_real(
    settings: MixedPlacebo,
    images: np.ndarray,
    labels: np.ndarray,
    is_generated: np.ndarray,
    seed: int,
    is_seed: np.ndarray | None = None,
) -> np.ndarray:
    """A copy of uint8 `images` [n, C, H, W] whose generated ones are λ·x + (1 - λ)·x' of two real ones of the class.

    is_seed : bool [n], the real images that x is drawn from; None: all, as for x'.
    """
    rng = np.random.default_rng([seed, 4])
    one, other = (images[draw_parents(labels, is_generated, rng, rows)].astype(np.float32) for rows in (is_seed, None))
    shares = rng.beta(settings.alpha, settings.alpha, size=(len(one), 1, 1, 1)).astype(np.float32)
    found = images.copy()
    found[is_generated] = np.rint(shares * one + (1 - shares) * other).astype(np.uint8)
    return found
