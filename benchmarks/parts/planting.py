"""Plants faults into a set of labelled images, by a seed, and says where: what filters are tried on.

The strengths of the changes are here and nowhere in `ops.filters`, which knows no fault by name. Whoever sets
constants or thresholds of filters does so without this file.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.parts.fashion import LabelledImages

SHARES = {
    "wrong_label": 0.05, "exact_copy": 0.02, "changed_copy": 0.02, "test_image": 0.01, "repeat": 0.05, "blank": 0.01,
}  # fmt: skip
CHANGES = ("noise", "shift", "mirror", "brightness")
NOISE = 5.0, 15.0  # standard deviation, in grey levels
SHIFT = 2  # pixels, at most, down and to the right; black comes in
FACTOR, OFFSET = (0.75, 1.25), 20  # of levels, and grey levels added or taken, at most
CHANGED_REPEATS = 0.5  # of the repeats are changed, as copies are
BLANK_NOISE = 4.0  # standard deviation at most, in grey levels


@dataclass(frozen=True, eq=False)
class Planted:
    """images: uint8 [n, C, H, W]; labels: int64 [n], as the filters are told. fault: str [n], a key of SHARES or "".

    change: str [n], one of CHANGES for copies and repeats that were changed, else "". source: int64 [n], the row of the
    training image, test image or earlier row of these that is shown, else -1.
    """

    images: Tensor
    labels: np.ndarray
    fault: np.ndarray
    change: np.ndarray
    source: np.ndarray


def plant(
    carrier: LabelledImages,
    train: LabelledImages,
    test: LabelledImages,
    *,
    classes: int,
    seed: int,
) -> Planted:
    """Faults in the place of some of the carrier's images, which are put into an order drawn with the seed.

    Copies, test images and repeats take the label of what they show. ValueError if there are fewer training or test
    images than are to be shown, each at most once as one fault.
    """
    rng = np.random.default_rng([seed, 77])
    order = rng.permutation(len(carrier))
    images, labels = carrier.images[torch.from_numpy(order)].clone(), carrier.labels[order].copy()
    fault, change = np.full(len(order), "", dtype="<U12"), np.full(len(order), "", dtype="<U12")
    source = np.full(len(order), -1, np.int64)
    places = rng.permutation(len(order))
    for name, share in SHARES.items():
        count = round(share * len(order))
        rows, places = places[:count], places[count:]
        fault[rows] = name
        if name == "wrong_label":
            labels[rows] = (labels[rows] + rng.integers(1, classes, count)) % classes
        elif name == "blank":
            images[torch.from_numpy(rows)] = draw_blanks(count, tuple(images.shape[1:]), rng)
        elif name in ("exact_copy", "changed_copy", "test_image"):
            shown = test if name == "test_image" else train
            if count > len(shown):
                raise ValueError(f"{count} images are to be planted as {name}; there are {len(shown)}")
            source[rows] = rng.permutation(len(shown))[:count]
            images[torch.from_numpy(rows)] = shown.images[torch.from_numpy(source[rows])]
            labels[rows] = shown.labels[source[rows]]
    # Repeats last: what they repeat must be an image that is there, whole and rightly labelled.
    for row in np.flatnonzero(fault == "repeat"):
        earlier = np.flatnonzero(fault[:row] == "")
        if len(earlier):
            source[row] = rng.choice(earlier)
            images[row], labels[row] = images[source[row]], labels[source[row]]
        else:
            fault[row] = ""
    repeats = np.flatnonzero(fault == "repeat")
    changed = np.flatnonzero(fault == "changed_copy"), repeats[rng.random(len(repeats)) < CHANGED_REPEATS]
    for row in np.concatenate(changed):
        change[row] = rng.choice(CHANGES)
        images[row] = alter(images[row], change[row], rng)
    return Planted(images, labels, fault, change, source)


def alter(image: Tensor, change: str, rng: np.random.Generator) -> Tensor:
    """One uint8 image [C, H, W], changed in one of the CHANGES."""
    levels = image.numpy().astype(np.float64)
    if change == "noise":
        levels += rng.normal(0, rng.uniform(*NOISE), levels.shape)
    elif change == "brightness":
        levels = levels * rng.uniform(*FACTOR) + rng.uniform(-OFFSET, OFFSET)
    elif change == "mirror":
        return image.flip(-1)
    elif change == "shift":
        moves = [(d, r) for d in range(-SHIFT, SHIFT + 1) for r in range(-SHIFT, SHIFT + 1) if d or r]
        down, right = moves[rng.integers(len(moves))]
        height, width = image.shape[1:]
        wide = F.pad(image, (SHIFT,) * 4)
        return wide[:, SHIFT - down : SHIFT - down + height, SHIFT - right : SHIFT - right + width]
    else:
        raise ValueError(f"'{change}' is none of {', '.join(CHANGES)}")
    return torch.from_numpy(levels.round().clip(0, 255).astype(np.uint8))


def draw_blanks(count: int, shape: tuple[int, ...], rng: np.random.Generator) -> Tensor:
    """uint8 [count, C, H, W] of one colour: a third black, a third white, a third any; half with slight noise."""
    channels = shape[0]
    colours = rng.integers(0, 256, (count, channels)).astype(np.float64)
    kinds = rng.integers(0, 3, count)
    colours[kinds == 0], colours[kinds == 1] = 0, 255
    strength = rng.uniform(0, BLANK_NOISE, count) * (rng.random(count) < 0.5)
    levels = colours[:, :, None, None] + strength[:, None, None, None] * rng.normal(size=(count, *shape))
    return torch.from_numpy(levels.round().clip(0, 255).astype(np.uint8))
