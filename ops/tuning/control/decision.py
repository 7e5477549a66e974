"""What the controller decides from answers to validation images: who goes on, and whether to use generated images.

The rule of the second: the best setting with generated images and the best one without, each picked by rounds of as
many settings, are trained again from seeds that no round saw. Generated images are used if the lower limit of the
one-sided 95 % interval of the difference of their scores lies above 0. The interval is the verdict's: it covers other
images and other seeds (`ops.verdict.estimate`). So if generated images are of no use an arm uses them in 3 to 7 of 100
races, and a gain within the noise of seeds and images is given up. The images are those by which the rounds picked,
which flatters both winners: alike where the settings of both sides differ as much, and one side more where its own
differ more. The 7 of 100 are of such uneven sides, where the settings with generated images differ more. Several arms
of a recipe have a race each, and their errors add up. Where a source has groups, the images of one are one draw, as in
the verdict. The module knows answers alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ops.recipe.design import Metric
from ops.verdict.comparison import Comparison
from ops.verdict.estimate import BoolArray, IntArray
from ops.verdict.reference import choose_checked_metric
from ops.verdict.units import keep_several

TAIL = 0.05  # below the interval's lower limit


@dataclass(frozen=True)
class Decision:
    """Scores of both, 0..1, the gain of generated images, its standard error and the interval's lower limit."""

    real: float
    inflated: float
    gain: float
    error: float
    low: float

    @property
    def uses_generated(self) -> bool:
        return self.low > 0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        found = {key: round(getattr(self, key), 6) for key in ("real", "inflated", "gain", "error", "low")}
        return found | {"uses_generated": self.uses_generated}


def keep_best(scores: Sequence[float], count: int) -> list[int]:
    """Places of the `count` best scores, in their order; of equal ones the earlier, which is nearer to the start."""
    ranked = sorted(range(len(scores)), key=lambda place: (-scores[place], place))
    return sorted(ranked[:count])


def decide(
    real: BoolArray, inflated: BoolArray, labels: IntArray, metric: Metric, units: IntArray | None = None
) -> Decision:
    """Whether generated images are used, from answers bool [S, n] and [S, n] of seeds that no round saw.

    labels : int [n] of the validation images; units : int [n], equal for images that are one draw. Where all are one
    draw nothing is known of other draws, and no generated image is used. A minimum over classes is too noisy here, so
    where the metric is the accuracy of the worst class, balanced accuracy decides.
    """
    answers: Mapping[str, np.ndarray] = {"real": real, "inflated": inflated}
    metric, several = choose_checked_metric(metric), keep_several(units)
    comparison = Comparison(answers, labels, units=several)
    gap = comparison.differ("inflated", "real", metric, tail=TAIL)
    scores = {name: comparison.score(name, metric, tail=TAIL).estimate for name in answers}
    low = min(gap.low, 0.0) if units is not None and several is None else gap.low
    return Decision(scores["real"], scores["inflated"], gap.estimate, gap.standard_error, low)
