"""The chain of one fold: every stage up to the classifiers, each run once and kept, as in the workspace itself.

If the scorer or the generator has not learnt, or a class has no accepted image, nothing generated is used in this fold,
and only the arms without generated images are trained. The reason is a sentence of the check that failed, or of the
gate of variants that refused every class. The same holds where the controller left out the images of every arm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ops.chain import find_builder
from ops.chain.checks import CHECKS, run_check
from ops.chain.parts.classifiers import BASELINES, EXPANDED
from ops.chain.parts.controlled import find_all_left_out
from ops.chain.parts.fold_images import store_fold
from ops.classifiers.augmentations import AUGMENTATIONS
from ops.files.hashing import hash_json
from ops.files.manifests import read_manifest
from ops.files.outputs import POLICY, RESULTS
from ops.files.storage import read_json
from ops.machine.interruption import at, check
from ops.recipe.arms import Arm
from ops.recipe.automatic import read_settled, uses_generated
from ops.recipe.settling import read_policy, settle_recipe
from ops.recipe.stages import REPEATED
from ops.stages.materialization import Runtime, materialize
from ops.stages.unused import read_unused
from ops.workspaces.folds import FoldWorkspace
from ops.workspaces.workspace import Workspace

FIRST = "real_images"
WITHOUT_GENERATOR = ("expansion_plan", "training_policy", "scorer", BASELINES)
REFUSING = ("scorer_is_usable", "generator_is_usable", "every_class_grows")  # checks that images may fail


@dataclass(frozen=True)
class TrainedFold:
    """A fold whose networks are trained. refusal: why nothing generated was used; None where it was."""

    workspace: FoldWorkspace
    expansion: str
    refusal: str | None

    @property
    def number(self) -> int:
        return self.workspace.number

    def folder(self, stage: str) -> Path:
        return self.workspace.output(self.expansion, stage)

    @cached_property
    def results(self) -> dict[str, dict[str, Any]]:
        """The results.json of each side that was trained."""
        sides = [BASELINES] if self.refusal else [BASELINES, EXPANDED]
        return {side: read_json(self.folder(side) / RESULTS) for side in sides}

    @cached_property
    def arms(self) -> dict[str, Arm]:
        """The arms as they were trained here."""
        policy = read_policy(read_json(self.folder("training_policy") / POLICY))
        recipe = settle_recipe(self.workspace.load_recipe(self.expansion), policy)
        written = {BASELINES: recipe.baselines, EXPANDED: recipe.expanded}
        settled = {side: read_settled(arms, self.results.get(side, {})) for side, arms in written.items()}
        return settled[BASELINES] | settled[EXPANDED]

    @property
    def left_out_by_controller(self) -> list[str]:
        """The arms with generated images of which the controller left these out here."""
        return [arm for arm, settings in self.arms.items() if not uses_generated(settings)]

    def shows_mirrored(self, arm: str) -> bool:
        """Whether the arm was trained on mirrored images."""
        augmentation = self.arms[arm].augmentation
        return AUGMENTATIONS[augmentation.kind].mirrors(augmentation)

    def find_trained(self, arm: str) -> str:
        """The arm whose networks answer for `arm`: itself, or the one that it equals on these images."""
        return next((found["aliases"][arm] for found in self.results.values() if arm in found["aliases"]), arm)

    def find_entry(self, arm: str) -> dict[str, Any] | None:
        """The entry in results.json of the arm that answers for `arm`; None if it was not trained here."""
        trained = self.find_trained(arm)
        return next((found["arms"][trained] for found in self.results.values() if trained in found["arms"]), None)

    def count_accepted(self) -> dict[str, int] | None:
        """Images drawn, and accepted ones; None where nothing generated was used."""
        if self.refusal:
            return None
        counts: Mapping[str, Any] = read_manifest(self.folder("mixed_dataset"))["metrics"]
        drawn: Mapping[str, Any] = read_manifest(self.folder("generated_images"))["metrics"]
        return {"drawn": int(drawn["images"]), "accepted": int(counts["generated"])}


def train_fold(
    workspace: FoldWorkspace, expansion: str, real: Path, codes: np.ndarray, runtime: Runtime
) -> TrainedFold:
    """Run the stages of a fold that are not current. `real` holds all images, `codes` their splits in this fold.

    DamagedData and EnvironmentFault as `materialize`; RuntimeError if a check fails that no image may fail.
    """
    name = f"fold {workspace.number} of {workspace.folds}"
    sink = runtime.sink
    runtime = replace(runtime, sink=lambda line: sink(f"{name}: {line}"))
    content = hash_json([read_manifest(real)["content"], codes.tolist()])
    refusal = None
    for stage in (FIRST, *REPEATED):
        if refusal is not None and stage not in WITHOUT_GENERATOR:
            continue
        check()
        with at(f"in {name}, stage {stage} of '{expansion}'"):
            if stage == FIRST:
                materialize(
                    workspace, expansion, stage, lambda run: store_fold(run, real, codes), runtime, source=content
                )
            else:
                materialize(workspace, expansion, stage, find_builder(stage), runtime)
        if refusal is None and (refusal := find_refusal(workspace, expansion, stage)):
            runtime.sink(f"nothing generated is used: {refusal}")
    return TrainedFold(workspace, expansion, refusal)


def find_refusal(workspace: Workspace, expansion: str, stage: str) -> str | None:
    """Why nothing generated can be used, after this stage; None if its checks pass and images were drawn.

    RuntimeError if a check fails that no image may fail.
    """
    if stage == "generated_images" and (why := read_unused(workspace.output(expansion, stage))):
        return why
    for each in CHECKS:
        if each.stage != stage or not (each.blocking or each.name in REFUSING):
            continue
        finding = run_check(each, workspace, expansion)
        if finding.passed:
            continue
        if each.name in REFUSING:
            return finding.sentence
        raise RuntimeError(f"'{expansion}': the check {each.name} failed: {finding.sentence}")
    if stage == EXPANDED:
        results = read_json(workspace.output(expansion, stage) / RESULTS)
        return find_all_left_out(workspace.load_recipe(expansion).expanded, results)
    return None
