"""Stage `expanded_classifiers`: the arms with generated images; no arm is trained where there are none."""

from __future__ import annotations

from typing import Any

from ops.chain.parts.classifiers import train_arms
from ops.datasets.index import read_index
from ops.stages.materialization import StageRun
from ops.stages.several import count_generators, place


def build_expanded_classifiers(run: StageRun) -> dict[str, Any]:
    """Arms on the mixed dataset, sampled by its weights; with several generators each seed uses one's dataset."""
    mixed = run.inputs["mixed_dataset"]
    each = (read_index(place(mixed, generator)) for generator in range(count_generators(mixed)))
    return train_arms(run, run.recipe.expanded if any(index["is_generated"].any() for index in each) else {})
