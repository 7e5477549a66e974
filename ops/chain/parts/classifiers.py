"""The arms of one side, without or with generated images: their training images, training and stored results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file

from ops.chain.parts.controlled import settle_automatic
from ops.chain.parts.diagnostics import average_diagnostics, describe_diagnostics
from ops.chain.parts.variants import account
from ops.chain.parts.visits import count
from ops.classifiers.examples import Examples
from ops.classifiers.kept_trainings import KeptTrainings
from ops.classifiers.runs import Contest, Result
from ops.classifiers.stored import save_classifiers
from ops.classifiers.tournament import (
    Tournament,
    count_runs,
    find_common_aliases,
    hold_tournament,
)
from ops.classifiers.variants.accounting import describe
from ops.datasets.axes import to_nchw
from ops.datasets.pixels import read_rows, read_split
from ops.datasets.shards import find_shards
from ops.datasets.units import find_units
from ops.files.manifests import read_manifest
from ops.files.outputs import RESULTS
from ops.files.storage import write_json
from ops.machine.precision import resolve_precision
from ops.recipe.arms import Arm
from ops.recipe.counterparts import list_teachers
from ops.recipe.design import Metric
from ops.recipe.pool_arms import list_seeing
from ops.stages.materialization import StageRun
from ops.stages.refused import read_refused
from ops.verdict.metric import NAMES, choose_metric
from ops.workspaces.workspace import Workspace

BASELINES, EXPANDED = "baseline_classifiers", "expanded_classifiers"


def weights_file(arm: str) -> str:
    """Name of the file with an arm's final networks, one for each seed."""
    return f"{arm}.safetensors"


def find_teachers(arms: Mapping[str, Arm], folder: Path, aliases: Mapping[str, str]) -> dict[str, Path]:
    """The file of each arm that the targets of `arms` name, in a folder of baselines; an alias has its arm's file."""
    return {arm: folder / weights_file(aliases.get(arm, arm)) for arm in list_teachers(arms)}


def open_contest(
    run: StageRun,
    arms: Mapping[str, Arm],
    training: Sequence[Examples],
    metric: Metric,
    teachers: Mapping[str, Path],
) -> Contest:
    """Training images, validation images and metric of a side's arms; finished runs go to the scratch folder.

    teachers: file of each arm that the arms' targets name.
    """
    validation, settings = read_split(run.inputs["real_images"], "validation"), run.recipe.classifier
    is_expanded = any(examples.is_generated is not None for examples in training)
    return Contest(
        arms=dict(arms),
        training=tuple(training),
        first_seed=run.recipe.seed * 1000,
        validation=(to_nchw(validation.images), validation.labels),
        settings=settings,
        metric=metric,
        classes=len(validation.class_names),
        scratch=run.scratch / name_scratch("runs", run.runtime.device),
        device=run.runtime.device,
        teachers=dict(teachers),
        kept=keep_trainings(run.workspace),
        is_fair=settings.grid.is_fair(arms.values(), is_expanded=is_expanded),
        units=find_units(run.inputs["real_images"], validation.rows),
    )


def keep_trainings(workspace: Workspace) -> KeptTrainings:
    """The trainings that the workspace keeps for all its expansions."""
    versions = (str(workspace.stage_version(stage)) for stage in (BASELINES, EXPANDED))
    return KeptTrainings(workspace.trainings, ".".join(versions))


def name_scratch(work: str, device: str) -> str:
    """The folder of finished work, apart for each device: another one gives other weights, so nothing is mixed."""
    return work if device == "cpu" else f"{work}-{device.replace(':', '-')}"


def keep_networks(folder: Path, arm: str, results: Sequence[Result]) -> None:
    """Store the networks of an arm's runs, one per seed, in one file."""
    states = {result.run.seed: load_file(result.path) for result in results}
    save_classifiers(folder / weights_file(arm), states, results[0].description)


def find_metric(run: StageRun) -> Metric:
    """The recipe's metric, or the one that suits the class sizes of the real training images."""
    real = run.inputs["real_images"]
    labels = read_rows(find_shards(real, "train"))["label"].to_numpy()
    classes = read_manifest(real)["metrics"]["classes"]
    return run.recipe.verdict.metric or choose_metric(np.bincount(labels, minlength=classes))


