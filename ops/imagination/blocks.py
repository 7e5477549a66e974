"""Variants in blocks: a few consecutive ones of a seed image that are made together, whatever is asked for besides.

A set that is drawn by many workers, killed and resumed, and enlarged later needs variants that depend on nothing but
their seed image and their number. Diversity compares variants with each other, and choosing the best of many does too.
So both happen within a block: variants b·n .. (b + 1)·n - 1, all of which are made even if one is wanted. The 5
variants of K = 5 are then the first 5 of K = 20, in every mode. Later blocks do not keep away from earlier ones, which
would have to be made again for that.

With `draws` above 1 a block is chosen from that many times as many draws (`ops.imagination.overdraw`): variant k from
the draws k·draws .. (k + 1)·draws - 1, so that each is the best of equally many, also where a block is not used up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ops.generators.units import Unit
from ops.imagination.criteria import Scores
from ops.imagination.guide import Guide
from ops.imagination.imagined import Imagined
from ops.imagination.imagining import Imagination
from ops.imagination.overdraw import choose_each
from ops.imagination.protocols import Answer


@dataclass(frozen=True, eq=False)
class Block:
    """The n variants of a block, and the number of the draw that each one is, int64 [n].

    Of chosen variants the scores `before` are the mean over the draws that each was chosen from, `after` are its own.
    """

    variants: Imagined
    numbers: Tensor


@dataclass(frozen=True, eq=False)
class Blocks:
    """Makes blocks of `size` variants from `draws` times as many draws; the preset's own groups are not used."""

    imagination: Imagination
    size: int
    draws: int = 1

    def __post_init__(self) -> None:
        if self.size < 1 or self.draws < 1:
            raise ValueError(f"a block needs 1 variant and 1 draw of each or more, not {self.size} and {self.draws}")

    def make(self, image: Tensor, unit: Unit, number: int) -> Block:
        """Block `number`, from 0, of a seed image [C, H, W] in 0..1; `NotFinite` as `Imagination.imagine`."""
        first, count = number * self.size * self.draws, self.size * self.draws
        drawn = self.imagination.imagine_group(image, unit, range(first, first + count))
        if self.draws == 1:
            return Block(drawn, torch.arange(first, first + count))
        guide = self.imagination.guide(image, unit, ())
        criteria = guide.preset.criteria
        rows = choose_each(drawn.answer, guide.seed, guide.target, criteria, self.draws, drawn.flagged)
        kept, before = drawn.take(rows), _average(guide, drawn.answer, self.draws)
        return Block(replace(kept, before=before, after=guide.rate(kept.answer)), first + rows)


def _average(guide: Guide, answer: Answer, draws: int) -> Scores:
    """What each variant would score on average without a choice: in groups of the i-th draw of each, for every i."""
    groups = [guide.rate(answer.take(slice(i, None, draws))) for i in range(draws)]
    return Scores(*(torch.stack(terms).mean(0) for terms in zip(*groups, strict=True)))
