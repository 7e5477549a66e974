"""`on_new_images: keep_generator`: the generator that is there serves on when its source has got new images.

Its output stays byte for byte; the manifest says which real images it learnt from and which ones it serves now, so
that no other expansion takes it for one that was trained on these. More is drawn from it and all of it is filtered
again against the new images, because the stages after it follow their own inputs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from ops.datasets.pixels import read_rows
from ops.datasets.shards import find_shards
from ops.errors import UserError
from ops.files.manifests import MANIFEST, read_manifest, seal
from ops.files.storage import read_json, recover_folder, write_json
from ops.generators.folder import CONFIG
from ops.recipe.fingerprints import stage_fingerprint, stage_settings
from ops.recipe.schema import Recipe
from ops.recipe.stages import STAGES
from ops.sources.spec import SourceSpec
from ops.stages.integrity import is_intact, require_intact
from ops.stages.materialization import Outcome, identify
from ops.workspaces.locks import exclusive
from ops.workspaces.workspace import Workspace

STAGE = "generator"
TRAINED_ON = "trained_on.parquet"  # in its output: ids of the images that it has learnt from


def require_stable_splits(recipe: Recipe, source: SourceSpec) -> None:
    """UserError where a kept generator could meet images in test that it has learnt from."""
    if recipe.on_new_images == "keep_generator" and source.split is not None and not source.split.stable:
        raise UserError(
            f"source {source.name}: its drawn splits move as images arrive, so on_new_images: keep_generator cannot"
            " be; add `stable: true` to split:"
        )


def is_keepable(workspace: Workspace, expansion: str, recipe: Recipe) -> bool:
    """Whether there is a generator with the recipe's settings and of the present version, and it is to be kept."""
    folder = workspace.output(expansion, STAGE)
    if recipe.on_new_images != "keep_generator" or not is_intact(folder, cache=workspace.hash_cache(expansion, STAGE)):
        return False
    manifest = read_manifest(folder)
    return bool(
        manifest["settings"] == stage_settings(recipe, STAGE) and manifest["version"] == workspace.stage_version(STAGE)
    )


def keep_generator(workspace: Workspace, expansion: str, recipe: Recipe) -> Outcome | None:
    """The present generator for the present real images, its manifest brought up to date; None if one must be trained.

    It must be trained unless it `is_keepable` and draws the classes and the shape that the real images have.
    """
    target = workspace.output(expansion, STAGE)
    require_intact(workspace, expansion, STAGES[STAGE].inputs)
    identity = identify(workspace, recipe, expansion, STAGE)
    with exclusive(workspace, expansion, STAGE):
        recover_folder(target)
        if not is_keepable(workspace, expansion, recipe):
            return None
        if read_shape(target) != describe_images(read_manifest(workspace.output(expansion, "real_images"))["metrics"]):
            return None
        # The source may have changed since it was validated: what counts is what `real_images` holds.
        require_unseen(workspace, expansion, list_contents(workspace.output(expansion, "real_images")))
        manifest = read_manifest(target)
        trained_on = manifest["inputs"].get("trained_on", manifest["inputs"]["real_images"])
        inputs = identity["inputs"]
        if trained_on != inputs["real_images"]:
            inputs = {**inputs, "trained_on": trained_on}
        if manifest["inputs"] != inputs:
            fingerprint = stage_fingerprint(STAGE, identity["version"], identity["settings"], inputs)
            manifest = {**manifest, "inputs": inputs, "fingerprint": fingerprint}
            write_json(target / MANIFEST, seal(manifest))
        return Outcome(manifest, target, 0.0, reused=True)


def require_unseen(workspace: Workspace, expansion: str, contents: Mapping[str, Collection[str]]) -> None:
    """UserError if the kept generator has learnt from images that are in validation or test now, by content id."""
    path = workspace.output(expansion, STAGE) / TRAINED_ON
    seen = {name.partition("-")[0] for name in pl.read_parquet(path, glob=False)["image_id"]}
    for split in ("validation", "test"):
        if both := sorted(seen.intersection(contents[split])):
            count = f"{len(both)} image{'s that are' if len(both) > 1 else ' that is'}"
            raise UserError(
                f"the kept generator of '{expansion}' has learnt from {count} in {split} now, e.g. {both[0]}; set"
                " on_new_images: retrain, or put them back into train"
            )


def list_contents(real_images: Path) -> dict[str, set[str]]:
    """Content ids of validation and test in the stage's output."""
    return {
        split: {name.partition("-")[0] for name in read_rows(find_shards(real_images, split))["image_id"]}
        for split in ("validation", "test")
    }


def read_shape(generator: Path) -> tuple[list[str], list[int]]:
    """Class names, and height, width and channels of what a generator draws."""
    config = read_json(generator / CONFIG)
    return config["class_names"], [config[key] for key in ("height", "width", "channels")]


def describe_images(metrics: dict[str, Any]) -> tuple[list[str], list[int]]:
    """The same of real images, from the stage's metrics."""
    return metrics["class_names"], metrics["shape"]
