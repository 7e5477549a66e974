"""Safety: the probability that an image is unsafe, by a pretrained classifier whose unsafe labels the user names.

The result is only as good as the classifier: it errs in both directions, most on images unlike its training images.
Without a classifier the result is not 0 but null: "not checked".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ops.pretrained.kinds import CLASSIFIERS
from ops.pretrained.loading import load_network, run_batches
from ops.pretrained.preprocessing import Preprocessing
from ops.pretrained.validation import check_safety


@dataclass(frozen=True, eq=False)
class Safety:
    """An opened classifier. unsafe: numbers of its unsafe labels."""

    network: Any
    preprocessing: Preprocessing
    unsafe: tuple[int, ...]

    def probability(self, images: Tensor) -> np.ndarray:
        """Probability float32 [n] of all unsafe labels together, for uint8 images [n, C, H, W], C of 1 or 3."""
        found = run_batches(self._classify, images, self.preprocessing)
        return found[:, list(self.unsafe)].sum(dim=1).clamp(max=1).numpy()

    def _classify(self, x: Tensor) -> Tensor:
        return self.network(pixel_values=x).logits.softmax(dim=1)


def open_safety(path: Path, unsafe: Sequence[str], *, key: str = "safety") -> Safety:
    """The classifier in the folder `path`.

    Raises as `ops.pretrained.validation.check_safety` does, and UserError for a weight that is missing or of
    another size.
    """
    folder, preprocessing, labels = check_safety(path, unsafe, key)
    network = load_network(folder, CLASSIFIERS[folder.kind], key)
    return Safety(network, preprocessing, labels)
