"""The arms of several recipes as one set, in which each distinct training has one name.

Recipes on the same images train their common arms once, so the same answers occur in several recipes. A training that
is the same wherever a name occurs keeps that name; where recipes mean different trainings by it (other steps, other
generated images), the recipe is added: `expanded of flow`. The module does not know how recipes are judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ops.verdict.comparison import Comparison
from ops.verdict.estimate import BoolArray, IntArray, average_generators
from ops.verdict.picks import ComparisonSetup, Picks, count_generators, find_lowest, pick_best
from ops.verdict.records import Kind


@dataclass(frozen=True, eq=False)
class Entrant:
    """The arms of one finished recipe, as its verdict knows them.

    correct: per trained arm bool [S, n]. kinds, validation: as in `decide`; validation_per_class is needed for the
    metric worst_class only. generators: which one each seed of the expanded arms used; None for one. has_learnt:
    whether its baseline has learnt enough to judge by. look, looks: of its verdict.
    """

    recipe: str
    correct: Mapping[str, BoolArray]
    kinds: Mapping[str, Kind]
    validation: Mapping[str, float]
    validation_per_class: Mapping[str, Sequence[float]] = field(default_factory=dict)
    generators: Sequence[int] | None = None
    has_learnt: bool = True
    look: int = 1
    looks: int = 1

    def list_arms(self, *kinds: Kind) -> list[str]:
        return [arm for arm in self.correct if self.kinds[arm] in kinds]

    def pick(self, kind: Kind) -> str | None:
        """The arm of this kind that validation picks; None where there is none."""
        own = {arm: self.validation[arm] for arm in self.list_arms(kind)}
        return pick_best(own) if own else None

    @property
    def seeds(self) -> int:
        """Trainings of the arm with the fewest."""
        return min(map(len, self.correct.values()))


@dataclass(frozen=True, eq=False)
class Pool:
    """All arms of some recipes, by the names of distinct trainings.

    names: of each (recipe, arm). setup: their comparison; its baseline and its challenger are the best arms on
    validation without and with generated images, of all recipes. challengers: by recipe the arm that validation picks
    there. The setup is None where no recipe has an arm with generated images.
    """

    names: Mapping[tuple[str, str], str]
    setup: ComparisonSetup | None
    challengers: Mapping[str, str]

    def list_names(self, entrant: Entrant, *kinds: Kind) -> list[str]:
        """The pool's names of the recipe's arms of these kinds."""
        return [self.names[entrant.recipe, arm] for arm in entrant.list_arms(*kinds)]


def pool_arms(
    entrants: Sequence[Entrant],
    labels: IntArray,
    *,
    validation_images: int | None = None,
    by_class: bool = False,
    folds: IntArray | None = None,
    units: IntArray | None = None,
) -> Pool:
    """The arms of all `entrants`, which answered the same n images of `labels` int [n].

    by_class: whether the metric is that of the worst class, which needs each arm's lowest one on validation.
    """
    names = name_trainings(entrants)
    seeds: dict[str, BoolArray] = {}
    replicates: dict[str, np.ndarray] = {}
    kinds: dict[str, Kind] = {}
    validation: dict[str, float] = {}
    lowest: dict[str, int] = {}
    for entrant in entrants:
        for arm, answers in entrant.correct.items():
            name = names[entrant.recipe, arm]
            seeds[name], kinds[name], validation[name] = answers, entrant.kinds[arm], entrant.validation[arm]
            shares = count_generators(entrant.generators) > 1 and entrant.kinds[arm] != "baseline"
            replicates[name] = average_generators(answers, np.asarray(entrant.generators)) if shares else answers
            if by_class:
                lowest[name] = find_lowest(entrant.validation_per_class[arm], labels)
    picked = {each.recipe: each.pick("expanded") for each in entrants}
    challengers = {recipe: names[recipe, arm] for recipe, arm in picked.items() if arm is not None}
    if not challengers:
        return Pool(names, None, {})
    picks = Picks(
        baselines=[name for name in seeds if kinds[name] != "expanded"],
        expanded=[name for name in seeds if kinds[name] == "expanded"],
        baseline=pick_best({name: validation[name] for name in seeds if kinds[name] == "baseline"}),
        challenger=pick_best({name: validation[name] for name in challengers.values()}),
        validation_images=validation_images,
    )
    by_seed, comparison = (
        Comparison(found, labels, lowest=lowest, folds=folds, units=units) for found in (seeds, replicates)
    )
    return Pool(names, ComparisonSetup(comparison, by_seed, picks), challengers)


def name_trainings(entrants: Sequence[Entrant]) -> dict[tuple[str, str], str]:
    """The name of each (recipe, arm); two arms have one name if they are the same kind of arm, with the same score on
    validation and the same answers, seed by seed."""
    found: dict[tuple[object, ...], list[tuple[str, str]]] = {}
    for entrant in entrants:
        for arm, answers in entrant.correct.items():
            key = entrant.kinds[arm], entrant.validation[arm], answers.shape, answers.tobytes()
            found.setdefault(key, []).append((entrant.recipe, arm))
    trainings: dict[str, int] = {}
    for (_, arm), *_ in found.values():
        trainings[arm] = trainings.get(arm, 0) + 1
    names: dict[tuple[str, str], str] = {}
    for places in found.values():
        recipe, arm = places[0]
        name = arm if trainings[arm] == 1 else f"{arm} of {recipe}"
        names |= dict.fromkeys(places, name)
    return names
