"""What a recipe computes with classifiers, counted before anything runs: trainings, their steps, and what a step is.

The recipe's settings decide it, and the number of images per class: where classes are equally large, arms are one arm
that differ only in how they balance them. How long a step takes is not known here, and torch is not loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ops.classifiers.products import count_products
from ops.generators.encoding import EncodingKind
from ops.generators.registry import KINDS
from ops.planning.plan import ExpansionPlan
from ops.planning.races import list_races
from ops.recipe.arms import Arm, Network, Policy
from ops.recipe.classifiers import ClassifierSettings
from ops.recipe.contrastive_arms import is_contrastive
from ops.recipe.costs import measure_cost
from ops.recipe.counterparts import simplify
from ops.recipe.ingredients.balancing import Balancing
from ops.recipe.ingredients.guidance import TeacherTargets
from ops.recipe.ingredients.losses import PlainLoss
from ops.recipe.ingredients.samplers import UniformSampler
from ops.recipe.ingredients.trainers import FineTunedTrainer, ProbeTrainer, SupervisedTrainer
from ops.recipe.ingredients.unlabelled import FixMatch, NoUnlabelled, PseudoLabels
from ops.recipe.ingredients.variants import GitVariants, NoVariants
from ops.recipe.schema import Recipe
from ops.recipe.settling import TrainingPolicy, settle_recipe
from ops.settings.section import Precision
from ops.tuning.factors import find_keys, list_factors, list_networks
from ops.tuning.search import count_steps, is_choice
from ops.verdict.curve import list_lengths

FEATURE_STEP, EPOCH = 0.004, 0.001  # seconds of a step of a feature's diffusion, and of an epoch of a last layer; rough
PROBE = 3.0  # seconds of a probe: views, their features, and some regressions; rough
CHANGE = 0.002  # seconds of RandAugment's operations on one image alone; rough
EXPECTED = Policy(shift=0.08, scale=0.15, rotation=10.0, gain=0.5, offset=0.15)  # what a policy costs


@dataclass(frozen=True)
class Unit:
    """What one optimizer step is made of. Steps of equal units take equally long."""

    network: Network
    arm: Arm  # on real images, without sampler and loss, which cost nothing, and without variants
    batch_size: int
    optimizer: Literal["muon", "sgd"]
    precision: Precision
    teachers: int = 0  # networks that answer for each batch

    def budget(self, steps: int) -> ClassifierSettings:
        """The budget of a training of so many such steps."""
        return ClassifierSettings.model_construct(
            steps=steps,
            batch_size=self.batch_size,
            label_smoothing=0.0,
            optimizer=self.optimizer,
            precision=self.precision,
            network=self.network,
            clean_statistics=False,
        )


@dataclass(frozen=True)
class Training:
    """One training: its steps, and what each is made of."""

    unit: Unit
    steps: int
    more: float = 0.0  # seconds besides the steps
    drawn: int = 0  # images that the generator draws meanwhile, at most


Phases = tuple[tuple[Training, ...], ...]
"""Trainings that may run side by side, phase after phase."""


@dataclass(frozen=True)
class Work:
    """The trainings of each stage.

    more: those of a learning curve and of a second look. labels: those on parts of the labels. networks: so many are
    shown the test images.
    """

    policy: Phases
    scorer: Phases
    baselines: Phases
    expanded: Phases
    more: Phases
    networks: int
    labels: Phases = ()

    @property
    def stages(self) -> dict[str, Phases]:
        return {
            "training_policy": self.policy,
            "scorer": self.scorer,
            "baseline_classifiers": self.baselines,
            "expanded_classifiers": self.expanded,
            "label_curve": self.labels,
            "verdict": self.more,
        }

    @property
    def units(self) -> list[Unit]:
        """The distinct units."""
        trainings = (training for phases in self.stages.values() for phase in phases for training in phase)
        return list(dict.fromkeys(training.unit for training in trainings))


def count_work(
    recipe: Recipe, plan: ExpansionPlan, shape: tuple[int, int, int], folds: int, policy: TrainingPolicy | None
) -> Work:
    """The work of a recipe on images of `shape` (height, width, channels).

    folds: of the search, 1 where validation is large. policy: what the search has chosen; None before it has run. Then
    a policy of typical cost stands in its place, and the first length, which most sources keep: only its double is
    tried as well.
    """
    searching, settled = recipe.tuning.policy, settle_expected(recipe, policy)
    classifier, encoding = settled.classifier, _weigh_encoder(settled, shape)
    equal = len({entry.real for entry in plan.classes}) == 1
    baselines = _hold(classifier, settled.baselines, False, equal, encoding)
    expanded = _hold(classifier, settled.expanded, True, equal and len({entry.wanted for entry in plan.classes}) == 1)
    scorer = Unit(
        settled.scorer.network,
        Arm(augmentation=settled.scorer.augmentation),
        settled.scorer.batch_size,
        settled.scorer.optimizer,
        settled.scorer.precision,
    )
    looks, judged = settled.verdict.looks, len(baselines[1]) + len(expanded[1])
    once, labelled = [*baselines[1], *expanded[1]], settled.data.unlabelled is None
    return Work(
        policy=_search(settled, recipe, shape, folds) if searching else (),
        # Where images without labels are expanded, there is nothing to learn.
        scorer=((Training(scorer, settled.scorer.steps),) * settled.scorer.folds,) if labelled else (),
        baselines=baselines[0],
        expanded=expanded[0],
        more=(*_trace(settled, baselines[1], expanded[1]), *((tuple(once * classifier.seeds),) if looks == 2 else ())),
        networks=(judged + 2) * classifier.seeds * looks,  # the two compared arms see mirrored images too
        labels=_take_parts(settled, baselines[1]),
    )


def _hold(
    classifier: ClassifierSettings, arms: Mapping[str, Arm], is_expanded: bool, equal: bool, encoding: float = 1.0
) -> tuple[Phases, list[Training]]:
    """The controller's races and the two phases of a side's tournament, and one more training of each arm, with the
    most steps of its grid.

    equal: whether all classes are equally large, so that nothing that balances them has an effect. encoding: of the
    prior's encoder, as a share of the classifier's network.
    """
    seen: set[object] = set()
    tried, once = [], []
    for arm in arms.values():
        arm = _drop_balancing(arm) if equal else arm
        settings = classifier.grid.list_settings(arm, is_expanded=is_expanded)
        same = (arm, tuple(settings))
        if same in seen:
            continue
        seen.add(same)
        steps = [int(setting.get("steps") or classifier.steps) for setting in settings]
        trainings = [_make_training(classifier, arm, each, encoding) for each in steps]
        tried += trainings
        once.append(max(trainings, key=lambda training: training.steps))
    fair = classifier.grid.is_fair(arms.values(), is_expanded=is_expanded)
    races = tuple(
        tuple(_make_training(classifier, arm, length, encoding) for arm, length in phase)
        for phase in list_races(classifier, arms, is_expanded=is_expanded)
    )
    return (*races, tuple(tried), tuple(once * (classifier.seeds - fair))), once


def _make_training(classifier: ClassifierSettings, arm: Arm, steps: int, encoding: float) -> Training:
    """A training of an arm. Its variants are counted as if every place for one showed one.

    Pseudo-labels take the steps of each of their networks. Steps of the prior's encoder are counted as so many of the
    classifier's network as compute the same products. A probe takes none.
    """
    if isinstance(arm.trainer, ProbeTrainer):
        return Training(make_unit(classifier, arm), 0, PROBE)
    if isinstance(arm.unlabelled, PseudoLabels):
        steps *= 1 + arm.unlabelled.rounds
    if isinstance(arm.trainer, FineTunedTrainer):
        steps = max(1, round(steps * encoding))
    probing = PROBE if is_contrastive(arm) else 0.0
    more = probing + FEATURE_STEP * getattr(arm.trainer, "steps", 0) + EPOCH * getattr(arm.trainer, "epochs", 0)
    variants, drawn = arm.variants, 0
    if isinstance(variants, GitVariants):
        places = variants.count_places(classifier.batch_size) * (steps - variants.first_step(steps))
        more += CHANGE * places * ("randaugment" in variants.by)
        drawn = places * (variants.source == "drawn")
    return Training(make_unit(classifier, arm), steps, more, drawn)


def _trace(settled: Recipe, baselines: Sequence[Training], expanded: Sequence[Training]) -> Phases:
    """The trainings of the learning curve, arm by arm; the dearest arm of each side stands for the one to be picked."""
    seeds = settled.verdict.curve_seeds
    if not seeds:
        return ()
    costs = {training: _weigh(training, settled.classifier.seeds) for training in (*baselines, *expanded)}
    dearest = [max(side, key=lambda training: costs[training]) for side in (baselines, expanded)]
    return tuple(
        tuple(replace(arm, steps=length) for length in list_lengths(arm.steps) for _ in range(seeds)) for arm in dearest
    )


def _take_parts(settled: Recipe, baselines: Sequence[Training]) -> Phases:
    """The trainings on parts of the labels, share by share; the dearest baseline without a teacher stands for the one
    to be picked."""
    if (worth := settled.report.worth) is None:
        return ()
    untaught = [training for training in baselines if not training.unit.teachers]
    dearest = max(untaught, key=lambda training: _weigh(training, settled.classifier.seeds))
    return ((dearest,) * worth.seeds,) * len(worth.shares)


def _weigh(training: Training, seeds: int) -> float:
    """Of the whole training, in plain steps."""
    return training.steps * measure_cost(training.unit.arm, seeds, training.unit.batch_size)


def _drop_balancing(arm: Arm) -> Arm:
    """The arm as it trains where all classes are equally large. Those that pseudo-labels add to need not stay so."""
    if isinstance(arm.unlabelled, PseudoLabels):
        return arm
    plain = {"sampler": UniformSampler(), "loss": PlainLoss()}
    return arm.model_copy(update={key: plain[key] for key in plain if isinstance(arm.ingredient(key), Balancing)})


def make_unit(settings: ClassifierSettings, arm: Arm) -> Unit:
    """The unit of an arm's training."""
    costless = {"sampler": UniformSampler(), "loss": PlainLoss(), "variants": NoVariants(), "strength": None}
    trainer = arm.trainer if is_contrastive(arm) else SupervisedTrainer()
    free = simplify(arm).spell_out().model_copy(update={**costless, "trainer": trainer})
    if isinstance(free.unlabelled, FixMatch):  # at most: every answer is a sure one
        free = free.model_copy(update={"unlabelled": free.unlabelled.model_copy(update={"threshold": 0.0})})
    elif free.unlabelled.kind != "none":
        free = free.model_copy(update={"unlabelled": NoUnlabelled()})
    if isinstance(free.targets, TeacherTargets):  # all teachers cost the same
        free = free.model_copy(update={"targets": TeacherTargets(of="real")})
    teachers = 0 if arm.targets.kind == "labels" else settings.seeds
    return Unit(settings.network, free, settings.batch_size, settings.optimizer, settings.precision, teachers)


