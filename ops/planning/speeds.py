"""How fast this machine computes: seconds of a classifier's step, of an answer, of a generator's steps and images.

`timing` measures them. Here they are guessed within a second, before torch is loaded: from the products
that the networks compute, at the rate of a matrix product that is timed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ops.classifiers.products import Shape, count_products
from ops.generators.imaginable import ImaginingKind
from ops.generators.protocol import Cost
from ops.generators.registry import KINDS
from ops.machine.parallel import limit_libraries
from ops.planning.work import Unit
from ops.pretrained.cost import count_products as count_products_of
from ops.pretrained.folder import find_folder, read_folder
from ops.pretrained.kinds import EXTRACTORS
from ops.recipe.contrastive_arms import is_contrastive
from ops.recipe.costs import measure_cost
from ops.recipe.denoisers import DenoiserSettings
from ops.recipe.pool_arms import learns_from_pool
from ops.recipe.sampler import SamplerSettings
from ops.recipe.schema import Recipe
from ops.recipe.scorers import KEY

# A training step computes the products forwards and twice backwards. Norms, the optimizer, augmentation and the
# memory's bandwidth take as long again, and some milliseconds at least; bf16, where there is, is faster than the timed
# fp32. On a CPU with bf16 REST was 0.5 for images of 8 to 64 pixels; without, 1.5 or more is to be expected.
PASSES, REST, STEP_SECONDS = 3, 0.8, 0.004
GUESSED_START = 4.0  # seconds until processes have loaded torch
SIDE, PROBES = 384, 60  # of the matrices whose product is timed: some tenths of a second


@dataclass(frozen=True)
class Speeds:
    """Seconds: `units` of a step of each unit in every process at once; `answer` of one image in the classifier and
    `score` in one of the scorer's networks, on one core; `step`, `image` and `fixed` of a generator: of a step on all
    cores, of an image on one core, and of all that follows its steps. `start`: until processes are ready.
    `decoding`: the share of an image's seconds that is decoding; 0 where the recipe does not imagine. `judging`: of an
    answer of the scorer of imagination, on one core; None where it is that of `score`. `prior_step` and `prior_fixed`:
    as `step` and `fixed`, of a prior whose pool the generator learns from; of any other prior these two are the
    generator's.
    """

    units: Mapping[Unit, float]
    answer: float
    score: float
    step: float
    image: float
    fixed: float
    start: float
    decoding: float = 0.0
    judging: float | None = None
    prior_step: float = 0.0
    prior_fixed: float = 0.0


def guess_speeds(recipe: Recipe, units: Sequence[Unit], shape: Shape, root: Path, workers: int) -> Speeds:
    """Speeds that are right to a factor of two or three, on a machine that others use as well."""
    limit_libraries()
    rate, slowdown = _time_products()
    cost = KINDS[recipe.generator.kind].guess(recipe.generator, recipe.sampler, shape, root, rate, workers)
    answer, score = (
        REST * count_products(network, shape) / rate for network in (recipe.classifier.network, recipe.scorer.network)
    )
    return Speeds(
        {
            unit: STEP_SECONDS * slowdown
            + PASSES * REST * _count_images(unit) * count_products(unit.network, shape) / rate
            for unit in units
        },
        answer,
        score,
        cost.step_seconds,
        cost.image_seconds,
        cost.fit_seconds - getattr(recipe.generator, "steps", 0) * cost.step_seconds,
        GUESSED_START,
        weigh_decoding(recipe, shape, root),
        guess_judging(recipe, root, rate),
        *split_prior(
            recipe, lambda prior, sampler: KINDS[prior.kind].guess(prior, sampler, shape, root, rate, workers)
        ),
    )


def split_prior(recipe: Recipe, estimate: Callable[[DenoiserSettings, SamplerSettings], Cost]) -> tuple[float, float]:
    """Seconds of a step and of all that follows the steps, of a prior whose pool the generator learns from, else 0."""
    prior = recipe.prior
    if not recipe.generator.labels_pool or not isinstance(prior, DenoiserSettings):
        return 0.0, 0.0
    cost = estimate(prior, prior.default_sampler())
    return cost.step_seconds, cost.fit_seconds - prior.steps * cost.step_seconds


def _count_images(unit: Unit) -> float:
    """Images of a step; those without labels, and views, as so many plain ones as cost the same."""
    counts = learns_from_pool(unit.arm) or is_contrastive(unit.arm)
    return unit.batch_size * (measure_cost(unit.arm, 0, unit.batch_size) if counts else 1.0)


def weigh_decoding(recipe: Recipe, shape: Shape, root: Path) -> float:
    """The share of a variant's cost that imagination repeats; 0 where the recipe does not imagine."""
    kind = KINDS[recipe.generator.kind]
    if recipe.sampler.imagination is None or not isinstance(kind, ImaginingKind):
        return 0.0
    return kind.weigh_decoding(recipe.generator, recipe.sampler, shape, root)


def guess_judging(recipe: Recipe, root: Path, rate: float | None = None) -> float | None:
    """Seconds of an answer of imagination's scorer, if it is a network from a folder, at so many products a second.

    `rate` None: as many as this machine computes. The encoder of a prior is about as fast as the stage's scorer.
    """
    settings = recipe.sampler.imagination
    model = None if settings is None else getattr(settings.scorer, "model", None)
    if model is None:
        return None
    folder = read_folder(find_folder(model, root, KEY), KEY, kinds=EXTRACTORS)
    return REST * count_products_of(folder) / (_time_products()[0] if rate is None else rate)


def _time_products() -> tuple[float, float]:
    """Products a second of a matrix product on one thread, and how many times longer others make it take."""
    left = np.ones((SIDE, SIDE), np.float32)
    left @ left
    wall, own = time.perf_counter(), time.thread_time()
    for _ in range(PROBES):
        left @ left
    wall, own = time.perf_counter() - wall, time.thread_time() - own
    return PROBES * 2 * SIDE**3 / wall, max(1.0, wall / own)
