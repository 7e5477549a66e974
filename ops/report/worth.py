"""The report's facts on what would help most, and on what gains are worth in real labels where the recipe asks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ops.datasets.pixels import read_rows
from ops.datasets.shards import find_shards
from ops.datasets.units import find_units
from ops.files.manifests import read_manifest
from ops.files.outputs import LABEL_CURVE, POLICY, RESULTS, RUNS
from ops.files.storage import read_json
from ops.recipe.arms import Arm
from ops.recipe.automatic import forget_leaving_out, read_settled, uses_generated
from ops.recipe.sections import ReportSettings
from ops.recipe.settling import read_policy, settle_arms
from ops.report.steps import Measured, rank_steps
from ops.verdict.worth.curve import LabelCurve
from ops.verdict.worth.money import read_prices
from ops.verdict.worth.result import value_gains

CURVE, BASELINES, EXPANDED = "label_curve", "baseline_classifiers", "expanded_classifiers"  # the stages
LOCAL = ("spent", "steps")  # of what gains are worth: told by seconds of this machine, so no part of what is published
# What a user would not compute without generated images, beside the arms that show whether they help.
MAKING = ("scorer", "expansion_plan", "prior", "generator", "generator_onnx", "generated_images", "accepted_images",
          "mixed_dataset")  # fmt: skip


def collect_gains(
    inputs: Mapping[str, Path],
    verdict: Mapping[str, Any],
    settings: ReportSettings,
    *,
    generated: int,
    suspects: int,
    seconds: Mapping[str, float],
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """What gains are worth and what would help most, each None where it cannot be told.

    The first is `value_gains` of the verdict with the second as `steps`; None where the recipe does not ask. The second
    is None where the answers of the verdict are those of folds, or judged by the worst class.

    inputs: folders by stage. generated: images that passed the filters. suspects: real images whose label is probably
    wrong. seconds: of the stages that were run here.
    """
    if verdict.get("folds") is not None or verdict["metric"] == "worst_class":  # with `worth` refused in the recipe
        return None, None
    made = [stage for stage in MAKING if stage in inputs]
    spent = sum(seconds[stage] for stage in made) if all(stage in seconds for stage in made) else None
    prices = read_prices(settings.prices)
    found = None
    if settings.worth is not None:
        curve = LabelCurve.from_dict(read_json(inputs[CURVE] / LABEL_CURVE))
        found = value_gains(curve, verdict, what=name_images(inputs, verdict, generated), prices=prices, seconds=spent)
    test = read_rows(find_shards(inputs["real_images"], "test"))
    measured = Measured(
        verdict,
        _read_answers(inputs["verdict"] / RUNS, len(test)),
        test["label"].to_numpy(),
        find_units(inputs["real_images"], test),
        read_trained(inputs),
        found,
        suspects,
        "prior" in inputs,
        spent,
        prices,
    )
    steps = rank_steps(measured)
    return None if found is None else {**found, "steps": steps}, steps


def read_trained(inputs: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
    """The arms that learnt from real images alone, as they were trained, by what they do: without auto, and without
    their strength. Expanded arms whose generated images the controller left out are among them."""
    trained = _read_side(inputs, BASELINES, "baselines")
    if EXPANDED in inputs:
        others = _read_side(inputs, EXPANDED, "expanded")
        trained |= {name: forget_leaving_out(arm) for name, arm in others.items() if not uses_generated(arm)}
    return {name: arm.spell_out().model_dump(mode="json") for name, arm in trained.items()}


def _read_side(inputs: Mapping[str, Path], stage: str, section: str) -> dict[str, Arm]:
    """The arms of a section of the recipe as its stage trained them."""
    arms = {name: Arm.model_validate(keys) for name, keys in _read_section(inputs[stage], section).items()}
    policy = read_policy(read_json(inputs["training_policy"] / POLICY))
    return read_settled(settle_arms(arms, policy), read_json(inputs[stage] / RESULTS))


def _read_section(output: Path, section: str) -> dict[str, Any]:
    """A section of the recipe that an output was made with, as plain JSON."""
    settings: dict[str, Any] = read_manifest(output)["settings"][section]
    return settings


def name_images(inputs: Mapping[str, Path], verdict: Mapping[str, Any], generated: int) -> str:
    """What the challenger learnt from beside real images: all `generated` ones, or what it takes by itself."""
    challenger = verdict["challenger"]
    if challenger is not None:
        arm = Arm.model_validate(_read_section(inputs[EXPANDED], "expanded")[challenger])
        if arm.ratio is not None or getattr(arm.targets, "relabel", False):
            return f"The generated images of {challenger}"
    return f"These {generated:,} generated images"


def _read_answers(path: Path, images: int) -> dict[str, np.ndarray]:
    """Whether the networks of each arm were right on the test images, bool [S, n], in the order of the images."""
    rows = pl.read_parquet(path, columns=["arm", "seed", "correct"]).drop_nulls("seed")
    return {
        str(arm): own["correct"].to_numpy().reshape(-1, images)
        for (arm,), own in rows.group_by("arm", maintain_order=True)
    }
