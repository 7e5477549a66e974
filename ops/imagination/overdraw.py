"""Cheap guidance without gradients: draw more variants than are needed and keep the best by the same criteria.

It costs one forward pass of the scorer for each draw, works with priors that cannot be differentiated, and moves
nothing out of the distribution that the prior draws from. With many draws, selection can do more than a short step.

The variants are chosen one after another, each among the same number of draws, so that the score of those chosen so far
becomes as great as possible. This greedy order makes the sets nested: the first 5 of 20 chosen ones are the 5 chosen
ones. None is better for its place, so a set that is made block by block may end within a block.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ops.imagination.criteria import Criteria, measure_diversity, rate
from ops.imagination.protocols import Answer


def choose_each(
    answer: Answer, seed: Answer, target: int, criteria: Criteria, draws: int, flagged: Tensor | None = None
) -> Tensor:
    """The rows to keep, one of each `draws` consecutive ones, int64 [n / draws], in order.

    Each is the draw of its part with which the sum of scores over those kept so far is greatest, diversity being that
    within this set. Of equals the first is taken. So every one is the best of as many draws, and none is better for its
    place. ValueError if n is not a multiple.

    answer : the scorer's, on n draws of one seed image. seed : on the seed image, one row. target : the class to keep.
    flagged : bool [n], draws that a safety checker flags: one is kept only where its whole part is flagged; None: none.
    """
    count, rest = divmod(len(answer.features), draws)
    if rest or not count:
        raise ValueError(f"{len(answer.features)} draws cannot be divided into parts of {draws}")
    scores = rate(answer, seed, target, criteria)
    alone = (scores.total - criteria.diversity * scores.diversity).tolist()  # what a draw is worth without others
    chosen: list[int] = []
    for first in range(0, count * draws, draws):
        part = range(first, first + draws)
        usable = [k for k in part if flagged is None or not flagged[k]] or part
        chosen.append(max(usable, key=lambda k: _add_up(answer.features, alone, [*chosen, k], criteria)))
    return torch.tensor(chosen)


def _add_up(features: Tensor, alone: list[float], rows: list[int], criteria: Criteria) -> float:
    total = sum(alone[k] for k in rows)
    if criteria.diversity:
        spread = measure_diversity(features[rows], criteria.form, criteria.temperature)
        total += criteria.diversity * float(spread.sum())
    return total
