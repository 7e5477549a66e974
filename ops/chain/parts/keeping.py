"""`on_new_images: keep_generator`: reuse the existing generator when its source gains images.

The generator's output stays the same, byte for byte. Its manifest names the real images that it was trained on and
those that it serves now, so no other expansion mistakes it for a generator trained on the latter. The later stages
depend on their own inputs: they draw more images, and filter all of them again against the new real images.
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
from ops.files.outputs import TRAINED_ON
from ops.files.storage import read_json, recover_folder, write_json
from ops.generators.folder import CONFIG
from ops.recipe.fingerprints import list_inputs, stage_fingerprint, stage_settings
from ops.recipe.schema import Recipe
from ops.sources.spec import SourceSpec
from ops.stages.integrity import is_intact, require_intact
from ops.stages.materialization import Outcome, identify
from ops.workspaces.locks import exclusive
from ops.workspaces.workspace import Workspace

GENERATOR = "generator"  # the stage


def require_stable_splits(recipe: Recipe, source: SourceSpec) -> None:
    """UserError if training images of a kept generator could move to the test split."""
    if recipe.on_new_images == "keep_generator" and source.split is not None and not source.split.stable:
        raise UserError(
            f"source {source.name}: its drawn splits change when images arrive, which on_new_images: keep_generator"
            " does not allow; add `stable: true` to split:"
        )


def is_keepable(workspace: Workspace, expansion: str, recipe: Recipe) -> bool:
    """Whether the recipe keeps the generator, and an intact one with its settings and the present version exists."""
    folder, cache = workspace.output(expansion, GENERATOR), workspace.hash_cache(expansion, GENERATOR)
    if recipe.on_new_images != "keep_generator" or not is_intact(folder, cache=cache):
        return False
    manifest = read_manifest(folder)
    return bool(
        manifest["settings"] == stage_settings(recipe, GENERATOR)
        and manifest["version"] == workspace.stage_version(GENERATOR)
    )


def keep_generator(workspace: Workspace, expansion: str, recipe: Recipe) -> Outcome | None:
    """Reuse the existing generator for the present real images and update its manifest; None if one must be trained.

    A generator is reused if it `is_keepable` and draws images with the classes and the shape of the real ones.
    """
    target = workspace.output(expansion, GENERATOR)
    require_intact(workspace, expansion, list_inputs(recipe, GENERATOR))
    identity = identify(workspace, recipe, expansion, GENERATOR)
    with exclusive(workspace, expansion, GENERATOR):
        recover_folder(target)
        if not is_keepable(workspace, expansion, recipe):
            return None
        if read_shape(target) != describe_images(read_manifest(workspace.output(expansion, "real_images"))["metrics"]):
            return None
        # The source may have changed since it was validated, so compare with the images in `real_images`.
        require_unseen(workspace, expansion, list_contents(workspace.output(expansion, "real_images")))
        manifest = read_manifest(target)
        trained_on = manifest["inputs"].get("trained_on", manifest["inputs"]["real_images"])
        inputs = identity["inputs"]
        if trained_on != inputs["real_images"]:
            inputs = {**inputs, "trained_on": trained_on}
        if manifest["inputs"] != inputs:
            fingerprint = stage_fingerprint(GENERATOR, identity["version"], identity["settings"], inputs)
            manifest = {**manifest, "inputs": inputs, "fingerprint": fingerprint}
            write_json(target / MANIFEST, seal(manifest))
        return Outcome(manifest, target, 0.0, reused=True)


def require_unseen(workspace: Workspace, expansion: str, contents: Mapping[str, Collection[str]]) -> None:
    """UserError if the kept generator was trained on images that are now in validation or test, by content id."""
    path = workspace.output(expansion, GENERATOR) / TRAINED_ON
    seen = {name.partition("-")[0] for name in pl.read_parquet(path, glob=False)["image_id"]}
    for split in ("validation", "test"):
        if both := sorted(seen.intersection(contents[split])):
            count = f"{len(both)} image{'s that are' if len(both) > 1 else ' that is'}"
            raise UserError(
                f"the kept generator of '{expansion}' was trained on {count} now in {split}, e.g. {both[0]}; set"
                " on_new_images: retrain, or put them back into train"
            )


def list_contents(real_images: Path) -> dict[str, set[str]]:
    """Content ids of the validation and test images in the output of the stage real_images."""
    return {
        split: {name.partition("-")[0] for name in read_rows(find_shards(real_images, split))["image_id"]}
        for split in ("validation", "test")
    }


def read_shape(generator: Path) -> tuple[list[str], list[int]]:
    """Class names, and (height, width, channels) of the images that a generator draws."""
    config = read_json(generator / CONFIG)
    return config["class_names"], [config[key] for key in ("height", "width", "channels")]


def describe_images(metrics: dict[str, Any]) -> tuple[list[str], list[int]]:
    """Class names and shape of the real images, from the metrics of their stage."""
    return metrics["class_names"], metrics["shape"]
