"""The stages of an expansion that are not current, which a run has to bring up to date."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ops.chain.contents import read_contents
from ops.chain.driver import FIRST
from ops.files.manifests import PUBLISHED
from ops.history.dvc_repository import address, changed_stages, stage_addresses
from ops.recipe.schema import Recipe
from ops.recipe.stages import STAGES
from ops.stages.materialization import find_staleness
from ops.workspaces.workspace import Workspace


@dataclass(frozen=True)
class Pending:
    """Stages in the order of the table.

    stale : output is missing, damaged or made from something else, by Growset's manifests or by dvc.lock.
    unrecorded : output is current, but DVC must record a change of another key in a recipe section that it compares.
    damaged : a sentence on each damaged output.
    """

    stale: tuple[str, ...]
    unrecorded: tuple[str, ...]
    damaged: tuple[str, ...]

    @property
    def assets(self) -> list[str]:
        """The assets that a run has to materialize, in order: pending stages, all stages after them, publication."""
        selected = {*self.unrecorded, *find_downstream(self.stale)}
        return [stage for stage in STAGES if stage in selected] + [PUBLISHED]

    def __bool__(self) -> bool:
        return bool(self.stale or self.unrecorded)


def find_pending(workspace: Workspace, expansion: str, recipe: Recipe) -> Pending:
    """Compare source, manifests and, in one call, DVC's state. New source content is recorded in params.yaml."""
    contents = read_contents(workspace, recipe)
    content = contents[FIRST]
    if content != workspace.source_version(expansion):
        workspace.edit_params(source_versions={expansion: content})
    changed = changed_stages(workspace.root, stage_addresses(expansion))
    stale, unrecorded, damaged = [], [], []
    for stage in STAGES:
        found = find_staleness(workspace, expansion, stage, recipe, contents.get(stage))
        if not found and STAGES[stage].reads_part and address(stage, expansion) in changed:
            unrecorded.append(stage)
        elif found or address(stage, expansion) in changed:
            stale.append(stage)
        if found and found.damaged:
            damaged.append(f"{stage} {found.why}; it is made anew")
    return Pending(tuple(stale), tuple(unrecorded), tuple(damaged))


def find_downstream(stages: Iterable[str]) -> set[str]:
    """The stages and all stages that depend on them."""
    selected = set(stages)
    for name, stage in STAGES.items():  # the table is in the order of dependence
        if selected.intersection(stage.inputs):
            selected.add(name)
    return selected
