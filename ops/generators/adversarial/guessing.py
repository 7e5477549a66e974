"""Guess the cost of an adversarial kind from how many products its networks compute. It loads nothing that computes."""

from __future__ import annotations

from ops.generators.adversarial.design import Products
from ops.generators.protocol import Cost
from ops.recipe.adversarial import AdversarialSettings

# Norms, optimizers and copies come on top of the products, and bf16, where there is, is faster than the rate says.
REST, STEP_SECONDS = 0.8, 0.02


def guess_adversarial(settings: AdversarialSettings, products: Products, rate: float, workers: int) -> Cost:
    """The cost at `rate` products a second on each of `workers` cores."""
    per_step = STEP_SECONDS + REST * settings.batch_size * (products.step + products.rare) / (rate * workers)
    return Cost(per_step * settings.steps, per_step, products.make / rate)
