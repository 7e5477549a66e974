"""Which generated images are rejected, and why. Rejected rows are kept with their reasons and scores.

Distances are relative: 1.0 is as far as the nearest real neighbour lies from its own nearest real
neighbour, so that one threshold serves smooth and busy classes alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ops.filters.neighbours import find_nearest, find_repeats, make_thumbnails, measure_spacing

if TYPE_CHECKING:
    from ops.recipe.schema import FilterSettings

REASONS = ("wrong_label", "copy_of_train", "near_copy_of_train", "repeat", "near_repeat", "surplus")


@dataclass(frozen=True)
class Scores:
    """One value per generated image [n]; probabilities in 0..1, distances relative (see the module)."""

    label_probability: np.ndarray
    predicted: np.ndarray
    train_distance: np.ndarray
    nearest_train: np.ndarray
    generated_distance: np.ndarray
    nearest_generated: np.ndarray
    copy_of_train: np.ndarray
    repeat: np.ndarray


def score_images(
    generated: Tensor, labels: np.ndarray, train: Tensor, probabilities: np.ndarray, settings: FilterSettings
) -> Scores:
    """Scores of generated images uint8 [n, C, H, W] against real training images of the same shape.

    `probabilities` [n, K] are the scorer's. Repeats are looked for within a class.
    """
    real, drawn = make_thumbnails(train), make_thumbnails(generated)
    spacing = measure_spacing(real)
    distance, nearest = find_nearest(drawn, real)
    generated_distance = np.full(len(labels), np.inf, np.float32)
    nearest_generated = np.full(len(labels), -1, np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        scale = spacing[nearest[members]]
        found, index = find_repeats(drawn[torch.from_numpy(members)], settings.min_generated_distance * scale)
        generated_distance[members] = found / scale
        nearest_generated[members] = np.where(index >= 0, members[index], -1)
    return Scores(
        label_probability=probabilities[np.arange(len(labels)), labels].astype(np.float32),
        predicted=probabilities.argmax(1),
        train_distance=(distance / spacing[nearest]).astype(np.float32),
        nearest_train=nearest,
        generated_distance=generated_distance,
        nearest_generated=nearest_generated,
        copy_of_train=_same_pixels(generated, train),
        repeat=_seen_before(generated),
    )


def decide(scores: Scores, labels: np.ndarray, wanted: Sequence[int], settings: FilterSettings) -> list[list[str]]:
    """Reasons to reject each image, empty for those that are kept.

    Images that pass every rule are kept in order until their class has what is wanted; the rest are surplus.
    """
    rules = {
        "wrong_label": scores.label_probability < settings.min_label_probability,
        "copy_of_train": scores.copy_of_train,
        "near_copy_of_train": ~scores.copy_of_train & (scores.train_distance < settings.min_train_distance),
        "repeat": scores.repeat,
        "near_repeat": ~scores.repeat & (scores.generated_distance < settings.min_generated_distance),
    }
    reasons: list[list[str]] = [[] for _ in labels]
    for name, broken in rules.items():
        for broken_row in np.flatnonzero(broken):
            reasons[broken_row].append(name)
    left = list(wanted)
    for row, label in enumerate(labels):
        if not reasons[row]:
            if left[label] > 0:
                left[label] -= 1
            else:
                reasons[row].append("surplus")
    return reasons


def _digests(images: Tensor) -> list[bytes]:
    return [image.tobytes() for image in images.numpy()]


def _same_pixels(images: Tensor, references: Tensor) -> np.ndarray:
    known = set(_digests(references))
    return np.array([digest in known for digest in _digests(images)], dtype=bool)


def _seen_before(images: Tensor) -> np.ndarray:
    seen: set[bytes] = set()
    repeated = []
    for digest in _digests(images):
        repeated.append(digest in seen)
        seen.add(digest)
    return np.array(repeated, dtype=bool)
