"""`generated_images` as a graph: plan, one mapped step per slice, collect.

A slice is a node or a GPU; within it one process per core draws. If a slice fails, its finished pieces are kept, and
the next run draws the rest. Slices draw the first round of every generator; collect scores it and makes the later
rounds. With one slice there is nothing to map: collect draws and writes in one step. If nothing needs to be done, there
are no slices, and collect reports the reuse.
"""

import warnings
from collections.abc import Iterator

import dagster as dg

from assets.looks import describe
from assets.outcome import data_version, describe_memory, describe_outcome, growset_errors
from assets.place import Place
from ops.chain.driver import Chain
from ops.machine.peak_memory import watch_memory
from ops.recipe.stages import STAGES

STAGE = "generated_images"
INPUTS = STAGES[STAGE].inputs


def build_generated_images(place: Place) -> dg.AssetsDefinition:
    """The graph-backed asset of an expansion. Dagster wants one name per op, so each expansion's ops bear its own."""
    look, expansion = describe(STAGE, place.recipe), place.expansion

    @dg.op(
        name=f"{place.group}__plan_generation",
        ins={name: dg.In(dg.Nothing) for name in INPUTS},
        out=dg.DynamicOut(int),
        description="How many slices have work.",
    )
    def plan_generation(
        context: dg.OpExecutionContext, chain: dg.ResourceParam[Chain]
    ) -> Iterator[dg.DynamicOutput[int]]:
        with growset_errors():
            chain.validate(expansion)
            count = 0
            if chain.slices > 1:  # the import loads torch, also where nothing is to be drawn
                from ops.chain.generated_images import plan_slices

                count = plan_slices(chain.workspace, expansion, chain.slices)
        for index in range(count):
            yield dg.DynamicOutput(index, mapping_key=f"slice_{index:03d}")

    @dg.op(
        name=f"{place.group}__draw_slice",
        pool=place.pool(STAGE),
        description="Draw one slice's missing pieces; returns how many images.",
    )
    def draw_slice(context: dg.OpExecutionContext, chain: dg.ResourceParam[Chain], index: int) -> int:
        from ops.chain.generated_images import fill_slice

        runtime = chain.with_default_sink(context.log.info).runtime
        with growset_errors():
            return fill_slice(chain.workspace, expansion, index, chain.slices, runtime)

    @dg.op(
        name=f"{place.group}__collect_slices",
        ins={"drawn": dg.In(list[int])},
        out=dg.Out(dg.Nothing),
        pool=place.pool(STAGE),
        description="Draw what no slice has drawn, and assemble the pieces into one dataset.",
    )
    def collect_slices(
        context: dg.OpExecutionContext, chain: dg.ResourceParam[Chain], drawn: list[int]
    ) -> dg.Output[None]:
        with growset_errors(), watch_memory() as peaks:
            outcome = chain.with_default_sink(context.log.info).run(expansion, STAGE)
        metadata = {
            **describe_outcome(outcome, expansion, look),
            **describe_memory(peaks),
            "drawn_in_slices": sum(drawn),
        }
        with warnings.catch_warnings():  # `data_version` is beta here; a graph cannot report the version in another way
            warnings.simplefilter("ignore", dg.BetaWarning)
            return dg.Output(None, metadata=metadata, data_version=data_version(outcome))

    @dg.graph_asset(
        key=place.key(STAGE),
        ins={name: dg.AssetIn(key=place.key(name), dagster_type=dg.Nothing) for name in INPUTS},
        description=place.describe(look.description),
        group_name=place.group,
        kinds=set(look.kinds),
        tags=place.tags(STAGE),
        owners=list(place.owners),
        metadata=place.metadata(STAGE),
        code_version=str(place.versions[STAGE]),
    )
    def generated_images(real_images, expansion_plan, scorer, generator_onnx):  # type: ignore[no-untyped-def]
        slices = plan_generation.alias("plan_generation")(
            real_images=real_images, expansion_plan=expansion_plan, scorer=scorer, generator_onnx=generator_onnx
        )
        drawn = slices.map(draw_slice.alias("draw_slice")).collect()
        return collect_slices.alias("collect_slices")(drawn=drawn)

    return generated_images
