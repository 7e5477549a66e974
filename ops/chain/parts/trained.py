"""The arms that two stages have trained, as the verdict sees them: the kind of each, and which two validation picks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ops.chain.parts.classifiers import BASELINES, EXPANDED
from ops.chain.parts.controlled import tell_left_out
from ops.files.outputs import RESULTS
from ops.files.storage import read_json
from ops.recipe.arms import Arm
from ops.recipe.automatic import read_settled, uses_generated
from ops.recipe.contrastive_arms import find_largest_batch
from ops.recipe.costs import measure_cost
from ops.recipe.counterparts import name_kind, pair_counterparts
from ops.recipe.design import Metric
from ops.recipe.schema import Recipe
from ops.stages.materialization import StageRun
from ops.verdict.picks import pick_best
from ops.verdict.records import Budget, Kind


@dataclass(frozen=True)
class Trained:
    """The results of the two sides: `results` holds the results.json of each side's stage, `arms` the arms as they were
    trained, and `written` as the recipe has them, perhaps with auto.

    In a race the expanded side may be missing from `results`; kinds, entries and rates are then those of the baselines.
    """

    results: Mapping[str, Mapping[str, Any]]
    arms: Mapping[str, Mapping[str, Arm]]
    written: Mapping[str, Mapping[str, Arm]]

    @property
    def sides(self) -> dict[str, str]:
        """The side of each trained arm."""
        return {arm: side for side, found in self.results.items() for arm in found["arms"]}

    @property
    def entries(self) -> dict[str, dict[str, Any]]:
        """The entry in results.json of each trained arm."""
        return {arm: self.results[side]["arms"][arm] for arm, side in self.sides.items()}

    @property
    def rates(self) -> dict[str, list[float]]:
        """The accuracy of each trained arm on each class of validation; nan for a class without images."""
        return list_rates(self.entries)

    @property
    def kinds(self) -> dict[str, Kind]:
        """The kind of each trained arm; a placebo is trained beside the expanded arms and is none of them."""
        found = {arm: name_kind(arm, self.arms[BASELINES], self.arms[EXPANDED]) for arm in self.sides}
        return found | dict.fromkeys(self.left_out_by_controller, "baseline")

    @property
    def left_out_by_controller(self) -> list[str]:
        """Trained arms of the expanded side whose generated images the controller left out: baselines, in fact."""
        expanded = self.results.get(EXPANDED, {"arms": {}})
        return [arm for arm in expanded["arms"] if not uses_generated(self.arms[EXPANDED][arm])]

    @property
    def counterparts(self) -> list[tuple[str, str]]:
        """Each expanded arm beside the same one on real images, and with a placebo; none that left its images out."""
        pairs = pair_counterparts(self.written[BASELINES], self.written[EXPANDED], self.aliases)
        known = self.sides.keys() - self.left_out_by_controller
        return [pair for pair in pairs if all(arm in known for arm in pair)]

    def measure_costs(self, seeds: int) -> dict[str, float]:
        """The cost of a step of each trained arm, in plain steps; `seeds` networks teach together."""
        return {
            arm: measure_cost(self.arms[side][arm], seeds, self.results[side]["batch_size"])
            for arm, side in self.sides.items()
        }

    def tell_left_out(self) -> str:
        """A sentence, with a space before it, about arms beside the challenger that learnt from no generated image."""
        return "" if self.challenger is None else tell_left_out(self.left_out_by_controller)

    @property
    def aliases(self) -> dict[str, str]:
        return {alias: arm for found in self.results.values() for alias, arm in found["aliases"].items()}

    @property
    def left_out(self) -> dict[str, dict[str, Any]]:
        """The arms that were left out after one training, and why."""
        return {arm: why for found in self.results.values() for arm, why in found["left_out"].items()}

    @property
    def metric(self) -> Metric:
        """The metric that chose every arm's setting."""
        metric, other = (found["metric"] for found in self.results.values())
        assert metric == other, f"one side was chosen by {metric}, the other by {other}"
        return metric

    @property
    def budget(self) -> Budget:
        """Steps and batch size of the training; arms may differ in steps if the grid tries several."""
        shared = self.results[BASELINES]
        steps = [int(entry["setting"].get("steps", shared["steps"])) for entry in self.entries.values()]
        arms = (self.arms[side][arm] for arm, side in self.sides.items())
        largest = find_largest_batch(arms, shared["batch_size"])
        return Budget(max(steps), shared["batch_size"], min(steps) if min(steps) < max(steps) else None, largest)

    @property
    def generators(self) -> int:
        """How many generators' images the seeds of the expanded arms were trained on."""
        return int(self.results[EXPANDED]["generators"])

    @property
    def baseline(self) -> str:
        """The arm without generated images that validation picks."""
        return self._pick("baseline")

    @property
    def challenger(self) -> str | None:
        """The arm with generated images that validation picks; None where no arm learnt from any."""
        return self._pick("expanded") if "expanded" in self.kinds.values() else None

    def _pick(self, kind: Kind) -> str:
        own = {arm for arm, found in self.kinds.items() if found == kind}
        return pick_best({arm: entry["validation"] for arm, entry in self.entries.items() if arm in own})


def read_trained(run: StageRun) -> Trained:
    """From the folders of the two stages that train the arms."""
    return join_sides(run.recipe, {side: read_json(run.inputs[side] / RESULTS) for side in (BASELINES, EXPANDED)})


def join_sides(recipe: Recipe, results: Mapping[str, Mapping[str, Any]]) -> Trained:
    """The arms of a recipe by the results.json of each side that was trained."""
    written = {BASELINES: recipe.baselines, EXPANDED: recipe.expanded}
    return Trained(
        results, {side: read_settled(arms, results.get(side, {})) for side, arms in written.items()}, written
    )


def list_rates(entries: Mapping[str, Mapping[str, Any]]) -> dict[str, list[float]]:
    """The accuracy of arms on each class of validation, from their entries in results.json; nan for a class without
    images."""
    return {
        arm: [float("nan") if rate is None else rate for rate in entry["validation_per_class"]]
        for arm, entry in entries.items()
    }