def train_arms(
    run: StageRun,
    arms: Mapping[str, Arm],
    training: Sequence[Examples],
    teachers: Path | None,
    beside: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Train the arms of the run's stage and write their weights and results; returns metrics.

    training: the images, a set for each generator. teachers: folder of the networks that the arms' targets name; None
    where they are among the arms, which are then trained in that order. beside: further entries of results.json.
    """
    settings = run.recipe.classifier
    # Sorted by name, `real` first: the order of a mapping is not part of the fingerprint.
    arms = dict(sorted(arms.items(), key=lambda item: (item[0] != "real", item[0])))
    metric = find_metric(run)
    contest = open_contest(run, arms, training, metric, {})
    settled = settle_automatic(run, contest)
    arms = settled.arms
    aliases = find_common_aliases(arms, training, settings.grid)
    own = {name: arm for name, arm in arms.items() if name not in aliases}
    files = find_teachers(own, run.out, aliases) if teachers is None else find_teachers(own, teachers, {})
    contest = replace(
        contest,
        arms=own,
        teachers=files,
        needed=[aliases.get(arm, arm) for arm in list_teachers(arms)],
        seeing=list_seeing(arms) if teachers is None else [],  # baselines alone may see a pool
        is_fair=settings.grid.is_fair(own.values(), is_expanded=contest.is_expanded),
    )
    for name in own:
        if (shown := account(contest, name)) is not None:
            names = read_manifest(run.inputs["real_images"])["metrics"]["class_names"]
            drawn = run.inputs.get("generated_images")
            refused = read_refused(drawn) if drawn is not None else None
            for line in describe(shown, name, names, refused or {}):
                run.runtime.sink(f"{run.stage}: {line}")
        if (visits := count(contest, name)) is not None:
            run.runtime.sink(f"{run.stage}: {visits.describe(name)}")
    progress = run.runtime.progress(run.stage, count_runs(contest), "trainings")
    summary: dict[str, dict[str, Any]] = {}
    left_out: dict[str, dict[str, Any]] = {}
    before = trained = 0
    for part in [own] if teachers is not None else _order_by_teachers(own):
        round_of = replace(contest, arms=part)
        tournament = hold_tournament(round_of, workers=run.runtime.workers, progress=progress, before=before)
        before += count_runs(round_of)
        trained += tournament.trainings
        for name, final in tournament.final.items():
            keep_networks(run.out, name, final)
        summary |= {name: _summarise(tournament, name) for name in tournament.final}
        for name in tournament.final:
            if (shown := account(contest, name, tournament.chosen[name])) is not None:
                summary[name]["variants"] = shown.to_dict()
            if (visits := count(contest, name, tournament.chosen[name])) is not None:
                summary[name]["visits"] = visits.to_dict()
            if found := average_diagnostics(tournament.final[name]):
                summary[name]["diagnostics"] = found
                run.runtime.sink(f"{run.stage}: {describe_diagnostics(name, summary[name])}")
        left_out |= {name: left.to_dict() for name, left in tournament.left_out.items()}
    for name, left in left_out.items():
        run.runtime.sink(f"{run.stage}: {tell_behind(name, left, contest.metric)}")
    left_out |= {alias: left_out[arm] for alias, arm in aliases.items() if arm in left_out}
    write_json(
        run.out / RESULTS,
        {
            "arms": {name: summary[name] for name in own if name in summary},
            "aliases": {alias: arm for alias, arm in aliases.items() if arm in summary},
            "left_out": left_out,
            "generators": len(training),
            "metric": contest.metric,
            "device": contest.device,
            "precision": resolve_precision(settings.precision, contest.device),
            "steps": settings.steps,
            "batch_size": settings.batch_size,
            **settled.entries,
            **(beside or {}),
        },
    )
    return {
        "trainings": trained,
        "metric": contest.metric,
        **{f"validation_{name}": round(summary[name]["validation"], 6) for name in own if name in summary},
    }


def tell_behind(arm: str, left: Mapping[str, Any], metric: Metric) -> str:
    """`real is left out: 46.0 % on validation, 52.1 points behind mixup (standard error 7.0)`."""
    validation, behind, error = (100 * left[key] for key in ("validation", "behind", "standard_error"))
    name = NAMES["balanced_accuracy" if metric == "worst_class" else metric]
    return (
        f"{arm} is left out after one training: {validation:.1f} % {name} on validation,"
        f" {behind:.1f} points behind {left['against']} (standard error {error:.1f})"
    )


def _order_by_teachers(arms: Mapping[str, Arm]) -> list[dict[str, Arm]]:
    """The arms in rounds: those without a teacher come first."""
    taught = {name: arm for name, arm in arms.items() if arm.targets.kind != "labels"}
    untaught = {name: arm for name, arm in arms.items() if name not in taught}
    return [untaught, taught] if taught else [untaught]


def _average(rates: Sequence[float | None]) -> float | None:
    """The mean over seeds of a class's accuracy; None for a class without validation images."""
    known = [rate for rate in rates if rate is not None]
    return float(np.mean(known)) if known else None


def _summarise(tournament: Tournament, name: str) -> dict[str, Any]:
    """An arm's results, for the verdict and the report."""
    final = tournament.final[name]
    per_seed = {str(result.run.seed): result.validation for result in final}
    return {
        "setting": tournament.chosen[name].to_dict(),
        "validation": float(np.mean(list(per_seed.values()))),
        "validation_per_class": [
            _average(rates) for rates in zip(*(r.validation_per_class for r in final), strict=True)
        ],
        "per_seed": per_seed,
        "tried": [{"setting": r.run.setting.to_dict(), "validation": r.validation} for r in tournament.tried[name]],
        "losses": list(final[0].losses),
    }
