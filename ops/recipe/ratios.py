"""An arm's own `ratio`: how many of the generated images of one drawn set it sees; what is refused.

It knows how many images there are of each class, and no image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ops.recipe.arms import Arm


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
