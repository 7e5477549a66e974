"""Arms whose `strength` or `real_weight` is `auto`: what such an arm may say beside it, and what is put in its place.

The controller (`ops.tuning.control`) chooses by races on validation images. An arm with generated images needs the
same arm under `baselines` with `strength: auto`, so that it is compared with real images whose strength was chosen by
as many tries. The module knows settings alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ops.recipe.arms import AUTO, NO_GENERATED, Arm
from ops.recipe.classifiers import ClassifierSettings
from ops.recipe.contrastive_arms import is_contrastive
from ops.recipe.control import build_schedule
from ops.recipe.grid import list_numbers
from ops.recipe.strength import change_strength

PLAIN = ("targets", "consistency", "variants", "unlabelled", "placebo")  # what arms of a race have not
LEAST_VALIDATION = 20  # images; fewer decide nothing


def is_automatic(arm: Arm) -> bool:
    """Whether the controller chooses its strength or what its generated images weigh."""
    return AUTO in (arm.strength, arm.real_weight)


def may_fall_back(arm: Arm) -> bool:
    """Whether the controller may leave out its generated images: where it chooses what they weigh."""
    return arm.real_weight == AUTO


def list_automatic(arms: Mapping[str, Arm]) -> list[str]:
    """The arms of which the controller chooses something."""
    return [name for name, arm in arms.items() if is_automatic(arm)]


def settle_arm(arm: Arm, *, strength: float | None = None, real_weight: float | None = None) -> Arm:
    """The arm at a strength and an N; None leaves what it says itself."""
    keys: dict[str, Any] = arm.model_dump()
    if strength is not None:
        keys = change_strength(keys, strength)
    if real_weight is not None:
        keys["real_weight"] = real_weight
    return Arm.model_validate(keys)


def leave_out_generated(arm: Arm) -> Arm:
    """An arm on real images as one of the expanded side, where its generated images weigh nothing."""
    return arm.model_copy(update={"beta": NO_GENERATED, "real_weight": None})


def uses_generated(arm: Arm) -> bool:
    """Whether an arm of the expanded side learns from generated images after all."""
    return arm.beta != NO_GENERATED


def forget_leaving_out(arm: Arm) -> Arm:
    """The arm on real images that `leave_out_generated` was given; any other arm as it is."""
    return arm if uses_generated(arm) else arm.model_copy(update={"beta": None})


def describe_settled(arm: Arm) -> dict[str, Any]:
    """Plain JSON of a settled arm, for `read_settled`."""
    return {"uses_generated": uses_generated(arm), "arm": forget_leaving_out(arm).model_dump(mode="json")}


def read_settled(arms: Mapping[str, Arm], results: Mapping[str, Any]) -> dict[str, Arm]:
    """The arms as they were trained: those that the controller settled, by a side's results.json, and the others."""
    found = dict(arms)
    for name, settled in results.get("settled", {}).items():
        if name in found:
            arm = Arm.model_validate(settled["arm"])
            found[name] = arm if settled["uses_generated"] else leave_out_generated(arm)
    return found


def check_automatic(baselines: Mapping[str, Arm], expanded: Mapping[str, Arm], classifier: ClassifierSettings) -> None:
    """ValueError for an arm that cannot race, for grids that choose the same, and for too short trainings."""
    asking = {name: arm for name, arm in {**baselines, **expanded}.items() if is_automatic(arm)}
    for name, arm in asking.items():
        key = "strength" if arm.strength == AUTO else "real_weight"
        if used := [each for each in PLAIN if getattr(arm, each).kind != getattr(Arm(), each).kind]:
            raise ValueError(
                f"{key}: auto of the arm {name!r} races short trainings from labels or views alone, and the arm has"
                f" {used[0]}: {getattr(arm, used[0]).kind}; remove one of them"
            )
        if not is_contrastive(arm) and arm.trainer.kind != "supervised":
            raise ValueError(
                f"{key}: auto of the arm {name!r} needs trainer: supervised or one that learns without labels, not"
                f" {arm.trainer.kind}"
            )
        if arm.strength is None and not is_contrastive(arm):
            raise ValueError(
                f"real_weight: auto of the arm {name!r} races against weaker augmentation of real images, so the arm"
                " needs a strength; add strength: auto, or a number"
            )
        _check_grid(name, arm, classifier)
    if asking:
        try:
            build_schedule(find_least_steps(classifier), classifier.seeds)
        except ValueError as error:
            raise ValueError(f"auto of the arm {next(iter(asking))!r}: {error}") from None


def find_least_steps(classifier: ClassifierSettings) -> int:
    """Steps of the shortest final training that the grid may choose."""
    return min(classifier.grid.steps or (classifier.steps,))


def _check_grid(name: str, arm: Arm, classifier: ClassifierSettings) -> None:
    """ValueError where the grid tries what the controller chooses."""
    numbers = list_numbers()
    for key in classifier.grid.axes:
        number = numbers.get(key)
        moved = number is not None and number.ingredient in ("augmentation", "pairing") and number.belongs_to(arm)
        chosen = "strength" if moved and arm.strength == AUTO else None
        if key == "real_weight" and may_fall_back(arm):
            chosen = "real_weight"
        if chosen is not None:
            raise ValueError(
                f"classifier.grid.{key} and {chosen}: auto of the arm {name!r} choose the same; remove one of them"
            )
