"""What imagination adds to the seconds of a drawn image: passes through the prior's decoder and through the scorer.

The seconds of a variant and of an answer of the scorer, and the decoder's share, come from elsewhere (`speeds`), where
they are guessed or timed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from ops.recipe.imagination import ImaginationSettings

BACKWARD = 3  # a gradient costs a forward pass and about two more
TRIALS = 2  # of the four strengths of `auto`, until one refuses no class
ASCENT_STEPS = 1  # of every preset
SHARE_GROUPS = 4  # groups of imagined images that one more worker process is worth; to start it takes seconds
JUDGED = 200  # training images of a class of which the gate judges variants
SLOWLY_SHOWN = 3  # classes on the sheet of a generator that draws slowly


def estimate_variant(
    settings: ImaginationSettings, image: float, decoding: float, score: float, rows: int = 10
) -> float:
    """Seconds of an imagined variant on one core.

    image : of the prior's own. decoding : the share of that which is decoding, 0..1. score : of an answer of one of the
    scorer's networks. rows : variants in one call of prior and scorer, at most.
    """
    if settings.mode != "guided":
        return settings.drawn_for_each * (image + score)
    through = decoding * image + score
    # A group of several calls is looked at once more, unless diversity has no weight.
    looks = 1 if settings.group_size > rows and settings.diversity != 0 else 0
    climbing = (BACKWARD + looks) * (settings.steps or ASCENT_STEPS) * through
    # The release takes its score outside of the ball, so what was drawn is scored besides.
    return image + score + climbing + through * (settings.preset == "release")


def count_made(sizes: Iterable[tuple[int, int]], group: int) -> int:
    """Variants that are made for classes of (seed images, draws of all of them): the blocks of a seed image are whole.

    >>> count_made([(10, 13)], 5), count_made([(10, 60)], 5)
    (50, 100)
    """
    made = 0
    for seeds, draws in sizes:
        each, more = divmod(draws, max(1, seeds))
        made += more * math.ceil((each + 1) / group) + (seeds - more) * math.ceil(each / group)
    return made * group


def count_judged(sizes: Iterable[int], group: int, *, chosen: bool = False, most: int = JUDGED) -> int:
    """Variants that are made for the gate: a block of each judged image, and as many for each strength that is tried.

    chosen : whether the strength is still to be chosen; TRIALS of them are supposed. most : judged images of a class.
    """
    return (1 + TRIALS * chosen) * sum(min(most, seeds) * group for seeds in sizes)
