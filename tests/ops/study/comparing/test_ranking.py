"""Recipes compared: limits in closed form, false alarms among many, weak baselines, verdicts without a generator."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from ops.recipe.design import Metric
from ops.study.comparing.pooling import Entrant
from ops.study.comparing.ranking import Ranking, Standing, rank_recipes
from ops.study.comparing.telling import tell_ranking
from ops.verdict.contrasts import contrast_arms
from ops.verdict.estimate import BoolArray
from ops.verdict.picks import set_up_comparison
from tests.compared import SEEDS, answer, enter

IMAGES = 1000
LABELS = np.arange(IMAGES) % 4
CLASSES = ["a", "b", "c", "d"]


def rank(*entrants: Entrant, metric: Metric = "accuracy") -> Ranking:
    return rank_recipes(entrants, LABELS, CLASSES, metric=metric)


def rank_at(entrants: list[Entrant], labels: np.ndarray, confidence: float) -> Ranking:
    return rank_recipes(entrants, labels, CLASSES, metric="accuracy", confidence=confidence)


def find(ranking: Ranking, recipe: str) -> Standing:
    return next(row for row in ranking.standings if row.recipe == recipe)


def solve(plus: BoolArray, minus: BoolArray, tail: float) -> tuple[float, float, float]:
    """The difference and its limits, by loops: Student's t with Satterthwaite's degrees of freedom."""
    gaps, n = plus.mean(0) - minus.mean(0), plus.shape[1]
    image = gaps.var(ddof=1) / n
    seen = [side.mean(1).var(ddof=1) / SEEDS for side in (plus, minus)]
    noise = [side.var(axis=0, ddof=1).sum() / n**2 / SEEDS for side in (plus, minus)]
    variance = image + max(0.0, sum(seen) - sum(noise))
    df = variance**2 / (image**2 / (n - 1) + sum(part**2 for part in seen) / (SEEDS - 1))
    reach = stats.t.isf(tail, max(df, SEEDS - 1)) * variance**0.5
    return gaps.mean(), gaps.mean() - reach, gaps.mean() + reach


@pytest.mark.parametrize("count", [1, 2, 5])
def test_limits_have_their_share_of_the_tail_area_by_the_closed_form(count: int) -> None:
    real = answer(0.7, 0)
    grown = [answer(0.74 + 0.01 * place, place + 1) for place in range(count)]
    ranking = rank(*(enter(f"r{place}", {"real": real}, {"grown": each}) for place, each in enumerate(grown)))
    assert ranking.compared == count
    for place, each in enumerate(grown[:-1]):  # none was picked from rivals but the leader, whose limit is farther off
        row = find(ranking, f"r{place}")
        for gap in (row.gain, row.over_best):
            assert gap is not None
            assert (gap.estimate, gap.low, gap.high) == pytest.approx(solve(each, real, 0.025 / count))
    last = find(ranking, f"r{count - 1}")
    assert last.recipe == ranking.leader and last.behind is None
    assert last.gain is not None
    assert (last.gain.estimate, last.gain.low, last.gain.high) == pytest.approx(solve(grown[-1], real, 0.025 / count))


def test_alone_a_recipe_has_its_own_verdict() -> None:
    entrant = enter(
        "one", {"real": answer(0.7, 0), "mixup": answer(0.72, 1)}, {"grown": answer(0.75, 2), "b": answer(0.75, 3)}
    )
    row = find(rank(entrant), "one")
    setup = set_up_comparison(entrant.correct, entrant.kinds, entrant.validation, LABELS, metric="accuracy")
    own = contrast_arms(setup, "accuracy", tail=0.025)[0]
    assert row.gain == row.over_best == own.difference
    assert (row.challenger, row.baseline) == (own.arm, own.against)


def test_the_lead_over_another_recipe_allows_for_the_luck_of_the_one_that_was_picked() -> None:
    rng, shift = np.random.default_rng(0), np.linspace(-0.04, 0.04, SEEDS)[:, None]
    arms = [rng.random((SEEDS, IMAGES)) < 0.75 + shift for _ in range(2)]
    best = int(arms[1].mean() > arms[0].mean())
    ranking = rank(*(enter(f"r{place}", {"real": answer(0.7, 0)}, {"grown": each}) for place, each in enumerate(arms)))
    assert ranking.leader == f"r{best}"
    behind = find(ranking, f"r{1 - best}").behind
    assert behind is not None
    plain = solve(arms[best], arms[1 - best], 0.0125)
    assert behind.estimate == pytest.approx(plain[0])
    assert behind.low < plain[1] and behind.high == pytest.approx(
        plain[2]
    )  # alone in its recipe, the other had no luck


def test_a_recipe_gains_nothing_by_weak_baselines() -> None:
    weak = enter("weak", {"real": answer(0.6, 0)}, {"grown": answer(0.75, 1)})
    fair = enter("fair", {"real": answer(0.6, 0), "mixup": answer(0.8, 2)}, {"drawn": answer(0.7, 3)})
    ranking = rank(weak, fair)
    row = find(ranking, "weak")
    assert row.among == "helps" and row.gain is not None and row.gain.low > 0.1
    assert row.over_best is not None and row.over_best.high < 0
    assert (ranking.best, ranking.best_of, ranking.leader, ranking.decision) == ("mixup", "fair", "weak", "hurts")
    assert row.classes[0].baseline == pytest.approx(answer(0.8, 2)[:, LABELS == 0].mean())


def test_a_recipe_that_helps_is_found_and_leads() -> None:
    real, mixup = answer(0.6, 0), answer(0.7, 1)
    arms = {"good": answer(0.85, 2), "poor": answer(0.65, 3), "idle": answer(0.7, 4)}
    ranking = rank(*(enter(name, {"real": real, "mixup": mixup}, {"grown": each}) for name, each in arms.items()))
    assert [row.recipe for row in ranking.standings] == ["good", "idle", "poor"]
    assert (ranking.leader, ranking.decision) == ("good", "helps")
    assert [row.among for row in ranking.standings] == ["helps", "no evidence", "hurts"]
    assert all(row.clear for row in find(ranking, "good").classes)
    assert not any(row.clear for row in find(ranking, "idle").classes)
    assert all(row.behind is not None and row.behind.low > 0.1 for row in ranking.standings[1:])


def test_too_few_seeds_or_classifiers_that_have_not_learnt_decide_nothing() -> None:
    few = enter("few", {"real": answer(0.6, 0)[:4]}, {"grown": answer(0.8, 1)[:4]})
    assert rank(few).decision == find(rank(few), "few").among == "no evidence"
    enough = enter("enough", {"real": answer(0.6, 0)}, {"grown": answer(0.9, 2)})
    beside = rank(enough, few)
    assert (beside.decision, find(beside, "enough").among, beside.too_few) == ("no evidence", "helps", {"few": 4})
    said = "Nothing is decided, because few trains an arm 4 times: 5 times are needed in each recipe."
    assert said in tell_ranking(beside, IMAGES)
    assert rank(enough).decision == "helps" and "Nothing is decided" not in tell_ranking(rank(enough), IMAGES)
    unlearnt = replace(enter("one", {"real": answer(0.6, 0)}, {"grown": answer(0.8, 1)}), has_learnt=False)
    assert rank(unlearnt).decision == find(rank(unlearnt), "one").among == "no evidence"


def test_among_many_useless_recipes_one_is_seldom_said_to_help() -> None:
    rng, labels = np.random.default_rng(4), np.arange(200) % 4
    single = together = 0
    for _ in range(12):
        draws = [rng.random((2, SEEDS, 200)) < 0.7 for _ in range(8)]
        entrants = [enter(f"r{n}", {"real": pair[0]}, {"grown": pair[1]}) for n, pair in enumerate(draws)]
        alone = [row.among for each in entrants for row in rank_at([each], labels, 0.6).standings]
        among = [row.among for row in rank_at(entrants, labels, 0.6).standings]
        single += "helps" in alone
        together += "helps" in among
    assert single >= 8 and together <= 4  # a fifth of all verdicts at this confidence, and a fifth of all comparisons


def test_a_generator_that_was_not_used_has_no_gain_but_its_baselines_count() -> None:
    used = enter("used", {"real": answer(0.6, 0)}, {"grown": answer(0.7, 1)})
    unused = enter("unused", {"mixup": answer(0.8, 2)}, {})
    ranking = rank(unused, used)
    assert (ranking.compared, ranking.leader, ranking.best) == (1, "used", "mixup")
    assert [row.recipe for row in ranking.standings] == ["used", "unused"]
    row = find(ranking, "unused")
    assert (row.challenger, row.gain, row.over_best, row.behind, list(row.classes)) == (None, None, None, None, [])
    nothing = rank(unused)
    assert (nothing.compared, nothing.leader, nothing.decision) == (0, None, "no evidence")


def test_a_second_look_has_the_limits_of_both_looks() -> None:
    entrant = enter("one", {"real": answer(0.7, 0)}, {"grown": answer(0.75, 1)})
    first, second = (find(rank(replace(entrant, look=look, looks=2)), "one").gain for look in (1, 2))
    plain = find(rank(entrant), "one").gain
    assert first is not None and second is not None and plain is not None
    assert first.low < second.low < plain.low


def test_images_of_a_group_are_one_draw_for_every_recipe() -> None:
    arms = [np.tile(answer(rate, seed)[:1], (SEEDS, 1)) for seed, rate in enumerate((0.7, 0.75))]  # seeds agree
    entrant = enter("one", {"real": arms[0]}, {"grown": arms[1]})
    copies = replace(entrant, correct={arm: np.repeat(each, 2, axis=1) for arm, each in entrant.correct.items()})
    twice, units = np.repeat(LABELS, 2), np.repeat(np.arange(IMAGES), 2)
    alone, blind, known = (
        rank_recipes([each], labels, CLASSES, metric="accuracy", units=found).standings[0].gain
        for each, labels, found in ((entrant, LABELS, None), (copies, twice, None), (copies, twice, units))
    )
    assert alone is not None and blind is not None and known is not None
    assert known.standard_error == pytest.approx(alone.standard_error, rel=0.02)
    assert blind.standard_error < 0.8 * alone.standard_error


def test_the_worst_class_and_folds_are_compared_by_their_own_rules() -> None:
    arms = {"real": answer(0.6, 0), "grown": answer(0.8, 1)}
    rates = {arm: [0.9, 0.8, 0.7, 0.75] for arm in arms}
    entrant = replace(enter("one", {"real": arms["real"]}, {"grown": arms["grown"]}), validation_per_class=rates)
    worst = find(rank(entrant, metric="worst_class"), "one")
    rate = {arm: min(each[:, c == LABELS].mean() for c in range(4)) for arm, each in arms.items()}
    assert worst.gain is not None and worst.gain.estimate == pytest.approx(rate["grown"] - rate["real"])
    folds = np.arange(IMAGES) // 200
    once = replace(entrant, correct={arm: each[:1] for arm, each in arms.items()})
    found = rank_recipes([once], LABELS, CLASSES, metric="accuracy", folds=folds)
    assert found.decision == "helps", "one seed in each of five folds may decide"
