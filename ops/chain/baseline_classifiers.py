"""Stage `baseline_classifiers`: the arms without generated images, and the reference model that they must reach."""

from __future__ import annotations

from typing import Any

from ops.chain.parts.classifiers import find_metric, train_arms
from ops.chain.parts.examples import read_baselines
from ops.chain.parts.reference import train_reference
from ops.stages.materialization import StageRun


def build_baseline_classifiers(run: StageRun) -> dict[str, Any]:
    """Arms and reference model on the real training images; some arms may see the prior's pool as well."""
    reference, arms = train_reference(run, find_metric(run)), run.recipe.baselines
    examples = read_baselines(run.workspace, run.inputs, arms)
    metrics = train_arms(run, arms, [examples], None, {"reference": reference})
    return metrics | {"reference_validation": round(reference["validation"], 6)}
