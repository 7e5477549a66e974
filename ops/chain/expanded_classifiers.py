"""Stage `expanded_classifiers`: the arms with generated images; no arm is trained where there are none."""

from __future__ import annotations

from typing import Any

from ops.chain.parts.classifiers import train_arms
from ops.chain.parts.examples import read_mixed_sets
from ops.datasets.index import read_index
from ops.stages.materialization import StageRun
from ops.stages.several import count_generators, place


def build_expanded_classifiers(run: StageRun) -> dict[str, Any]:
    """Arms on the mixed dataset, sampled by its weights; with several generators each seed uses one's dataset."""
    mixed, arms = run.inputs["mixed_dataset"], run.recipe.expanded
    each = (read_index(place(mixed, generator)) for generator in range(count_generators(mixed)))
    used = arms if any(index["is_generated"].any() for index in each) else {}
    return train_arms(run, used, list(read_mixed_sets(run.inputs, used, run.recipe.seed)), run.inputs["teachers"])
