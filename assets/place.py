"""What the factory of assets knows of one expansion: its name, its recipe, and what they are called in Dagster.

An expansion is a group of assets with keys `[expansion, stage]` and a job of its own, so that Dagster's pages,
staleness, history, checks and alerts are about this expansion alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from assets.references import refer
from ops.errors import GrowsetError
from ops.files.manifests import PUBLISHED
from ops.recipe.schema import Recipe
from ops.recipe.stages import STAGES
from ops.workspaces.names import identifier
from ops.workspaces.workspace import Workspace

EXPANSION = "growset/expansion"  # tag of every run of an expansion's job


@dataclass(frozen=True)
class Place:
    """One expansion. `recipe` is None where it is wrong: `fault` tells why, and its assets exist, but fail with it."""

    expansion: str
    versions: Mapping[str, int]  # of its stages
    recipe: Recipe | None
    fault: str | None = None
    owners: tuple[str, ...] = ()
    references: Mapping[str, dg.CodeReferencesMetadataValue] = field(default_factory=dict)  # of its assets

    @property
    def group(self) -> str:
        """The name of its group of assets; also the first part of the names of its steps."""
        return identifier(self.expansion)

    @property
    def job(self) -> str:
        """The name of the job that runs its whole chain."""
        return f"expand_{self.group}"

    def key(self, asset: str) -> dg.AssetKey:
        """The key of the asset of a stage, or of the published dataset."""
        return dg.AssetKey([self.expansion, asset])

    def tags(self, asset: str) -> dict[str, str]:
        """The tags of that asset; `kind` is the generator's."""
        kind = {} if self.recipe is None else {"kind": self.recipe.generator.kind}
        return {"expansion": self.expansion, "stage": asset, **kind}

    def metadata(self, asset: str) -> dict[str, Any]:
        """What is known of an asset before it is made."""
        return {"dagster/code_references": self.references[asset]} if asset in self.references else {}

    def describe(self, description: str) -> str:
        """The description of an asset, after the mistake in the recipe if there is one."""
        return description if self.fault is None else f"**It cannot be made: {self.fault}**\n\n{description}"


def read_place(workspace: Workspace, expansion: str) -> Place:
    """An active expansion as it is now in params.yaml and its recipe."""
    versions = {stage: workspace.stage_version(stage) for stage in STAGES}
    recipe, fault = None, None
    try:
        recipe = workspace.load_recipe(expansion)
    except GrowsetError as error:  # shown in the UI, and raised by each of its steps
        fault = str(error)
    references = {asset: refer(workspace, expansion, asset) for asset in (*STAGES, PUBLISHED)}
    return Place(expansion, versions, recipe, fault, tuple(workspace.owners), references)
