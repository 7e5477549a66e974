"""Overdraw and keep: the greedy order against a search over all sets, nested sets, and flagged draws."""

from __future__ import annotations

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ops.imagination.blocks import Blocks
from ops.imagination.criteria import Criteria, find_target, rate
from ops.imagination.imagining import Imagination
from ops.imagination.overdraw import choose_each
from ops.imagination.presets import CORRECTED, nest
from ops.imagination.protocols import Answer
from tests.imagining import RestlessPrior, SmoothScorer, make_seeds

SEED = Answer(torch.eye(4)[:1], torch.tensor([[0.6, 0.3, 0.1]]).log())


def make_answer(seed: int, draws: int) -> Answer:
    rng = torch.Generator().manual_seed(seed)
    return Answer(
        F.normalize(torch.randn(draws, 4, generator=rng), dim=1),
        torch.log_softmax(2 * torch.randn(draws, 3, generator=rng), dim=1),
    )


def test_of_equal_draws_the_first_are_kept() -> None:
    answer = Answer(SEED.features.expand(6, -1), SEED.log_probabilities.expand(6, -1))
    assert choose_each(answer, SEED, 0, Criteria(), 2).tolist() == [0, 2, 4]


@pytest.mark.parametrize("seed", range(5))
def test_greedy_choice_comes_near_to_the_best_of_all_sets(seed: int) -> None:
    answer, criteria = make_answer(seed, 16), Criteria(diversity=2.0, form="cosine")

    def worth(rows: list[int]) -> float:
        return rate(answer.take(torch.tensor(rows)), SEED, 0, criteria).total.sum().item()

    every = [worth(list(rows)) for rows in product(*(range(first, first + 4) for first in range(0, 16, 4)))]
    found = worth(choose_each(answer, SEED, 0, criteria, 4).tolist())
    assert found <= max(every) + 1e-5
    assert sum(value > found + 1e-5 for value in every) < len(every) / 10


def test_each_is_the_best_of_its_own_draws_and_differs_from_those_before() -> None:
    answer = make_answer(1, 20)
    alone = Criteria(diversity=0.0, consistency=2.0)
    best = rate(answer, SEED, 1, alone).total.view(5, 4).argmax(1) + 4 * torch.arange(5)
    assert torch.equal(choose_each(answer, SEED, 1, alone, 4), best)
    twins = Answer(torch.eye(4)[[0, 1, 0, 2]], torch.full((4, 3), 1 / 3).log())
    assert choose_each(twins, SEED, 0, Criteria(diversity=5.0, form="cosine"), 2).tolist() == [0, 3]
    # Fewer are the first of more.
    few = choose_each(answer.take(slice(8)), SEED, 1, Criteria(form="cosine"), 4)
    assert torch.equal(choose_each(answer, SEED, 1, Criteria(form="cosine"), 4)[:2], few)
    with pytest.raises(ValueError, match="parts of 3"):
        choose_each(answer, SEED, 1, alone, 3)


def test_a_flagged_draw_is_kept_only_where_all_of_its_part_are_flagged() -> None:
    answer, alone = make_answer(1, 12), Criteria(diversity=0.0, consistency=2.0)
    totals = rate(answer, SEED, 1, alone).total.view(3, 4)
    order = totals.argsort(1, descending=True)
    flagged = torch.zeros(3, 4, dtype=torch.bool)
    flagged[0, order[0, 0]], flagged[1, order[1, :3]], flagged[2] = True, True, True
    found = choose_each(answer, SEED, 1, alone, 4, flagged.flatten())
    assert (found - 4 * torch.arange(3)).tolist() == [order[0, 1], order[1, 3], order[2, 0]]


def test_a_block_leaves_out_what_the_prior_flags() -> None:
    class Strict(RestlessPrior):
        is_checked = True

        def finish(self, latents: Tensor) -> tuple[Tensor, Tensor]:
            """Flags about half of all images."""
            images = self.decode(latents)
            return images, (1e4 * images.sum((1, 2, 3))).long() % 2 == 0

    images, units = make_seeds(4)
    blocks = Blocks(Imagination(Strict(), SmoothScorer(), nest(CORRECTED, 12), "prior"), size=3, draws=4)
    for image, unit in zip(images, units, strict=True):
        every = blocks.imagination.imagine_group(image, unit, range(12)).flagged.view(3, 4)
        found = blocks.make(image, unit, 0)
        assert 0 < int(every.sum()) < 12
        assert found.variants.flagged.tolist() == every.all(1).tolist()


def test_the_best_of_random_variants_score_higher_than_all_that_were_drawn() -> None:
    images, units = make_seeds(4)
    scorer = SmoothScorer()
    drawn = Imagination(RestlessPrior(), scorer, CORRECTED, "random").imagine(images, units, 20)
    for found, image, unit in zip(drawn, images, units, strict=True):
        seed = scorer.answer(image[None], [unit.key])
        assert found.target == find_target(seed, unit.label, CORRECTED.criteria)
        rows = choose_each(found.answer, seed, found.target, CORRECTED.criteria, 4)
        best = found.take(rows)
        assert len(best) == 5 and torch.equal(best.start.z, found.start.z[rows])
        assert best.after.total.mean() > found.after.total.mean()
