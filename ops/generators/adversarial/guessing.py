"""Guess the cost of an adversarial kind from how many products its networks compute. It loads nothing that computes."""

from __future__ import annotations

from ops.generators.adversarial.design import Products
from ops.generators.protocol import Cost
from ops.recipe.adversarial import AdversarialSettings

# A loss computes the products forwards and twice backwards; norms, optimizers and copies come on top, and bf16, where
# there is, is faster than the rate says.
PASSES, REST, STEP_SECONDS = 3, 0.8, 0.02


def guess_adversarial(settings: AdversarialSettings, products: Products, rate: float, workers: int) -> Cost:
    """The cost at `rate` products a second on each of `workers` cores.

    The critic judges two images in its step. The maker's step passes its gradient through the critic once.
    """
    critic = products.make + 2 * PASSES * products.judge
    maker = PASSES * products.make + 2 * products.judge
    per_step = STEP_SECONDS + REST * settings.batch_size * (critic + maker) / (rate * workers)
    return Cost(per_step * settings.steps, per_step, products.make / rate)
