"""Strongly augmented real images in the place of generated ones."""

from __future__ import annotations

import numpy as np
import torch

from ops.classifiers.augmentations.policy import ComposedPolicy
from ops.classifiers.networks.classifier import normalise
from ops.classifiers.placebos.parents import draw_parents
from ops.recipe.arms import Policy
from ops.recipe.ingredients.guidance import AugmentedPlacebo

STRONG = Policy(shift=0.12, scale=0.3, rotation=20.0, gain=0.5, offset=0.15)  # at strength 1; no mirror images
AT_ONCE = 512


def augment_real(
    settings: AugmentedPlacebo,
    images: np.ndarray,
    labels: np.ndarray,
    is_generated: np.ndarray,
    seed: int,
    is_seed: np.ndarray | None = None,
) -> np.ndarray:
    """A copy of uint8 `images` [n, C, H, W] whose generated ones are real images of the class, each changed once.

    is_seed : bool [n], the real images that are changed; None: all.
    """
    keys = {key: settings.strength * getattr(STRONG, key) for key in STRONG.numbers()}
    policy = Policy.model_validate(keys)
    parents = draw_parents(labels, is_generated, np.random.default_rng([seed, 4]), is_seed)
    change = ComposedPolicy(policy, (images.shape[2], images.shape[3]))
    changed = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for rows in torch.from_numpy(parents).split(AT_ONCE):
            views = change(normalise(torch.from_numpy(images[rows.numpy()])))
            changed.append(((views + 1) * 127.5).round_().clamp_(0, 255).to(torch.uint8).numpy())
    found = images.copy()
    found[is_generated] = np.concatenate(changed)
    return found
