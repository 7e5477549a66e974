"""Which images a generator learns from at a step: a function of (seed, step) and the number of a stream."""

from __future__ import annotations

import numpy as np


def draw_batch(
    by_class: list[np.ndarray], balanced: bool, size: int, seed: int, step: int, stream: int = 0
) -> np.ndarray:
    """Image indices of one step, int64 [size]: classes in equal numbers if `balanced`, else as they occur.

    Batches of several streams are independent of each other. Stream 0 takes the classes in turn; each other one takes
    them in an order that is drawn anew for each turn, so that even batches of one image have unrelated classes.

    Parameters
    ----------
    by_class : the image indices of each class, none empty.
    """
    rng = np.random.default_rng([seed, step, stream] if stream else [seed, step])
    if not balanced:
        return rng.choice(np.concatenate(by_class), size)
    # The remainder moves on with the step, so that no class is left out when the batch is small.
    places = step * size + np.arange(size)
    classes = _take_turns(places, len(by_class), seed, stream) if stream else places % len(by_class)
    return np.array([rng.choice(by_class[c]) for c in rng.permutation(classes)])


def _take_turns(places: np.ndarray, classes: int, seed: int, stream: int) -> np.ndarray:
    """The class at each place of a sequence that has every class once in each turn of `classes` places."""
    turns, inside = np.divmod(places, classes)
    orders = {turn: np.random.default_rng([seed, turn, stream, classes]).permutation(classes) for turn in set(turns)}
    return np.array([orders[turn][place] for turn, place in zip(turns, inside, strict=True)])
