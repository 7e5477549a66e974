"""What may take the place of generated images, to see whether these are worth more: each is one line here.

A placebo has the labels and weights of the generated images that it replaces, and is drawn once, as they are. Where
these are variants of some of the real images alone, it is made of the same ones: otherwise showing these more often
could pass for a merit of the generator.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ops.classifiers.placebos.augmented import augment_real
from ops.classifiers.placebos.mixed import blend_real

Replace = Callable[[Any, np.ndarray, np.ndarray, np.ndarray, int, np.ndarray | None], np.ndarray]

PLACEBOS: dict[str, Replace] = {"augmented": augment_real, "mixed": blend_real}
