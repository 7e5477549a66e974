"""The two orders of an image's axes: height, width, channels in files; channels, height, width in networks.

Plain numpy. Scaling and number formats are left to the networks.
"""

from __future__ import annotations

import numpy as np


def to_nchw(images: np.ndarray) -> np.ndarray:
    """[n, H, W, C] to a contiguous [n, C, H, W] of the same type."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def to_nhwc(images: np.ndarray) -> np.ndarray:
    """[n, C, H, W] to a contiguous [n, H, W, C] of the same type."""
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1))
