"""No augmentation: images as they are."""

from __future__ import annotations

from torch import Tensor

from ops.classifiers.ingredients import Augmentation
from ops.recipe.arms import NoAugmentation


class Unchanged(Augmentation):
    """Returns the images unchanged."""

    def __init__(self, settings: NoAugmentation, side: tuple[int, int]) -> None:
        pass

    def __call__(self, images: Tensor) -> Tensor:
        return images
