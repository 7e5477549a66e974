"""A recipe for a new source: the demo's recipe with settings that suit the source's size.

The rules extrapolate from settings measured on 1,000 images of 28 x 28. They are a starting point for the user, and
each is one line below. Comments of the template are kept. The module reads no images.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ops.recipe.arms import find_stride
from ops.recipe.changes import edit_recipe

MEASURED_IMAGES = 1000  # training images for which the demo's steps were chosen
GENERATED_LIMIT = 20_000  # images that a laptop draws and trains on in minutes
UNEVEN_RATIO = 3.0  # largest class / smallest class; from here on small classes get more generated images

IN_PIXELS = 32  # pixels of the longer side; larger images are learnt as latents, at a sixth of the time
STRIP = 8  # pixels of the shorter side; of narrower images there are no latents
LATENTS = {
    "generator.kind": "latent", "generator.widths": [64, 128], "generator.unshuffle": 1, "generator.batch_size": 64,
}  # fmt: skip

FEW = (
    50  # images of the median class; from fewer a generator memorises sooner than it learns, unless they are augmented
)
RACE = 4.0  # standard errors on validation from which an arm is not trained further
LONGEST = 1200  # steps: with more, a thousand images take more than a quarter of an hour on two cores
AUTO_ARMS = (  # of the template: they get the augmentation that validation chooses
    "baselines.augmented", "baselines.oversampled", "baselines.mixup", "baselines.mixup+adjusted",
    "expanded.expanded+augmented", "expanded.expanded+mixup", "expanded.expanded+mixup+adjusted", "expanded.placebo",
)  # fmt: skip
ALIKE = ("plan.ratio", "sampler.steps", "classifier.steps", "classifier.network.stride")  # with and without labels


def suggest_settings(counts: np.ndarray, shape: Sequence[int]) -> dict[str, Any]:
    """Dotted recipe keys and values for training counts int [K] and images of `shape` (height, width, channels)."""
    images, side, channels = int(counts.sum()), max(shape[:2]), shape[2]
    # More images need more steps in total but fewer per image; the square root is between the two. Few images need no
    # fewer: a generator that has not learnt is not used.
    growth = math.sqrt(images / MEASURED_IMAGES)
    # Augmentations are told apart in half of the steps that mixup needs.
    classifier_steps, search_steps = (_round_steps(steps * growth, 300, 5000) for steps in (800, 400))
    small = channels == 1 and side <= 32
    is_few = bool(np.median(counts) < FEW)
    learning_steps = _round_steps((700 if small else 900) * max(1.0, growth), 700, 6000)
    return {
        "plan.ratio": round(min(10.0, max(1.0, GENERATED_LIMIT / images)), 1),
        "plan.balance": "equalise" if counts.max() >= UNEVEN_RATIO * counts.min() else "keep",
        "scorer.folds": int(min(3, max(2, counts.min()))),
        "scorer.steps": _round_steps(0.75 * search_steps, 200, 3000),
        **(_suggest_pixels(small, side) if side <= IN_PIXELS or min(shape[:2]) < STRIP else LATENTS),
        "generator.steps": learning_steps,
        "generator.augment": 0.5 if is_few else 0.0,
        "generator.augmentation": "auto" if is_few else "moves",
        "sampler.steps": 3 if small else 6,
        "classifier.steps": classifier_steps,
        "classifier.race": RACE,
        "classifier.network.stride": find_stride(min(shape[:2])),
        "classifier.grid.weight_decay": [0.1],  # the search has chosen what matters more
        "tuning.policy": True,
        "tuning.steps": search_steps,
        "tuning.most_steps": LONGEST if 2 * classifier_steps <= LONGEST else None,
        **{f"{arm}.augmentation": "auto" for arm in ("scorer", *AUTO_ARMS)},
        "verdict.curve_seeds": 1,  # one or two per cent of the chain: the search takes longer
        "report.examples_per_class": 8 if len(counts) <= 20 else 4 if len(counts) <= 100 else 2,
    }


def suggest_unlabelled(counts: np.ndarray, shape: Sequence[int], unlabelled: str, images: int) -> dict[str, Any]:
    """The same for the template of images without labels: `images` of the source `unlabelled`, and labelled ones."""
    settings = suggest_settings(np.array([counts.sum() + images]), shape)
    kept = {key: value for key, value in settings.items() if key in ALIKE or key.startswith("generator.")}
    return {
        **kept,
        "generator.augmentation": "moves",  # that of the search suits the few labelled images
        "tuning.policy": True,
        "baselines.mixup.augmentation": "auto",  # mirrored letters are other letters
        "data.images_per_class": None,
        "data.unlabelled": unlabelled,
    }


def _suggest_pixels(small: bool, side: int) -> dict[str, Any]:
    """The network of a flow among images of at most IN_PIXELS a side."""
    return {
        "generator.widths": [32, 64] if small else [64, 128],
        "generator.unshuffle": 1 if side <= 16 else 2,
        # On 105 icons batches of 128 took twice as long, copied more and came no nearer to real images.
        "generator.batch_size": 128 if small else 64,
    }


def adapt_recipe(template: str, changes: Mapping[str, Any], header: str) -> str:
    """The recipe text `template` with new values at dotted keys, and `header` as its opening comment.

    KeyError for a key that is not in the template.
    """
    text = edit_recipe(_drop_header(template), changes)
    return "".join(f"# {line}".rstrip() + "\n" for line in header.splitlines()) + "\n" + text


def _drop_header(text: str) -> str:
    """The text without the comments and blank lines before the first key."""
    lines = text.splitlines(keepends=True)
    start = next(i for i, line in enumerate(lines) if line.strip() and not line.startswith("#"))
    return "".join(lines[start:])


def _round_steps(steps: float, low: int, high: int) -> int:
    return int(min(high, max(low, 50 * round(steps / 50))))
