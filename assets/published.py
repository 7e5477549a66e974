"""`published_dataset`: a self-contained dataset, tracked, pushed and verified once all blocking checks have passed."""

import dagster as dg

from assets.outcome import describe_metrics, growset_errors
from ops.chain.driver import Chain
from ops.files.manifests import PUBLISHED
from ops.recipe.stages import PUBLISHED_INPUTS


def build_published_dataset(partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    """The last asset. It depends on every checked stage, so a failed blocking check prevents it from running."""

    @dg.asset(
        name=PUBLISHED,
        deps=[*PUBLISHED_INPUTS, "report"],
        partitions_def=partitions,
        description="Hugging Face Parquet dataset with card and verdict, under its own DVC pointer.",
        group_name="publication",
        kinds={"parquet", "dvc", "huggingface"},
        pool="dvc",
    )
    def published_dataset(context: dg.AssetExecutionContext, chain: dg.ResourceParam[Chain]) -> dg.MaterializeResult:
        from ops.chain.publishing import publish

        with growset_errors():
            done = publish(chain.workspace, context.partition_key)
        metadata = {
            **describe_metrics(done.manifest["metrics"]),
            "reused": done.reused,
            "remote": done.remote or "none: add one with `dvc remote add --default NAME URL`, then run this again",
            "objects_sent": done.objects_sent,
            "folder": dg.MetadataValue.path(str(done.folder)),
        }
        if done.tag:
            metadata["tag"] = done.tag
        return dg.MaterializeResult(metadata=metadata, data_version=dg.DataVersion(done.manifest["content"][:32]))

    return published_dataset