def _weigh_encoder(recipe: Recipe, shape: tuple[int, int, int]) -> float:
    """Products of the prior's encoder as a share of those of the classifier's network; 1 without an encoder.

    shape: (height, width, channels).
    """
    prior, sides = recipe.prior, (shape[2], *shape[:2])
    if prior is None or not isinstance(kind := KINDS[prior.kind], EncodingKind):
        return 1.0
    return kind.count_encoding(prior, sides) / count_products(recipe.classifier.network, sides)


def _search(settled: Recipe, recipe: Recipe, shape: tuple[int, int, int], folds: int) -> Phases:
    """The trainings of the search, as equally long ones; of lengths those up to the double of the settled one."""
    first = recipe.classifier.steps
    steps = recipe.tuning.steps or first
    most = min(2 * settled.classifier.steps, recipe.tuning.most_steps or first)
    factors = list_factors(shape[2], list_networks(min(shape[:2]), recipe.classifier.network))
    total = count_steps(factors, folds=folds, steps=steps, first_length=first, most_steps=most)
    unit = make_unit(settled.classifier, Arm(augmentation=EXPECTED))
    return ((Training(unit, steps),) * round(total / steps),)


def settle_expected(recipe: Recipe, policy: TrainingPolicy | None) -> Recipe:
    """The recipe with what the search has chosen or, before it has run, with what its choice will about cost."""
    if not recipe.tuning.policy:
        return recipe
    return settle_recipe(recipe, policy or expect_policy(recipe, recipe.classifier.steps))


def expect_policy(recipe: Recipe, steps: int) -> TrainingPolicy:
    """A choice of typical cost that trains for `steps` optimizer steps, with the usual network, also as scorer."""
    return TrainingPolicy(EXPECTED, "image", steps, find_keys(recipe.classifier.network), composed=EXPECTED)


def find_longest(recipe: Recipe) -> int | None:
    """The most optimizer steps that the search may choose; None where it leaves them as they are."""
    first, most = recipe.classifier.steps, recipe.tuning.most_steps
    if not recipe.tuning.policy or most is None or not is_choice(first, most):
        return None
    return first * 2 ** int(np.log2(most / first))
