"""Fixed features of a set's images, few and of one scale: gradients and mean colours on their principal axes.

Nothing is learnt from labels. The features are those of the reference model (`ops.classifiers.reference`).
"""

from __future__ import annotations

import numpy as np

from ops.classifiers.reference.features import describe_block

AXES = 100  # principal axes that are kept
COLOUR_SHARE = 0.5  # length of the colours where gradients have 1: most classes differ in shape


def describe_set(images: np.ndarray) -> np.ndarray:
    """The features float64 [n, A] of uint8 images [n, H, W, C], n at least 2; they depend on the whole set.

    An axis has mean 0, and variance 1 on average over the axes.
    """
    from sklearn.utils.extmath import randomized_svd

    gradients, colours = (_centre(describe_block(name, images)) for name in ("gradients", "colours"))
    values = np.concatenate([gradients, COLOUR_SHARE * colours], axis=1)
    kept = min(AXES, len(values) - 1, values.shape[1])
    left, lengths, _ = randomized_svd(values, n_components=kept, random_state=0)
    axes = left * lengths
    scale = np.sqrt(np.square(axes).mean()) or 1.0
    return np.asarray(axes / scale)


def _centre(values: np.ndarray) -> np.ndarray:
    """Mean 0 and a mean squared length of 1, or all 0 where every image has the same values."""
    values = values.astype(np.float64)
    values -= values.mean(axis=0)
    length = np.sqrt(np.square(values).sum(axis=1).mean())
    return np.asarray(values / length if length > 1e-6 else np.zeros_like(values))
