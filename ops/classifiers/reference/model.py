"""The reference model on disk, and its answers: weights in a safetensors file, and its features' name in the metadata.

Loading and answering needs numpy only, so that a model is asked with no more than what it was stored with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from ops.classifiers.reference.features import FEATURES, describe
from ops.files.storage import replace_file

IMAGES_AT_ONCE = 4_096
Describe = Callable[[np.ndarray], np.ndarray]  # features float32 [n, F] of images uint8 [n, H, W, C]
NO_OTHERS: Mapping[str, Describe] = {}
NAME = "features"  # the only metadata: with more, the order of their bytes would be chance


@dataclass(frozen=True, eq=False)
class Reference:
    """Linear scores of standardised features.

    features: a name in `features.FEATURES`, or of other features, which are then given with the question. mean, scale:
    float32 [F] of the features in training. coefficients: float32 [K, F]. intercepts: float32 [K], -inf for a class
    without training images.
    """

    features: str
    mean: np.ndarray
    scale: np.ndarray
    coefficients: np.ndarray
    intercepts: np.ndarray

    def answer(self, images: np.ndarray, others: Mapping[str, Describe] = NO_OTHERS) -> np.ndarray:
        """The likeliest class int64 [n] of images uint8 [n, H, W, C], of the size that it was trained on.

        `others` computes features that are not in FEATURES, by name. KeyError if those that are needed are missing.
        """
        parts = (images[start : start + IMAGES_AT_ONCE] for start in range(0, len(images), IMAGES_AT_ONCE))
        return np.concatenate([self._score(self._describe(part, others)).argmax(axis=1) for part in parts])

    def _describe(self, images: np.ndarray, others: Mapping[str, Describe]) -> np.ndarray:
        return describe(self.features, images) if self.features in FEATURES else others[self.features](images)

    def _score(self, values: np.ndarray) -> np.ndarray:
        """float32 [n, K] of features float32 [n, F]; their softmax is the probability of each class."""
        return np.asarray((values - self.mean) / self.scale @ self.coefficients.T + self.intercepts)


def save_reference(path: Path, model: Reference) -> None:
    """Write the model. Atomic."""
    tensors = {
        "mean": model.mean,
        "scale": model.scale,
        "coefficients": model.coefficients,
        "intercepts": model.intercepts,
    }
    with replace_file(path) as temporary:
        save_file({name: np.ascontiguousarray(t) for name, t in tensors.items()}, temporary, {NAME: model.features})


def load_reference(path: Path) -> Reference:
    """The model that `save_reference` wrote."""
    with safe_open(path, framework="np") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return Reference(features=file.metadata()[NAME], **tensors)
