"""Where a prior saw a pool: the challenger beside the best baseline that did not see it, and beside the best that did.

A difference from the first is that of the pool and the generator together. One from the second is what generating adds
to the pool, and where the prior has weights from elsewhere, also what these brought along. Both are differences that
the decision asks for anyway; here they are named. Which baselines see the pool is told from outside.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

from ops.verdict.picks import pick_best
from ops.verdict.records import Contrast, Verdict
from ops.verdict.sentence import tell_contrast


@dataclass(frozen=True)
class PoolComparison:
    """The challenger minus the best arm of each group, by validation; None for a group without a trained arm.

    seeing : the trained baselines that see the pool, at least one.
    """

    seeing: tuple[str, ...]
    with_blind: Contrast | None
    with_seeing: Contrast

    @property
    def sentence(self) -> str:
        """For people; it follows a sentence about the pool."""
        seen = f"{tell_contrast(self.with_seeing)}, the best of those that saw the pool"
        if self.with_blind is None:
            return f" On the test images {seen}."
        blind = f"{tell_contrast(self.with_blind)}, the best of those that did not"
        return f" On the test images {seen}; and {blind}."

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self) | {"seeing": list(self.seeing)}


def compare_pool(verdict: Verdict, seeing: Collection[str]) -> PoolComparison | None:
    """The comparisons of a verdict with a challenger; None where none of its trained baselines is among `seeing`."""
    scores = {row.arm: row.validation for row in verdict.arms if row.kind == "baseline" and row.same_as is None}
    contrasts = {each.against: each for each in verdict.contrasts if each.arm == verdict.challenger}
    groups = [{arm: scores[arm] for arm in scores if (arm in seeing) == sees} for sees in (False, True)]
    blind, seen = ({arm: found for arm, found in group.items() if arm in contrasts} for group in groups)
    if not seen:
        return None
    with_blind = contrasts[pick_best(blind)] if blind else None
    return PoolComparison(tuple(seen), with_blind, contrasts[pick_best(seen)])
