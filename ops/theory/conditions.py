"""When generated data can help, and when it cannot, by the sufficient conditions of the theory.

Generated data makes learning faster where the divergence of real and generated distribution is of a smaller order than
what more real data would still gain: M · TV = o(max(β log m, M / √m)) (Zheng et al. 2023, abstract; M counts as a
constant there, and stands on both sides here). It does not where the divergence is at least of that order. No gap is
larger than M, so more real data cannot gain more than M either.

Both speak of growing numbers of samples. At one number there is only a ratio, and it decides nothing near 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from ops.theory.bound import Premises

Rate = Literal["faster", "not faster", "undecided"]

MARGIN = 3.0  # the constants that the orders leave open, within which a ratio decides nothing; our choice


@dataclass(frozen=True)
class Comparison:
    """Both sides of the conditions, in units of the loss.

    divergence: M · TV. gain: max(β log m, M / √m), the leading terms of the bound without generated samples; at most M.
    """

    divergence: float
    gain: float

    @property
    def ratio(self) -> float:
        return self.divergence / self.gain

    @property
    def rate(self) -> Rate:
        """What the conditions say of the rate with the most efficient number of generated samples."""
        if self.ratio * MARGIN <= 1:
            return "faster"
        return "not faster" if self.ratio >= MARGIN else "undecided"


def compare_rates(given: Premises) -> Comparison:
    """The sides of the conditions for these premises."""
    beta = given.learner / given.real
    gain = max(beta * math.log(given.real), given.loss_range / math.sqrt(given.real))
    return Comparison(given.loss_range * given.divergence, min(gain, given.loss_range))
