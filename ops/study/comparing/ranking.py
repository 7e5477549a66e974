"""Recipes on the same images, compared in one metric, with intervals that hold for all of them together.

Whoever looks at k verdicts finds a lucky one more easily than whoever looks at one. So every limit here has the k-th
part of its tail area (Bonferroni), as the differences on single classes in a verdict have for the number of classes:
the chance that any of k useless recipes is said to help is no larger than for one. Compared are

    among        each recipe's own verdict, decided anew by the same rule with these limits
    over_best    its challenger minus the best arm without generated images of *all* recipes, which validation picks:
                 a recipe whose own baselines are weak gains nothing by that
    behind       the recipe whose challenger is best on validation, the leader, minus each of the others

and what each adds on single classes, over that same best arm. Limits allow for the luck of arms that validation picked
(`ops.verdict.contrasts`). The module does not know where answers came from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ops.recipe.design import LEAST_SEEDS, Metric
from ops.study.comparing.pooling import Entrant, Pool, pool_arms
from ops.verdict.classes import compare_classes
from ops.verdict.contrasts import contrast_arms, differ_picked, find_near
from ops.verdict.decision import apply_rule
from ops.verdict.estimate import IntArray, Interval
from ops.verdict.looks import find_tail
from ops.verdict.picks import ComparisonSetup, set_up_comparison
from ops.verdict.records import ClassRow, Outcome


@dataclass(frozen=True)
class Standing:
    """One recipe among the others; every difference is a fraction, with limits for all recipes together.

    challenger, baseline : the arms that validation picks in this recipe. Where its generator was not used, the
        challenger and all differences are None.
    among : the recipe's verdict by the rule of every verdict, with limits for all recipes.
    gain : challenger minus baseline.
    over_best : challenger minus the best baseline of all recipes.
    behind : the leader's challenger minus this one; None for the leader.
    classes : challenger minus the best baseline of all recipes, on each class.
    """

    recipe: str
    challenger: str | None
    baseline: str
    among: Outcome
    gain: Interval | None
    over_best: Interval | None
    behind: Interval | None
    classes: Sequence[ClassRow]


@dataclass(frozen=True)
class Ranking:
    """k recipes with generated images, best first on validation, then those without.

    best: the best arm without generated images of all recipes, and `best_of` a recipe that has it; it may be a name
    with the recipe in it. leader: the recipe whose challenger is best on validation; None where none has one. decision:
    whether that challenger lies above every arm without generated images of *all* recipes (`helps`), or every arm with
    them below the best one (`hurts`). too_few: by recipe the trainings of its arm with the fewest, where these are too
    few for any decision about all recipes.
    """

    compared: int
    confidence: float
    metric: Metric
    best: str
    best_of: str
    leader: str | None
    decision: Outcome
    standings: Sequence[Standing]
    too_few: Mapping[str, int] = field(default_factory=dict)


def rank_recipes(
    entrants: Sequence[Entrant],
    labels: IntArray,
    class_names: Sequence[str],
    *,
    metric: Metric,
    confidence: float = 0.95,
    validation_images: int | None = None,
    folds: IntArray | None = None,
    units: IntArray | None = None,
    train_counts: Sequence[int] = (),
) -> Ranking:
    """Compare finished recipes, at least one, that were judged on the same test images.

    labels: int [n]. confidence: of all intervals together. The other inputs are those of `ops.verdict.decision.decide`.
    """
    pool = pool_arms(
        entrants,
        labels,
        validation_images=validation_images,
        by_class=metric == "worst_class",
        folds=folds,
        units=units,
    )
    compared = len(pool.challengers)
    shared = 1.0 - (1.0 - confidence) / max(1, compared)
    trials = 1 if folds is None else len(set(folds.tolist()))
    case = _Case(
        entrants, pool, labels, class_names, metric, shared, validation_images, folds, units, trials, train_counts
    )
    by_name = {entrant.recipe: entrant for entrant in entrants}
    standings = sorted(
        (case.place(entrant) for entrant in entrants),
        key=lambda row: (
            row.challenger is None,
            -by_name[row.recipe].validation[row.challenger or row.baseline],
        ),
    )
    best = _pick_best(entrants)
    leader = next((row.recipe for row in standings if row.challenger is not None), None)
    return Ranking(
        compared,
        confidence,
        metric,
        pool.names[best.recipe, best.pick("baseline") or ""],
        best.recipe,
        leader,
        case.decide(),
        standings,
        {each.recipe: each.seeds * trials for each in entrants if each.seeds * trials < LEAST_SEEDS},
    )


def _pick_best(entrants: Sequence[Entrant]) -> Entrant:
    """The first recipe with the best arm without generated images on validation."""
    return max(entrants, key=lambda each: each.validation[each.pick("baseline") or ""])


@dataclass(frozen=True, eq=False)
class _Case:
    """The inputs of a ranking; `shared` is the confidence of each recipe's own limits."""

    entrants: Sequence[Entrant]
    pool: Pool
    labels: IntArray
    class_names: Sequence[str]
    metric: Metric
    shared: float
    validation_images: int | None
    folds: IntArray | None
    units: IntArray | None
    trials: int
    train_counts: Sequence[int]

    @property
    def tail(self) -> float:
        """The tail area of limits between recipes: the smallest of their looks."""
        return min(find_tail(each.look, each.looks, self.shared) for each in self.entrants)

    def place(self, entrant: Entrant) -> Standing:
        baseline = entrant.pick("baseline")
        assert baseline is not None, "every recipe trains `real`"
        challenger = entrant.pick("expanded")
        setup = self.pool.setup
        if challenger is None or setup is None:
            return Standing(entrant.recipe, None, baseline, "no evidence", None, None, None, [])
        among, gain = self._judge(entrant)
        name, near = self.pool.challengers[entrant.recipe], self._find_near(setup)
        picks = setup.picks
        is_leader = name == picks.challenger
        return Standing(
            entrant.recipe,
            challenger,
            baseline,
            among,
            gain,
            differ_picked(setup, name, picks.baseline, near, self.metric, tail=self.tail),
            None if is_leader else differ_picked(setup, picks.challenger, name, near, self.metric, tail=self.tail),
            compare_classes(
                setup.comparison, name, picks.baseline, self.labels, self.class_names, tail=self.tail,
                train_counts=self.train_counts,
            ),
        )  # fmt: skip

    def decide(self) -> Outcome:
        """The rule of the verdict over the arms of all recipes."""
        setup = self.pool.setup
        if setup is None:
            return "no evidence"
        contrasts = contrast_arms(setup, self.metric, tail=self.tail)
        trainings = min(entrant.seeds for entrant in self.entrants) * self.trials
        has_learnt = _pick_best(self.entrants).has_learnt
        return apply_rule(contrasts, setup.picks, trainings=trainings, has_learnt=has_learnt)

    def _judge(self, entrant: Entrant) -> tuple[Outcome, Interval]:
        """The recipe's own verdict with these limits, and the difference of the two arms that it compares."""
        setup = set_up_comparison(
            entrant.correct,
            entrant.kinds,
            entrant.validation,
            self.labels,
            metric=self.metric,
            generators=entrant.generators,
            validation_images=self.validation_images,
            validation_per_class=entrant.validation_per_class,
            folds=self.folds,
            units=self.units,
        )
        tail = find_tail(entrant.look, entrant.looks, self.shared)
        contrasts = contrast_arms(setup, self.metric, tail=tail)
        trainings = entrant.seeds * self.trials
        return (
            apply_rule(contrasts, setup.picks, trainings=trainings, has_learnt=entrant.has_learnt),
            contrasts[0].difference,
        )

    def _find_near(self, setup: ComparisonSetup) -> dict[str, list[str]]:
        """By picked arm its rivals: of the best baseline and of the leader those of all recipes, of another recipe's
        challenger those of its own."""
        picks, comparison = setup.picks, setup.comparison
        near = {}
        for entrant in self.entrants:
            if name := self.pool.challengers.get(entrant.recipe):
                own = self.pool.list_names(entrant, "expanded")
                near[name] = find_near(comparison, own, name, self.metric)
        near[picks.baseline] = find_near(comparison, picks.baselines, picks.baseline, self.metric)
        near[picks.challenger] = find_near(comparison, picks.expanded, picks.challenger, self.metric)
        return near
