"""What a recipe must have for the variants of its arms, and what has no effect beside them; settings alone.

Class sizes are in no recipe: `check_class_sizes` asks for them where the images are known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ops.recipe.arms import Arm
from ops.recipe.ingredients.variants import GitVariants, check_below

if TYPE_CHECKING:
    import numpy as np


def shows_generated(arm: Arm) -> bool:
    """Whether generated images are variants in it: they take the places of their parents in a batch."""
    return isinstance(arm.variants, GitVariants) and arm.variants.needs_generator


def name_oracles(arms: Mapping[str, Arm]) -> list[str]:
    """The arms whose variants are fresh draws of the nuisance, which need the images from before it."""
    return [name for name, arm in arms.items() if "oracle" in getattr(arm.variants, "by", ())]


def check_variants(
    baselines: Mapping[str, Arm],
    expanded: Mapping[str, Arm],
    *,
    kind: str,
    inputs: Sequence[str],
    imagines: bool = False,
    in_torch: bool = False,
    nuisance: str | None,
    batch_size: int,
) -> None:
    """ValueError for variants that this recipe cannot make, and for keys without effect beside them.

    kind, inputs: of the generator. imagines: whether its variants are imagined. in_torch: whether it draws slowly, in
    torch alone.
    """
    for name, arm in baselines.items():
        if shows_generated(arm):
            raise ValueError(
                f"variants by a generator have no effect in the baseline {name!r}, which has no generated images"
            )
    for name, arm in expanded.items():
        if arm.variants.kind != "none" and not shows_generated(arm):
            raise ValueError(f"variants of the arm {name!r} need no generated image; move it to baselines")
        if shows_generated(arm):
            if "image" not in inputs:
                raise ValueError(
                    f"variants of the arm {name!r} are made by a generator that takes an image, and kind: {kind} takes"
                    f" {' and '.join(inputs)} alone; choose another kind or another by"
                )
            if imagines and getattr(arm.variants, "source", None) == "drawn":
                raise ValueError(
                    f"variants of the arm {name!r} with source: drawn are drawn by the exported sampler, which does not"
                    " imagine; write source: stored, or remove sampler.imagination"
                )
            if in_torch and getattr(arm.variants, "source", None) == "drawn":
                raise ValueError(
                    f"variants of the arm {name!r} with source: drawn are drawn on the CPU while it is trained, and"
                    f" kind: {kind} is too slow for that; write source: stored"
                )
            _check_beside(name, arm)
    arms = {**baselines, **expanded}
    if (oracles := name_oracles(arms)) and nuisance is None:
        raise ValueError(f"variants by: oracle of the arm {oracles[0]!r} needs data.nuisance")
    for name, arm in arms.items():
        check_batch(name, arm, batch_size)
        if getattr(arm.variants, "draws", None) == "independent" and arm.loss.kind == "logit_adjusted":
            raise ValueError(
                f"loss: logit_adjusted of the arm {name!r} follows how often the sampler shows each class, and variants"
                " with draws: independent are shown beside that; write draws: paired"
            )


def check_batch(name: str, arm: Arm, batch_size: int) -> None:
    """ValueError where the arm's share of a batch is less than an image."""
    if isinstance(arm.variants, GitVariants):
        try:
            arm.variants.check_batch(batch_size)
        except ValueError as error:
            raise ValueError(f"variants of the arm {name!r}: {error}") from None


def check_class_sizes(sizes: np.ndarray, arms: Mapping[str, Arm]) -> None:
    """ValueError for the first arm of whose `below` no class is smaller; sizes: real training images, int [K]."""
    for name, arm in arms.items():
        if isinstance(arm.variants, GitVariants):
            try:
                check_below(sizes, arm.variants)
            except ValueError as error:
                raise ValueError(f"variants of the arm {name!r}: {error}") from None


def _check_beside(name: str, arm: Arm) -> None:
    """ValueError for a key about generated images: where they are variants, they are no images of their own."""
    plain = Arm()
    keys = ("real_weight", "beta", "ratio", "finish", "separate")
    idle = [key for key in keys if getattr(arm, key) != getattr(plain, key)]
    for key in ("targets", "consistency"):
        idle += [f"{key}.images: generated"] * (getattr(getattr(arm, key), "images", None) == "generated")
    idle += ["targets.relabel"] * bool(getattr(arm.targets, "relabel", False))
    if idle:
        raise ValueError(f"{idle[0]} has no effect beside variants in the arm {name!r}; remove it")
    if arm.placebo.kind != "none" and getattr(arm.variants, "source", None) == "drawn":
        raise ValueError(
            f"the placebo of the arm {name!r} takes the place of stored variants, and source: drawn draws others;"
            " write source: stored"
        )
