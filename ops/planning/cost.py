"""How long an expansion takes on this machine: what it computes (`work`) at the speeds of the machine (`speeds`).

The arithmetic is here, so that other steps of the same recipe are estimated without timing anything again.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from ops.classifiers.sharing import WORKER_SHARE
from ops.labelling.probes import PROBES
from ops.machine.parallel import worth_workers
from ops.planning.imagining import JUDGED, SHARE_GROUPS, SLOWLY_SHOWN, count_judged, count_made, estimate_variant
from ops.planning.plan import ExpansionPlan
from ops.planning.speeds import Speeds
from ops.planning.work import Phases, Training, Work
from ops.recipe.denoisers import DenoiserSettings
from ops.recipe.imagination import LEADING
from ops.recipe.schema import Recipe
from ops.recipe.stages import STAGES

TRAINING_SECONDS = 0.2  # of a training besides its steps: its images, answers on validation, its file
QUESTIONS = 5  # that a search asks one after the other, each with processes of its own
WATCHED, JUDGING_SECONDS = 500, 1.0  # images of a look at a generator in training, and seconds to judge them
EXPORT_SECONDS, COMPARED = 6.0, 1_000  # torch's exporter; images that are drawn to compare sampler and generator
EXAMINED = 72  # images that are drawn to judge a generator that draws in torch
VARIANTS, VARIED = 2, 16  # variants of an image, and most of a class, by which the gate judges such a generator
PASSES = 3  # that a training step computes: forwards, and twice backwards
PROBING_SECONDS = 0.5  # of a trial of a probe
SCORING_SECONDS = 0.0002  # of a generated image, besides the scorer's networks: looks, neighbours
STAGE_SECONDS = 1.5  # of every stage: its inputs' hashes, its record in DVC, its checks
READING_SECONDS = 0.0004  # of a real image: reading, hashing, storing


@dataclass(frozen=True)
class Images:
    """Real images of all splits and of test, and the unlabelled ones of a pool."""

    total: int
    test: int
    pool: int = 0


def estimate_seconds(
    recipe: Recipe, work: Work, plan: ExpansionPlan, speeds: Speeds, images: Images, workers: int
) -> dict[str, float]:
    """Seconds per stage, of all generators; stages that take seconds whatever the recipe says are left out.

    If the recipe allows a second look, `verdict` includes it, so its figure is an upper bound. The training of a
    generator that is a prior is that of the stage `prior`; one that learns from a prior's pool is trained after it.
    """
    generator, trained = recipe.generator, {name: train_for(work.stages[name], speeds, workers) for name in work.stages}
    looks = getattr(generator, "checkpoints", 0) * (WATCHED * speeds.image / workers + JUDGING_SECONDS)
    fitted, probed = getattr(generator, "steps", 0) * speeds.step + speeds.fixed + looks, 0.0
    prior: dict[str, float] = {}
    if isinstance(generator, DenoiserSettings) and isinstance(recipe.prior, DenoiserSettings):
        prior = {"prior": recipe.prior.steps * speeds.prior_step + speeds.prior_fixed}
        probed = estimate_probing(generator, recipe.prior, speeds, images)
    elif recipe.prior is not None:
        prior = {"prior": getattr(recipe.prior, "steps", 0) * speeds.step + speeds.fixed}
        fitted = looks
    fitted += generator.count_first(recipe.sampler, len(plan.classes)) * speeds.image / workers
    compared = COMPARED
    imagination = recipe.sampler.imagination
    if generator.in_torch:
        varied = "image" in generator.list_inputs(recipe.sampler) and imagination is None
        compared = EXAMINED + varied * sum(min(VARIED, VARIANTS * entry.real) for entry in plan.classes)
    judged, drawing, drawn = 0.0, workers, plan.drawn * speeds.image
    if imagination is not None:
        score = speeds.score if speeds.judging is None else speeds.judging
        variant = estimate_variant(imagination, speeds.image, speeds.decoding, score, generator.rows)
        group, chosen = imagination.group_size, recipe.sampler.strength == "auto"
        most = VARIED // VARIANTS if generator.in_torch else JUDGED
        judged = variant * count_judged((entry.real for entry in plan.classes), group, chosen=chosen, most=most)
        if generator.in_torch:  # the sheet, the self-test and two timed blocks; others make these in no time
            judged += variant * group * (min(SLOWLY_SHOWN, len(plan.classes)) * len(LEADING[imagination.mode]) + 3)
        drawn = variant * count_made(((plan.count_seeds(entry), entry.drawn) for entry in plan.classes), group)
        drawing = worth_workers(workers, plan.drawn, SHARE_GROUPS * group)
    scored = recipe.scorer.folds * speeds.score + SCORING_SECONDS
    seconds = {
        "training_policy": trained["training_policy"] + (QUESTIONS - 1) * speeds.start * bool(work.policy),
        "scorer": trained["scorer"],
        "generator": fitted * generator.seeds + probed,
        "generator_onnx": (EXPORT_SECONDS + (compared * speeds.image + judged) / workers) * generator.seeds,
        "generated_images": (drawn / drawing + plan.drawn * scored / workers) * generator.seeds + speeds.start,
        "baseline_classifiers": trained["baseline_classifiers"],
        "expanded_classifiers": trained["expanded_classifiers"],
    }
    curve = {} if recipe.report.worth is None else {"label_curve": trained["label_curve"]}
    answer = speeds.answer * work.networks / workers
    if recipe.verdict.folds is None:
        return {**prior, **seconds, **curve, "verdict": trained["verdict"] + answer * images.test}
    # Each fold repeats all of these but the prior, and each image is a test image once.
    return {**prior, **seconds, "folds": recipe.verdict.folds * sum(seconds.values()) + answer * images.total}


def estimate_probing(generator: DenoiserSettings, prior: DenoiserSettings, speeds: Speeds, images: Images) -> float:
    """Seconds in which a prior describes images and probes are tried, where the generator learns from its pool."""
    if generator.pseudo_labels is None:
        return 0.0
    labelled, shares = images.total - images.test, len(generator.pseudo_labels.noise)
    described = labelled * (shares + 1) + images.pool
    trials = shares * len(PROBES) * (2 * len(prior.widths) + 1)
    return described * speeds.prior_step / (PASSES * prior.batch_size) + trials * PROBING_SECONDS


def estimate_rest(stages: Sequence[str], images: Images) -> float:
    """Seconds of everything besides, for these stages of the chain."""
    return STAGE_SECONDS * len(stages) + READING_SECONDS * images.total * (next(iter(STAGES)) in stages)


def train_for(phases: Phases, speeds: Speeds, workers: int) -> float:
    """Seconds of trainings that run side by side in processes, phase after phase."""
    seconds = 0.0
    for phase in phases:
        work = sum(training.steps * training.unit.batch_size for training in phase)
        processes = min(worth_workers(workers, work, WORKER_SHARE), max(1, len(phase)))
        seconds += schedule([_train_for(training, speeds) for training in phase], processes)
        seconds += speeds.start * (processes > 1)
    return seconds


def schedule(durations: Sequence[float], workers: int) -> float:
    """When the last of some tasks ends, each begun in turn by the first worker that is free.

    >>> schedule([3, 3, 3], 2)
    6.0
    """
    ends = [0.0] * workers
    for duration in durations:
        heapq.heapreplace(ends, ends[0] + duration)
    return float(max(ends))


def _train_for(training: Training, speeds: Speeds) -> float:
    steps = training.steps * speeds.units[training.unit]
    return TRAINING_SECONDS + steps + training.more + training.drawn * speeds.image
