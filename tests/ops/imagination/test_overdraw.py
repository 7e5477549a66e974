"""Overdraw and keep: planted best draws, the greedy order against a search over all sets, and nested sets."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ops.imagination.blocks import Blocks
from ops.imagination.criteria import Criteria, find_target, rate
from ops.imagination.imagining import Imagination, imagine
from ops.imagination.overdraw import choose, choose_each, keep_best
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


def test_without_diversity_the_draws_with_the_greatest_scores_are_kept_in_their_order() -> None:
    answer, criteria = make_answer(0, 30), Criteria(diversity=0.0, consistency=2.0)
    best = rate(answer, SEED, 1, criteria).total.argsort(descending=True)[:7]
    assert torch.equal(choose(answer, SEED, 1, criteria, 7), best)


def test_of_equal_draws_the_first_are_kept() -> None:
    answer = Answer(SEED.features.expand(5, -1), SEED.log_probabilities.expand(5, -1))
    assert choose(answer, SEED, 0, Criteria(), 3).tolist() == [0, 1, 2]


def test_diversity_takes_a_draw_that_differs_before_a_better_twin() -> None:
    logs = torch.tensor([[0.8, 0.1, 0.1], [0.79, 0.11, 0.1], [0.6, 0.3, 0.1]]).log()
    answer = Answer(torch.eye(4)[[0, 0, 1]], logs)
    alone = Criteria(entropy=0.0, diversity=0.0)
    assert choose(answer, SEED, 0, alone, 2).tolist() == [0, 1]
    assert choose(answer, SEED, 0, Criteria(entropy=0.0, diversity=5.0, form="cosine"), 2).tolist() == [0, 2]


@pytest.mark.parametrize("seed", range(5))
def test_greedy_choice_comes_near_to_the_best_of_all_sets(seed: int) -> None:
    answer, criteria = make_answer(seed, 9), Criteria(diversity=2.0, form="cosine")

    def worth(rows: list[int]) -> float:
        return rate(answer.take(torch.tensor(rows)), SEED, 0, criteria).total.sum().item()

    every = [worth(list(rows)) for rows in combinations(range(9), 4)]
    found = worth(choose(answer, SEED, 0, criteria, 4).tolist())
    assert found <= max(every) + 1e-5
    assert sum(value > found + 1e-5 for value in every) < len(every) / 10


def test_fewer_kept_ones_are_the_first_of_more() -> None:
    answer, criteria = make_answer(3, 20), Criteria(diversity=3.0, form="cosine")
    assert torch.equal(choose(answer, SEED, 0, criteria, 10)[:4], choose(answer, SEED, 0, criteria, 4))


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


def test_the_best_of_random_variants_score_higher_than_those_that_were_drawn_first() -> None:
    images, units = make_seeds(4)
    scorer = SmoothScorer()
    drawn = imagine(RestlessPrior(), scorer, images, units, 20, CORRECTED, "random", seed=0)
    for found, image, unit in zip(drawn, images, units, strict=True):
        seed = scorer.answer(image[None], [unit.key])
        assert found.target == find_target(seed, unit.label, CORRECTED.criteria)
        best = keep_best(found, seed, CORRECTED.criteria, 5)
        assert len(best) == 5
        assert best.after.total.mean() > found.after.total[:5].mean()
        rows = choose(found.answer, seed, found.target, CORRECTED.criteria, 5)
        assert torch.equal(best.images, found.images[rows])
        assert torch.equal(best.start.z, found.start.z[rows])


@pytest.mark.parametrize("count", [0, 6])
def test_more_than_were_drawn_cannot_be_kept(count: int) -> None:
    with pytest.raises(ValueError, match="of 5 draws cannot be kept"):
        choose(make_answer(0, 5), SEED, 0, Criteria(), count)
