"""The assets that are one stage each. They differ only in data: description, group, kinds, pictures."""

from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg

from assets.outcome import data_version, describe_outcome, growset_errors
from ops.chain.driver import Chain
from ops.files.outputs import CONTACT_SHEET, REJECTED_SHEET, REPORT, SAMPLES
from ops.recipe.stages import STAGES

COMPUTE_POOL = "compute"  # dagster.yaml allows one at a time: each step uses all cores by itself


@dataclass(frozen=True)
class Look:
    """How a stage appears in the UI. `pictures` are globs of PNG files in its output, `pages` are files to open."""

    description: str
    group: str
    kinds: frozenset[str]
    pictures: tuple[str, ...] = ()
    pages: tuple[str, ...] = ()


LOOKS: dict[str, Look] = {
    "real_images": Look(
        "The source's labelled images: train, validation and test as Parquet.",
        "data",
        frozenset({"parquet"}),
        (CONTACT_SHEET,),
    ),
    "expansion_plan": Look("How many images each class gets.", "data", frozenset({"json"})),
    "training_policy": Look(
        "Augmentation, input, network and length of every classifier's training, chosen on validation.",
        "data",
        frozenset({"pytorch", "json"}),
    ),
    "scorer": Look(
        "Cross-fitted classifier on real training images; judges generated ones.",
        "data",
        frozenset({"pytorch"}),
    ),
    "generator": Look(
        "The generator: trained on the real training images, or brought in from elsewhere.",
        "generator",
        frozenset({"pytorch"}),
        (SAMPLES.format(step="*"),),
    ),
    "generator_onnx": Look(
        "The generator as a directory that plain ONNX Runtime runs; parity with the eager sampler is checked.",
        "generator",
        frozenset({"onnx"}),
    ),
    "generated_images": Look(
        "All drawn images, byte for byte the same however the work was split.",
        "dataset",
        frozenset({"onnx", "parquet"}),
        (CONTACT_SHEET,),
    ),
    "accepted_images": Look(
        "Which generated images are kept, and why each other one is rejected.",
        "dataset",
        frozenset({"polars", "parquet"}),
        (CONTACT_SHEET, REJECTED_SHEET),
    ),
    "mixed_dataset": Look(
        "Real and accepted images with their weights (AdaInf's N and β).",
        "dataset",
        frozenset({"polars", "parquet"}),
    ),
    "baseline_classifiers": Look(
        "The arms without generated images: equal steps, paired seeds, settings chosen on validation.",
        "evidence",
        frozenset({"pytorch"}),
    ),
    "teachers": Look(
        "Networks of baseline arms that label images for arms with generated images; none unless the recipe asks.",
        "evidence",
        frozenset({"pytorch"}),
    ),
    "expanded_classifiers": Look(
        "The arms on the mixed dataset, trained under the same rules.",
        "evidence",
        frozenset({"pytorch"}),
    ),
    "folds": Look(
        "For a small test set: the whole chain on each fold of all images, and its answers to the fold's test images.",
        "evidence",
        frozenset({"pytorch", "parquet"}),
    ),
    "verdict": Look(
        "Helps, no evidence or hurts: closed-form intervals over test images and seeds.",
        "evidence",
        frozenset({"numpy"}),
    ),
    "report": Look("One HTML page, verdict first.", "evidence", frozenset({"html"}), pages=(REPORT,)),
}


def build_stage_asset(
    stage: str, partitions: dg.PartitionsDefinition, versions: Mapping[str, int]
) -> dg.AssetsDefinition:
    """The asset of one stage; its dependencies are the stage table's."""
    look = LOOKS[stage]

    @dg.asset(
        name=stage,
        deps=list(STAGES[stage].inputs),
        partitions_def=partitions,
        description=look.description,
        group_name=look.group,
        kinds=set(look.kinds),
        code_version=str(versions[stage]),
        pool=COMPUTE_POOL,
    )
    def stage_asset(context: dg.AssetExecutionContext, chain: dg.ResourceParam[Chain]) -> dg.MaterializeResult:
        with growset_errors():
            chain.validate(context.partition_key)
            outcome = chain.with_default_sink(context.log.info).run(context.partition_key, stage)
        return dg.MaterializeResult(
            metadata=describe_outcome(outcome, look.pictures, look.pages), data_version=data_version(outcome)
        )

    return stage_asset
