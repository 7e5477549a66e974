"""Stage `expanded_classifiers`: the arms with generated images."""

from __future__ import annotations

from typing import Any

from ops.chain.parts.classifiers import train_arms
from ops.stages.materialization import StageRun


def build_expanded_classifiers(run: StageRun) -> dict[str, Any]:
    """Arms on the mixed dataset, sampled by its weights; with several generators each seed uses one's dataset."""
    return train_arms(run, run.recipe.expanded)
