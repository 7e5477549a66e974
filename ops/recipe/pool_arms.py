"""Arms that see the prior's pool without generating: which they are, and what they cannot have.

A prior saw a pool that other arms did not. So whether generating was the best use of the pool is a question that only
arms can answer which use the same images in another way. They are baselines. The module knows settings alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from ops.recipe.arms import Arm
from ops.recipe.generator import KindSettings
from ops.recipe.ingredients.guidance import TeacherTargets
from ops.recipe.ingredients.trainers import FineTunedTrainer, ProbeTrainer

WITH_ENCODER = "prior: {kind: instance, pool: NAME}"


def learns_from_pool(arm: Arm) -> bool:
    """Whether it is shown images of the pool itself."""
    return arm.unlabelled.kind != "none"


def needs_encoder(arm: Arm) -> bool:
    """Whether its network is the prior's encoder, which learnt on the pool."""
    return isinstance(arm.trainer, ProbeTrainer | FineTunedTrainer)


def sees_pool(arm: Arm) -> bool:
    """Whether it profits from the pool in one way or the other, without a teacher that does."""
    return learns_from_pool(arm) or needs_encoder(arm)


def list_seeing(baselines: Mapping[str, Arm]) -> list[str]:
    """The arms that see the pool, or are taught by one that does; in their order."""

    def sees(arm: Arm) -> bool:
        taught = isinstance(arm.targets, TeacherTargets) and sees_pool(baselines[arm.targets.of])
        return sees_pool(arm) or taught

    return [name for name, arm in baselines.items() if sees(arm)]


def check_pool_arms(baselines: Mapping[str, Arm], expanded: Mapping[str, Arm], prior: KindSettings | None) -> None:
    """ValueError for an arm that sees a pool where there is none, or in a way that cannot be."""
    for name, arm in expanded.items():
        if sees_pool(arm):
            raise ValueError(
                f"{_name_key(arm)} of the arm {name!r} generates nothing, so that such an arm is a baseline; move it to"
                " baselines"
            )
    for name, arm in baselines.items():
        if not sees_pool(arm):
            continue
        if prior is None:
            wanted = WITH_ENCODER if needs_encoder(arm) else "prior: {kind: flow, pool: NAME}"
            raise ValueError(f"{_name_key(arm)} of the arm {name!r} needs the pool of a prior; add {wanted}")
        if needs_encoder(arm) and not prior.encodes:
            raise ValueError(
                f"trainer: {arm.trainer.kind} of the arm {name!r} needs a prior whose encoder arms can use, and kind:"
                f" {prior.kind} has none; write {WITH_ENCODER}, or kind: latent"
            )
        _check_together(name, arm)


def _check_together(name: str, arm: Arm) -> None:
    """ValueError for ingredients that mean nothing beside the pool."""
    plain = Arm()
    if isinstance(arm.trainer, ProbeTrainer):
        keys = ("pairing", "sampler", "loss", "targets", "consistency", "variants", "unlabelled")
        if idle := [key for key in keys if getattr(arm, key) != getattr(plain, key)]:
            raise ValueError(
                f"{idle[0]} has no effect in the arm {name!r}: trainer: probe fits a logistic regression; remove it, or"
                " write trainer: fine_tuned"
            )
    if not learns_from_pool(arm):
        return
    kind = arm.unlabelled.kind
    if arm.loss.kind == "ldam":
        raise ValueError(
            f"unlabelled: {kind} of the arm {name!r} goes by probabilities, and the cosines of loss: ldam are none;"
            " remove one"
        )
    if arm.consistency.kind != "none":
        raise ValueError(f"the arm {name!r} has both unlabelled and consistency; remove one of them")
    if kind == "pseudo_labels" and arm.variants.kind != "none":
        raise ValueError(
            f"variants of the arm {name!r} replace labelled images alone, and unlabelled: pseudo_labels adds others;"
            " remove one"
        )


def _name_key(arm: Arm) -> str:
    """How the recipe says that the arm sees the pool."""
    return f"unlabelled: {arm.unlabelled.kind}" if learns_from_pool(arm) else f"trainer: {arm.trainer.kind}"
