"""Stage `baseline_classifiers`: the arms without generated images."""

from __future__ import annotations

from typing import Any

from ops.chain.parts.classifiers import train_arms
from ops.stages.materialization import StageRun


def build_baseline_classifiers(run: StageRun) -> dict[str, Any]:
    """Arms on the real training images alone."""
    return train_arms(run, run.recipe.baselines)
