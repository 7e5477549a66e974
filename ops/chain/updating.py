"""Which stages of an expansion are not current: what a run brings up to date, whoever starts it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ops.chain.driver import FIRST
from ops.chain.real_images import source_content
from ops.files.manifests import PUBLISHED
from ops.history.dvc_repository import address, changed_stages, stage_addresses
from ops.recipe.schema import Recipe
from ops.recipe.stages import STAGES
from ops.stages.materialization import find_staleness
from ops.workspaces.workspace import Workspace


@dataclass(frozen=True)
class Pending:
    """Stages in the order of the table.

    stale : those whose output is missing, damaged or made from something else, by our manifests or by DVC's lock.
    unrecorded : those that are current, though DVC has to be told of another key of a section that it watches.
    damaged : a sentence on each damaged output.
    """

    stale: tuple[str, ...]
    unrecorded: tuple[str, ...]
    damaged: tuple[str, ...]

    @property
    def assets(self) -> list[str]:
        """All that a run has to materialize, in order: what is pending, what follows from it, and publication."""
        selected = {*self.unrecorded, *find_downstream(self.stale)}
        return [stage for stage in STAGES if stage in selected] + [PUBLISHED]

    def __bool__(self) -> bool:
        return bool(self.stale or self.unrecorded)


def find_pending(workspace: Workspace, expansion: str, recipe: Recipe) -> Pending:
    """Ask the source, the manifests and, once, DVC. A source with other content is noted in params.yaml."""
    content = source_content(workspace, recipe)
    if content != workspace.source_version(expansion):
        workspace.edit_params(source_versions={expansion: content})
    changed = changed_stages(workspace.root, stage_addresses(expansion))
    stale, unrecorded, damaged = [], [], []
    for stage in STAGES:
        found = find_staleness(workspace, expansion, stage, recipe, content if stage == FIRST else None)
        if not found and STAGES[stage].reads_part and address(stage, expansion) in changed:
            unrecorded.append(stage)
        elif found or address(stage, expansion) in changed:
            stale.append(stage)
        if found and found.damaged:
            damaged.append(f"{stage} {found.why}; it is made anew")
    return Pending(tuple(stale), tuple(unrecorded), tuple(damaged))


def find_downstream(stages: Iterable[str]) -> set[str]:
    """The stages and all that depend on them."""
    selected = set(stages)
    for name, stage in STAGES.items():  # the table is in the order of dependence
        if selected.intersection(stage.inputs):
            selected.add(name)
    return selected
