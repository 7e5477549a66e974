"""The images' own labels, blended as the pairing blends them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from ops.classifiers.ingredients import Targets
from ops.recipe.ingredients.guidance import LabelTargets


class OwnLabels(Targets):
    """The arm's loss and nothing else."""

    def __init__(self, settings: LabelTargets, teachers: Sequence[Callable[[Tensor], Tensor]]) -> None:
        pass

    def find_loss(self, logits: Tensor, images: Tensor, own: Callable[[], Tensor]) -> Tensor:
        return own()

    @classmethod
    def covers(cls, settings: Any, *, is_generated: bool) -> bool:
        return False
