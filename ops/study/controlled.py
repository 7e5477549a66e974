"""Arms of a study that leave strength or weights to the controller: what it chose in a block, and what that cost.

The races are those of a recipe with as many final trainings as `classifier.seeds` says, so that the controller is
judged as it is used. They see the block's training and validation images and no evaluation image. Each arm has a folder
of races under its fingerprint. Equal trainings are kept by their content, so that an arm with generated images finds
the races of real images alone that its counterpart has held.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ops.chain.parts.classifiers import keep_trainings
from ops.chain.parts.controlled import Known, know_nothing, settle_automatic
from ops.classifiers.runs import Contest
from ops.planning.races import list_races as count_races
from ops.recipe.arms import AUTO, Arm
from ops.recipe.automatic import find_least_steps, uses_generated
from ops.recipe.classifiers import ClassifierSettings
from ops.recipe.schema import Recipe
from ops.recipe.strength import read_strength
from ops.stages.materialization import Runtime, StageRun
from ops.workspaces.workspace import Workspace

Inputs = Mapping[str, Path]
ENDING = "-controller"  # of a folder of races
STAGES = {False: "baseline_classifiers", True: "expanded_classifiers"}  # by whether there are generated images


@dataclass(frozen=True)
class Decided:
    """What the controller chose for an arm; None where it had nothing to choose.

    strength: of the augmentation. real_weight: N, None also where generated images are left out. uses_generated:
    whether they are used. race_steps: of the races that were held for the arm, over those of its final trainings.
    """

    strength: float | None
    real_weight: float | None
    uses_generated: bool | None
    race_steps: float


def settle_arms(
    own: Workspace, recipe: Recipe, contest: Contest, asking: Mapping[str, str], inputs: Inputs, runtime: Runtime
) -> dict[str, tuple[Arm, Decided]]:
    """Some arms of the contest as they are to be trained, and what was chosen for each.

    own: the study's workspace. asking: names of the arms for people, by their fingerprints, which are their names in
    the contest. inputs: folders of the stages that made the contest's images.
    """
    stage, found = STAGES[contest.is_expanded], dict[str, tuple[Arm, Decided]]()
    known: Known | None = None
    for fingerprint, name in asking.items():
        arm, scratch = contest.arms[fingerprint], contest.scratch / fingerprint
        racing = replace(contest, arms={name: arm}, scratch=scratch, kept=keep_trainings(own))
        run = StageRun(own, "study", stage, recipe, inputs, scratch, scratch, fingerprint, runtime)
        known = known or know_nothing(run)  # of the first run, for all: they have the same images
        settled = settle_automatic(run, racing, known).arms[name]
        found[name] = settled, describe(arm, settled, contest.settings, is_expanded=contest.is_expanded)
    return found


def describe(arm: Arm, settled: Arm, settings: ClassifierSettings, *, is_expanded: bool) -> Decided:
    """What the controller put into an arm; settings: of its final trainings."""
    races = count_races(settings, {"": arm}, is_expanded=is_expanded)
    raced, used = sum(steps for phase in races for _, steps in phase), uses_generated(settled)
    chooses_weight = arm.real_weight == AUTO
    chooses_strength = arm.strength == AUTO or (chooses_weight and not used and settled.strength is not None)
    return Decided(
        read_strength(settled.strength) if chooses_strength and settled.strength is not None else None,
        float(settled.real_weight) if chooses_weight and used and settled.real_weight is not None else None,
        used if chooses_weight else None,
        raced / (settings.seeds * find_least_steps(settings)),
    )


def list_races(scratch: Path) -> list[Path]:
    """The folders of races under a part's folder of networks; each name begins with the fingerprint of its arm."""
    return [path for path in scratch.glob(f"*{ENDING}") if path.is_dir()]
