"""An arm's own `ratio`: how many of the generated images of one drawn set it sees; what is refused, and what compares.

It knows how many images there are of each class, and no image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ops.recipe.arms import Arm
from ops.recipe.counterparts import find_counterpart


def check_ratios(expanded: Mapping[str, Arm], most: float | None) -> None:
    """ValueError for an arm whose own ratio cannot be; most: plan.ratio, None where classes grow by different ones."""
    for name, arm in expanded.items():
        if arm.ratio is None:
            continue
        if most is not None and arm.ratio > most:
            raise ValueError(
                f"ratio {arm.ratio:g} of the arm {name!r} is above plan.ratio {most:g}, and no more images are made;"
                " lower it, or raise plan.ratio"
            )
        if getattr(arm.targets, "relabel", False):
            raise ValueError(
                f"ratio of the arm {name!r} counts accepted images, and targets.relabel adds rejected ones; remove one"
                " of them"
            )


def check_smallest_ratios(expanded: Mapping[str, Arm], sizes: Sequence[int], wanted: Sequence[int]) -> None:
    """ValueError for an arm whose own ratio leaves it no generated image.

    sizes: real training images of each class. wanted: generated ones that the plan asks for.
    """
    growing = [size for size, want in zip(sizes, wanted, strict=True) if want]
    for name, arm in expanded.items():
        if arm.ratio is not None and growing and not any(round(arm.ratio * size) for size in growing):
            raise ValueError(
                f"ratio {arm.ratio:g} of the arm {name!r} is rounded to no generated image in any class, of which the"
                f" largest that grows has {max(growing):,} real ones; raise it"
            )


def list_ratios(baselines: Mapping[str, Arm], expanded: Mapping[str, Arm]) -> dict[str, dict[float, str]]:
    """For each baseline that several arms grow by several ratios of their own, such an arm of each ratio.

    These arms are the baseline but for the generated images, and differ from each other in the ratio alone.
    """
    found = dict[str, dict[float, str]]()
    for name, arm in expanded.items():
        other = find_counterpart(arm, baselines)
        if arm.ratio is None or arm.placebo.kind != "none" or other is None:
            continue
        own = found.setdefault(other, {})
        if not own or _forget_ratio(arm) == _forget_ratio(expanded[next(iter(own.values()))]):
            own.setdefault(arm.ratio, name)
    return {name: dict(sorted(own.items())) for name, own in found.items() if len(own) > 1}


def _forget_ratio(arm: Arm) -> Arm:
    return arm.model_copy(update={"ratio": None})
