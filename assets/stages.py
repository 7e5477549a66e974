"""The assets that are one stage each. They differ only in data: description, kinds, pictures."""

import dagster as dg

from assets.looks import describe
from assets.outcome import data_version, describe_memory, describe_outcome, growset_errors
from assets.place import Place
from ops.chain.driver import Chain
from ops.machine.peak_memory import watch_memory


def build_stage_asset(place: Place, stage: str) -> dg.AssetsDefinition:
    """The asset of one stage of an expansion; its dependencies are the stage table's, and the source."""
    look = describe(stage, place.recipe)

    @dg.asset(
        key=place.key(stage),
        deps=place.deps(stage),
        description=place.describe(look.description),
        group_name=place.group,
        kinds=set(look.kinds),
        tags=place.tags(stage),
        owners=list(place.owners),
        metadata=place.metadata(stage),
        code_version=str(place.versions[stage]),
        pool=place.pool(stage),
    )
    def stage_asset(context: dg.AssetExecutionContext, chain: dg.ResourceParam[Chain]) -> dg.MaterializeResult:
        with growset_errors(), watch_memory() as peaks:
            chain.validate(place.expansion)
            outcome = chain.with_default_sink(context.log.info).run(place.expansion, stage)
        metadata = {**describe_outcome(outcome, place.expansion, look), **describe_memory(peaks)}
        return dg.MaterializeResult(metadata=metadata, data_version=data_version(outcome))

    return stage_asset
