"""The views of contrastive training: a random resized crop, then colours, as SimCLR, MoCo, BYOL and Barlow Twins make
them, for a whole batch at once.

The order is theirs: crop, jitter, loss of colour, blur, solarisation. Mirroring is part of the crop, since none of the
others knows left from right.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ops.classifiers.augmentations.colours import draw_blur, grey_out, jitter, solarise
from ops.classifiers.augmentations.resizing import draw_boxes, resize
from ops.classifiers.ingredients import Augmentation
from ops.recipe.ingredients.views import Views


class ContrastViews(Augmentation):
    """A view of each image; of the two views of `pair` the second alone may be solarised."""

    def __init__(self, settings: Views, side: tuple[int, int]) -> None:
        self.settings, self.side = settings, side

    def __call__(self, images: Tensor) -> Tensor:
        return self._change(images, self.settings.solarize)

    def pair(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self._change(images, 0.0), self._change(images, self.settings.solarize)

    @classmethod
    def mirrors(cls, settings: Views) -> bool:
        return settings.flip > 0

    def _change(self, images: Tensor, solarize: float) -> Tensor:
        s, count = self.settings, len(images)
        view = resize(images, draw_boxes(count, self.side, s.crop), torch.rand(count) < s.flip)
        amounts = (s.brightness, s.contrast, s.saturation, s.hue)
        view = _change_some(view, s.jitter if any(amounts) else 0.0, lambda some: jitter(some, *amounts))
        if view.shape[1] == 3:
            view = _change_some(view, s.grey, grey_out)
        view = _change_some(view, s.blur, draw_blur)
        return _change_some(view, solarize, solarise).clamp_(-1, 1)


def _change_some(images: Tensor, probability: float, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Each image changed with a probability; the others are not computed."""
    if probability == 0:
        return images
    rows = torch.nonzero(torch.rand(len(images)) < probability).flatten().to(images.device)
    return images.index_copy(0, rows, change(images[rows])) if len(rows) else images
