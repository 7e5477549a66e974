"""The trainings of the controller's races, counted before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ops.recipe.arms import Arm
from ops.recipe.automatic import find_least_steps, is_automatic, may_fall_back
from ops.recipe.classifiers import ClassifierSettings
from ops.recipe.control import SHARE, build_schedule
from ops.recipe.counterparts import simplify
from ops.recipe.schema import Recipe

Races = tuple[tuple[tuple[Arm, int], ...], ...]
"""Arms and steps of trainings that may run side by side, phase after phase."""


def list_races(classifier: ClassifierSettings, arms: Mapping[str, Arm], *, is_expanded: bool) -> Races:
    """The races of a side's arms. Those of real images alone, which the baselines hold, are kept for the other side.

    The arms stand for their settings: these cost alike.
    """
    if not (asking := _list_asking(arms)):
        return ()
    schedule = build_schedule(find_least_steps(classifier), classifier.seeds)
    deciding, decided, phases = schedule.deciding, list[Arm](), list[tuple[tuple[Arm, int], ...]]()
    for arm in asking:
        phases += [((arm, each.steps),) * (each.contenders * each.seeds) for each in schedule.rounds]
        if is_expanded and may_fall_back(arm):
            sides = [arm] if simplify(arm) in decided else [simplify(arm), arm]
            decided.append(simplify(arm))
            phases += [((side, deciding.steps),) * deciding.seeds for side in sides]
    return tuple(phases)


def describe_races(recipe: Recipe) -> dict[str, Any] | None:
    """What the controller costs at most, as plain JSON; None where no arm says auto.

    steps : of the races of both sides. final_steps : of the final trainings of the arms that they serve, each once.
    """
    classifier, sides = recipe.classifier, ((recipe.baselines, False), (recipe.expanded, True))
    served = sum(len(_list_asking(arms)) for arms, _ in sides)
    if not served:
        return None
    races = [phase for arms, is_expanded in sides for phase in list_races(classifier, arms, is_expanded=is_expanded)]
    raced = sum(steps for phase in races for _, steps in phase)
    final = served * classifier.seeds * find_least_steps(classifier)
    return {"steps": raced, "final_steps": final, "share": round(raced / final, 6), "allowed": SHARE}


def _list_asking(arms: Mapping[str, Arm]) -> list[Arm]:
    """The arms of which the controller chooses something, each once: those with equal settings are trained once."""
    asking = list[Arm]()
    for arm in arms.values():
        asking += [arm] * (is_automatic(arm) and arm not in asking)
    return asking
