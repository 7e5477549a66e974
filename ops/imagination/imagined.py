"""What imagination makes of one seed image: its variants, and the record of how each came about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ops.generators.units import Unit
from ops.imagination.criteria import Scores
from ops.imagination.perturbation import Perturbation
from ops.imagination.protocols import Answer


@dataclass(frozen=True, eq=False)
class Imagined:
    """The variants k = 0 .. K - 1 of the seed image `unit`, row by row.

    Parameters
    ----------
    target : the class that was to be kept.
    latents : float32 [K, ...], in the ball around those of the prior, up to what a `SettlingPrior`
        does. images : float32 [K, C, H, W] in 0..1.
    start, end : z and b before and after the ascent; equal where nothing climbed, 0 for the plain prior.
    before : the scores of the images that `start` alone would have given, in the ball. after : of these images.
    answer : the scorer's, on these images or latents.
    flagged : whether a safety checker of the prior's flags the image, bool [K]; such an image is black, and its scores
        are those of what was drawn. False where nobody looks.
    clamped : share of a latent's elements that the ball holds back, float32 [K] in 0..1.
    slope : Euclidean length of the score's gradient with respect to z and b at `start`, where the preset takes its
        score, float32 [K]; 0 where nothing climbed.
    """

    unit: Unit
    target: int
    latents: Tensor
    images: Tensor
    start: Perturbation
    end: Perturbation
    before: Scores
    after: Scores
    answer: Answer
    flagged: Tensor
    clamped: Tensor
    slope: Tensor

    def __len__(self) -> int:
        return len(self.latents)

    def take(self, rows: Tensor | slice) -> Imagined:
        """Some of the variants. Their diversity stays that within the groups in which they were made."""
        return Imagined(self.unit, self.target, *(_take(getattr(self, name), rows) for name in ROWWISE))

    def to(self, device: str) -> Imagined:
        """The same on a device."""
        return Imagined(self.unit, self.target, *(_move(getattr(self, name), device) for name in ROWWISE))


ROWWISE = ("latents", "images", "start", "end", "before", "after", "answer", "flagged", "clamped", "slope")


def join_imagined(parts: Sequence[Imagined]) -> Imagined:
    """The variants of one seed image, part after part."""
    columns = ([getattr(part, name) for part in parts] for name in ROWWISE)
    return Imagined(parts[0].unit, parts[0].target, *(_join(column) for column in columns))


def _take(value: Any, rows: Tensor | slice) -> Any:
    """Rows of a tensor, or of each tensor of a named tuple."""
    return value[rows] if isinstance(value, Tensor) else type(value)(*(each[rows] for each in value))


def _move(value: Any, device: str) -> Any:
    return value.to(device) if isinstance(value, Tensor) else type(value)(*(each.to(device) for each in value))


def _join(values: Sequence[Any]) -> Any:
    if isinstance(values[0], Tensor):
        return torch.cat(list(values))
    return type(values[0])(*(torch.cat(list(each)) for each in zip(*values, strict=True)))
