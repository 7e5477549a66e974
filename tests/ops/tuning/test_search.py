"""The search against a known truth: answers are drawn from probabilities that choices have by construction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from ops.tuning.factors import Choice, Factor, Level
from ops.tuning.search import Answers, Found, Trial, challenge, confirm, count_steps, lengthen, search

FACTORS = [
    Factor("flip", (Level("off", {}), Level("on", {}))),
    *(
        Factor(name, (Level("none", {}), Level("some", {}), Level("much", {})))
        for name in ("geometry", "colour", "blur")
    ),
]
LATE = Factor("randaugment", (Level("off", {}), Level("weak", {}), Level("strong", {})), late=True)
MILD = Choice(tuple((factor.name, 0) for factor in FACTORS))
IMAGES, FOLDS = 3000, 3


class Truth:
    """Networks whose accuracy is `rate(levels, steps)`; counts the trainings that it was asked for."""

    def __init__(self, rate: Callable[[Mapping[str, int], int], float]) -> None:
        self.rate, self.trained = rate, set[Trial]()

    def ask(self, trials: Sequence[Trial]) -> dict[Trial, Answers]:
        self.trained |= set(trials)
        return {trial: self.answer(trial) for trial in trials}

    def answer(self, trial: Trial) -> Answers:
        images = np.arange(trial.fold, IMAGES, FOLDS)
        luck = np.random.default_rng([1, trial.fold]).random(len(images))  # an image is as hard for all networks
        rate = self.rate(dict(trial.choice.levels), trial.steps)
        return Answers(luck < rate, np.full(len(images), 1 / IMAGES))

    def search(self, most_steps: int = 100) -> Found:
        return search(self.ask, FACTORS, folds=FOLDS, steps=100, first_length=100, most_steps=most_steps)


def test_the_best_levels_are_found_and_their_worth_is_told() -> None:
    def rate(levels: Mapping[str, int], steps: int) -> float:
        return 0.6 - 0.06 * levels["flip"] + (0, 0.1, 0.04)[levels["geometry"]] + (0, 0.02, 0.2)[levels["colour"]]

    truth = Truth(rate)
    found = truth.search()
    assert dict(found.choice.levels) == {"flip": 0, "geometry": 1, "colour": 2, "blur": 0}
    assert found.score == pytest.approx(0.9, abs=0.02)
    gains = {gain.factor: gain for gain in found.gains}
    assert gains["flip"].points == pytest.approx(-0.06, abs=0.02)
    assert (gains["colour"].level, gains["colour"].against) == (2, 0)
    assert gains["colour"].points == pytest.approx(0.2, abs=0.02)
    assert 0 < gains["colour"].error < 0.02
    assert len(truth.trained) <= 18 + FOLDS * (1 + len(FACTORS)) + FOLDS


def test_copies_of_images_that_are_one_draw_say_no_more_than_the_images() -> None:
    def rate(levels: Mapping[str, int], steps: int) -> float:
        return 0.7 + 0.008 * levels["flip"] + 0.004 * levels["geometry"] + 0.003 * steps / 100

    def copy(answers: Answers, units: np.ndarray | None) -> Answers:
        return Answers(np.repeat(answers.correct, 9), np.repeat(answers.weights, 9) / 9, units)

    once, copied, alone = (Truth(rate) for _ in range(3))
    plain = once.answer
    copied.answer = lambda trial: copy(plain(trial), np.repeat(np.arange(trial.fold, IMAGES, FOLDS), 9))
    alone.answer = lambda trial: copy(plain(trial), None)
    found, again, other = (truth.search(most_steps=400) for truth in (once, copied, alone))
    assert (again.choice, again.steps) == (found.choice, found.steps)
    for one, two in zip(found.gains, again.gains, strict=True):
        assert (two.points, two.error) == pytest.approx((one.points, one.error), rel=1e-9)
    assert [length.error for length in again.lengths] == pytest.approx([length.error for length in found.lengths])
    assert all(third.error < one.error / 2 for one, third in zip(found.gains, other.gains, strict=True) if one.error)


def test_what_changes_nothing_stays_mild() -> None:
    assert Truth(lambda levels, steps: 0.7).search().choice == MILD


def test_of_changes_that_clash_the_best_is_made_and_what_is_good_beside_it() -> None:
    """Geometry and colour are good alone and bad together; blur is good beside either."""

    def rate(levels: Mapping[str, int], steps: int) -> float:
        geometry, colour, blur = (0.1 * (levels[name] > 0) for name in ("geometry", "colour", "blur"))
        return 0.5 + geometry + 1.5 * colour + 0.8 * blur - 3 * min(geometry, colour)

    truth = Truth(rate)
    rivals = dict.fromkeys(dict(MILD.levels), 1)
    choice, gains, clash = confirm(truth.ask, FACTORS, MILD, rivals, folds=FOLDS, steps=100)
    assert choice == MILD.replace("colour", 1).replace("blur", 1)
    assert clash == pytest.approx(0.12, abs=0.02)
    assert {gain.factor for gain in gains if gain.points > gain.error} == {"geometry", "colour", "blur"}


def test_a_proposal_is_left_step_by_step_where_all_steps_together_are_too_many() -> None:
    """Any one factor may become mild, but not two: the best step is made, and none beside it."""

    def rate(levels: Mapping[str, int], steps: int) -> float:
        mild = [not levels[name] for name in ("geometry", "colour", "blur")]
        return 0.7 + 0.02 * mild[0] + 0.01 * mild[1] - 0.2 * (sum(mild) > 1)

    truth = Truth(rate)
    proposed = MILD.replace("geometry", 1).replace("colour", 1).replace("blur", 1)
    choice, _, clash = confirm(
        truth.ask, FACTORS, proposed, dict.fromkeys(dict(MILD.levels), 1), folds=FOLDS, steps=100
    )
    assert choice == proposed.replace("geometry", 0) and clash is not None


@pytest.mark.parametrize(("plateau", "most", "chosen"), [(100, 6400, 100), (400, 6400, 400), (6400, 1600, 1600)])
def test_length_grows_until_it_is_worth_nothing_or_too_long(plateau: int, most: int, chosen: int) -> None:
    truth = Truth(lambda levels, steps: 0.5 + 0.1 * np.log2(min(steps, plateau) / 100))
    assert truth.search(most).steps == chosen
    assert all(trial.mixup for trial in truth.trained if trial.steps > 100)
    tried = [length.steps for length in lengthen(truth.ask, MILD, folds=FOLDS, steps=100, most_steps=most)]
    assert tried == [100 * 2**power for power in range(len(tried))]
    assert max(tried) == min(2 * plateau, most)


def test_one_large_fold_needs_no_block() -> None:
    truth = Truth(lambda levels, steps: 0.6 + 0.1 * (levels["blur"] == 2))
    found = search(truth.ask, FACTORS, folds=1, steps=100, first_length=100, most_steps=100)
    assert dict(found.choice.levels)["blur"] == 2
    assert {trial.fold for trial in truth.trained} == {0}


@pytest.mark.parametrize(("gains", "chosen"), [((0, 0.02, 0.1), 2), ((0, -0.1, -0.2), 0), ((0, 0, 0), 0)])
def test_a_late_factor_has_to_beat_what_was_chosen(gains: tuple[float, ...], chosen: int) -> None:
    truth = Truth(lambda levels, steps: 0.6 + 0.1 * (levels["geometry"] == 1) + gains[levels["randaugment"]])
    found = search(truth.ask, [*FACTORS, LATE], folds=FOLDS, steps=100, first_length=100, most_steps=100)
    assert dict(found.choice.levels) == {"flip": 0, "geometry": 1, "colour": 0, "blur": 0, "randaugment": chosen}
    assert found.gains[-1].factor == "randaugment" and found.gains[-1].against == 0
    if any(gains):
        assert found.gains[-1].points == pytest.approx(max(gains[1:]), abs=0.03)
    screened = [trial for trial in truth.trained if dict(trial.choice.levels)["randaugment"] == 0]
    assert len(screened) <= 18 + FOLDS * (2 + len(FACTORS))


@pytest.mark.parametrize(("worth", "folds"), [(-0.3, 1), (-0.01, 1), (0.3, 1), (0.002, FOLDS)])
def test_what_the_first_fold_decides_is_not_asked_of_the_others(worth: float, folds: int) -> None:
    truth = Truth(lambda levels, steps: 0.6 + worth * (levels["randaugment"] == 1) - 0.4 * (levels["randaugment"] == 2))
    _, gain = challenge(truth.ask, LATE, Choice((("randaugment", 0),)), folds=FOLDS, steps=100)
    assert {trial.fold for trial in truth.trained} == set(range(folds))
    assert gain.points == pytest.approx(worth, abs=0.03)


@pytest.mark.parametrize("folds", [1, 3])
def test_the_expected_steps_are_about_those_that_are_taken(folds: int) -> None:
    """Levels that change a little: some comparisons are decided on the first fold, others are not."""

    def rate(levels: Mapping[str, int], steps: int) -> float:
        return 0.5 + 0.05 * np.log2(steps / 100) - 0.02 * levels["flip"] + 0.002 * levels["geometry"]

    truth, factors = Truth(rate), [*FACTORS, LATE]
    search(truth.ask, factors, folds=folds, steps=100, first_length=100, most_steps=400)
    counted = count_steps(factors, folds=folds, steps=100, first_length=100, most_steps=400)
    assert counted == pytest.approx(sum(trial.steps for trial in truth.trained), rel=0.15)


def test_dearer_levels_count_as_more_steps() -> None:
    dear = [*FACTORS, Factor("network", (Level("usual", {}), Level("wide", {}, cost=2.0)))]
    plain = [*FACTORS, Factor("network", (Level("usual", {}), Level("wide", {})))]
    given = {"folds": 3, "steps": 10, "first_length": 10, "most_steps": 10}
    assert count_steps(dear, **given) - count_steps(plain, **given) == 10 * (12 + 1 + 0.5 * 2)  # runs, folds


class Noisy(Truth):
    """Networks of other levels are lucky with other images, so that small differences are within an error."""

    def answer(self, trial: Trial) -> Answers:
        levels = dict(trial.choice.levels)
        luck = np.random.default_rng([trial.fold, *levels.values()]).random(IMAGES // FOLDS)
        return Answers(luck < self.rate(levels, trial.steps), np.full(len(luck), 1 / IMAGES))


@pytest.mark.parametrize(("worth", "cost", "level"), [(0.005, 1.0, 1), (0.005, 1.5, 0), (0.06, 1.5, 1)])
def test_a_dearer_level_has_to_be_better_by_more_than_chance(worth: float, cost: float, level: int) -> None:
    """The error is 1.3 points; half a point is found as about one point in these draws."""
    network = Factor("network", (Level("usual", {}), Level("other", {}, cost=cost)))
    truth = Noisy(lambda levels, steps: 0.6 + worth * levels["network"])
    proposed = Choice((("network", 1),))
    choice, (gain,), _ = confirm(truth.ask, [network], proposed, {"network": 0}, folds=FOLDS, steps=100)
    assert choice == proposed.replace("network", level), gain


def test_of_changes_that_clash_the_one_that_saves_time_is_made_first() -> None:
    """The wide network is worth nothing, and beside the milder geometry it seems to be needed."""
    factors = [*FACTORS, Factor("network", (Level("usual", {}), Level("wide", {}, cost=1.7)))]
    mild = Choice((*MILD.levels, ("network", 0)))

    def rate(levels: Mapping[str, int], steps: int) -> float:
        return 0.7 + 0.05 * (not levels["geometry"]) - 0.2 * (not levels["geometry"] and not levels["network"])

    proposed = mild.replace("geometry", 1).replace("network", 1)
    choice, _, clash = confirm(
        Truth(rate).ask, factors, proposed, dict.fromkeys(dict(mild.levels), 1), folds=FOLDS, steps=100
    )
    assert choice == proposed.replace("network", 0) and clash == pytest.approx(0.2, abs=0.02)
