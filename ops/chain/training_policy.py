"""Stage `training_policy`: choose on training and validation images how all arms will train their classifiers."""

from __future__ import annotations

from typing import Any

from ops.chain.parts.classifiers import find_metric, name_scratch
from ops.datasets.axes import to_nchw
from ops.datasets.pixels import read_split
from ops.datasets.units import has_groups, read_units
from ops.files.outputs import POLICY, SEARCH
from ops.files.storage import write_json
from ops.recipe.classifiers import ClassifierSettings
from ops.recipe.settling import TrainingPolicy
from ops.stages.materialization import StageRun
from ops.tuning.factors import (
    Factor,
    build_augmentation,
    build_policy,
    find_network,
    find_standardise,
    list_factors,
    list_networks,
    name_levels,
)
from ops.tuning.search import Found, search
from ops.tuning.trials import Trials, pool_images


def build_training_policy(run: StageRun) -> dict[str, Any]:
    """Write policy.json, {} where the recipe chooses nothing, and search.json, which says what each choice is worth."""
    settings = run.recipe.tuning
    if not settings.policy:
        write_json(run.out / POLICY, {})
        return {"chosen": False}
    splits = [read_split(run.inputs["real_images"], split) for split in ("train", "validation")]
    train, validation = ((to_nchw(split.images), split.labels) for split in splits)
    units, grouped = read_units(run.inputs["real_images"], *splits), has_groups(run.inputs["real_images"])
    pool = pool_images(train, validation, len(splits[0].class_names), settings.folds, run.recipe.seed, units, grouped)
    networks = list_networks(min(pool.images.shape[2:]), run.recipe.classifier.network)
    factors = list_factors(pool.images.shape[1], networks)
    trials = Trials(
        pool,
        factors,
        ClassifierSettings.model_construct(**vars(run.recipe.classifier)),  # of the section only these keys are read
        find_metric(run),
        seed=run.recipe.seed * 1000,
        scratch=run.scratch / name_scratch("trials", run.runtime.device),
        workers=run.runtime.workers,
        progress=lambda count: run.runtime.progress(run.stage, count, "trainings"),
        device=run.runtime.device,
    )
    steps = run.recipe.classifier.steps
    found = search(
        trials.ask,
        factors,
        folds=pool.folds,
        steps=settings.steps or steps,
        first_length=steps,
        most_steps=settings.most_steps or steps,
    )
    policy = TrainingPolicy(
        build_augmentation(factors, found.choice),
        find_standardise(factors, found.choice),
        found.steps,
        find_network(factors, found.choice),
        build_policy(factors, found.choice),
    )
    write_json(run.out / POLICY, policy.to_dict())
    write_json(run.out / SEARCH, describe_search(factors, found, pool.folds))
    for line in explain_search(factors, found):
        run.runtime.sink(f"{run.stage}: {line}")
    levels = name_levels(factors, found.choice)
    return {"chosen": True, "steps": found.steps, "score": round(found.score, 6), **levels}


def describe_search(factors: list[Factor], found: Found, folds: int) -> dict[str, Any]:
    """Plain JSON for the report: the chosen levels, what each is worth, the lengths tried; scores in 0..1."""
    names = {factor.name: [level.name for level in factor.levels] for factor in factors}
    return {
        "folds": folds,
        "steps": found.steps,
        "levels": name_levels(factors, found.choice),
        "gains": [
            {
                "factor": gain.factor,
                "level": names[gain.factor][gain.level],
                "against": names[gain.factor][gain.against],
                "gain": round(gain.points, 6),
                "standard_error": round(gain.error, 6),
            }
            for gain in found.gains
        ],
        "clash": None if found.clash is None else round(found.clash, 6),
        "lengths": [{"steps": length.steps, "score": round(length.score, 6)} for length in found.lengths],
    }


def explain_search(factors: list[Factor], found: Found) -> list[str]:
    """A line for each factor ("flip: on costs 6.1 points against off (error 1.2): off"), and one for the length."""
    names = {factor.name: [level.name for level in factor.levels] for factor in factors}
    chosen = name_levels(factors, found.choice)
    lines = []
    for gain in found.gains:
        level, against = (names[gain.factor][place] for place in (gain.level, gain.against))
        verb = "gains" if gain.points > 0 else "costs"
        lines.append(
            f"{gain.factor}: {level} {verb} {abs(100 * gain.points):.1f} points against {against}"
            f" (standard error {100 * gain.error:.1f}); chosen: {chosen[gain.factor]}"
        )
    if found.clash is not None:
        lines.append(
            f"the good ones together were {100 * found.clash:.1f} points worse than the best of them alone, so they"
            " were made one after another, each where it still was good beside those before it"
        )
    if not found.lengths:
        return lines
    tried = ", ".join(f"{100 * length.score:.1f} % after {length.steps:,}" for length in found.lengths)
    return [*lines, f"steps, with mixup: {tried}; chosen: {found.steps:,}"]
