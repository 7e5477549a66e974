"""What the factory of assets knows of one expansion: its name, its recipe, and what they are called in Dagster.

An expansion is a group of assets with keys `[expansion, stage]` and a job of its own, so that Dagster's pages,
staleness, history, checks and alerts are about this expansion alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from assets.pools import CPU, find_pool
from assets.references import refer, refer_source
from ops.chain.driver import FIRST
from ops.errors import GrowsetError
from ops.files.manifests import PUBLISHED
from ops.recipe.automation import AutomationSettings
from ops.recipe.prior import PoolSettings
from ops.recipe.schema import Recipe
from ops.recipe.stages import PUBLISHED_INPUTS, STAGES
from ops.workspaces.names import SOURCES, identifier
from ops.workspaces.workspace import Workspace

EXPANSION = "growset/expansion"  # tag of every run of an expansion's job
PRIOR = "prior"  # the stage that reads a pool
PUBLISH = "growset/publish"  # tag of a run that started by itself: the verdict with which it publishes
AUTOMATED = "growset/automated"  # tag of such a run: its expansion; dagster.yaml lets one at a time of each begin
PUBLISHED_DEPS = (*PUBLISHED_INPUTS, "report")  # it waits for the report, which holds the reasons of the verdict


def source_key(source: str) -> dg.AssetKey:
    """The key of the asset of a source, which the expansions of this source share."""
    return dg.AssetKey([SOURCES, source])


def name_source(source: str) -> str:
    """The name of a source's asset among the references of a place; no stage has it."""
    return f"{SOURCES}/{source}"


@dataclass(frozen=True)
class Place:
    """One expansion. `recipe` is None where it is wrong: `fault` tells why, and its assets exist, but fail with it."""

    expansion: str
    versions: Mapping[str, int]  # of its stages
    recipe: Recipe | None
    fault: str | None = None
    owners: tuple[str, ...] = ()
    references: Mapping[str, dg.CodeReferencesMetadataValue] = field(default_factory=dict)  # of assets and sources
    retries: bool = False  # whether a step that asks a remote is tried again
    device: str = CPU  # torch device of its steps, as far as it is known before they run
    pooled: bool = True  # whether its steps wait for those of other runs

    @property
    def group(self) -> str:
        """The name of its group of assets; also the first part of the names of its steps."""
        return identifier(self.expansion)

    @property
    def job(self) -> str:
        """The name of the job that runs its whole chain."""
        return f"expand_{self.group}"

    @property
    def automation(self) -> AutomationSettings | None:
        """When its job starts by itself; None if never."""
        return None if self.recipe is None else self.recipe.automation

    @property
    def sources(self) -> dict[str, tuple[str, ...]]:
        """The sources, or the pool, that each stage reads that reads any."""
        if self.recipe is None:
            return {}
        prior, others = self.recipe.prior, self.recipe.data.unlabelled
        first = (self.recipe.source, *(() if others is None else (others,)))
        return {FIRST: first, **({PRIOR: (prior.pool,)} if isinstance(prior, PoolSettings) else {})}

    @property
    def read_sources(self) -> list[str]:
        """All of these, each once."""
        return list(dict.fromkeys(source for sources in self.sources.values() for source in sources))

    def key(self, asset: str) -> dg.AssetKey:
        """The key of the asset of a stage, or of the published dataset."""
        return dg.AssetKey([self.expansion, asset])

    def deps(self, asset: str) -> list[dg.AssetKey]:
        """What an asset is made from; the first stage reads the source, and a prior its pool."""
        sources = map(source_key, self.sources.get(asset, ()))
        return [*sources, *map(self.key, PUBLISHED_DEPS if asset == PUBLISHED else STAGES[asset].inputs)]

    def pool(self, asset: str) -> str | None:
        """The pool in which that asset, or the source under SOURCES, takes its turn; None if it need not wait."""
        return find_pool(asset, self.device) if self.pooled else None

    def tags(self, asset: str) -> dict[str, str]:
        """The tags of that asset; `kind` is the generator's."""
        kind = {} if self.recipe is None else {"kind": self.recipe.generator.kind}
        return {"expansion": self.expansion, "stage": asset, **kind}

    def metadata(self, asset: str) -> dict[str, Any]:
        """What is known before it is made of an asset, or of a source by `name_source`."""
        return {"dagster/code_references": self.references[asset]} if asset in self.references else {}

    def describe(self, description: str) -> str:
        """The description of an asset, after the mistake in the recipe if there is one."""
        return description if self.fault is None else f"**It cannot be made: {self.fault}**\n\n{description}"


def read_place(
    workspace: Workspace, expansion: str, *, retries: bool = False, device: str = CPU, pooled: bool = True
) -> Place:
    """An active expansion as it is now in params.yaml and its recipe."""
    versions = {stage: workspace.stage_version(stage) for stage in STAGES}
    recipe, fault = None, None
    try:
        recipe = workspace.load_recipe(expansion)
    except GrowsetError as error:  # shown in the UI, and raised by each of its steps
        fault = str(error)
    references = {asset: refer(workspace, expansion, asset) for asset in (*STAGES, PUBLISHED)}
    found = Place(
        expansion,
        versions,
        recipe,
        fault,
        owners=tuple(workspace.owners),
        references=references,
        retries=retries,
        device=device,
        pooled=pooled,
    )
    references |= {name_source(source): refer_source(workspace, source) for source in found.read_sources}
    return found
