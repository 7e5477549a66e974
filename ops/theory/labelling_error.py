"""How often a view has another label than its sample, in the toy of `augmentation_graph`.

The label of a point, sample or view, is the class that is more likely there: the side of the vertical axis on which it
lies. So without augmentation the error is 0, although the classes overlap. It depends on the radius alone; more samples
do not change it.
"""

from __future__ import annotations

import math

from scipy.integrate import quad
from scipy.special import ndtr

from ops.theory.augmentation_graph import CENTRE, VARIANCE

PRECISION = 1e-12


def find_labelling_error(radius: float) -> float:
    """α(r), 0 to 1/2: the chance that a view lies on the other side; radius: r ≥ 0.

    A view moves r·sin θ along the horizontal axis, where θ has the density 2/π · cos² θ from -π/2 to π/2. A move by t
    changes the side of the samples that lie nearer than |t| to the axis, on one side of it: F(|t|) − F(0) of them,
    where F is the distribution of the first coordinate. So α = 4/π ∫₀^{π/2} (F(r·sin θ) − F(0)) cos² θ dθ.
    """

    def weigh(angle: float) -> float:
        return _share_within(radius * math.sin(angle)) * math.cos(angle) ** 2

    found, _ = quad(weigh, 0, math.pi / 2, epsabs=PRECISION, epsrel=PRECISION)
    return 4 / math.pi * float(found)


def _share_within(distance: float) -> float:
    """F(t) − F(0) of the mixture: the share of samples on one side of the axis and no farther from it."""
    spread = math.sqrt(VARIANCE)
    return float(ndtr((distance - CENTRE) / spread) + ndtr((distance + CENTRE) / spread) - 1) / 2
