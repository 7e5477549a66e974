"""A stage's output or a default may not change unnoticed: stored digests of a tiny run, beside the stage's version.

Exact bytes for stages that compute in integers. For trained ones the structure (files, tensor names and
shapes, table schemas, JSON keys) and the resolved settings: float results differ between processors.
After a deliberate change raise `stage_versions.<stage>` in params.yaml and write the digests anew with
GROWSET_WRITE_GOLDEN=1 in the environment of this test.
"""

import json
import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from PIL import Image
from safetensors import safe_open

from ops.files.hashing import hash_json
from ops.files.manifests import read_manifest
from ops.recipe.loading import load_recipe
from ops.recipe.stages import STAGES
from ops.workspaces.workspace import Workspace
from tests.workspaces import ROOT

GOLDEN = Path(__file__).with_name("golden.json")
EXACT = ("real_images", "expansion_plan")


def describe(stage: str, folder: Path) -> str:
    """Digest of an output: exact content, or its structure and settings."""
    manifest = read_manifest(folder)
    if stage in EXACT:
        return hash_json([manifest["settings"], manifest["content"]])
    structure = {name: describe_file(folder / name) for name in sorted(manifest["files"])}
    return hash_json([manifest["settings"], structure, sorted(manifest["metrics"])])


def describe_file(path: Path) -> Any:
    if path.suffix == ".safetensors":
        with safe_open(path, framework="np") as file:
            return {name: file.get_slice(name).get_shape() for name in sorted(file.keys())}
    if path.suffix == ".parquet":
        return {name: str(kind) for name, kind in pl.read_parquet_schema(path).items()}
    if path.suffix == ".json":
        return keys_of(json.loads(path.read_text()))
    if path.suffix == ".png":
        return list(Image.open(path).size) if not path.stem.endswith("sheet") else "a sheet"
    return path.suffix


def keys_of(value: Any) -> Any:
    """The shape of a JSON value: keys of mappings, the first item's shape of lists, nothing of the values."""
    if isinstance(value, dict):
        return {key: keys_of(item) for key, item in sorted(value.items())}
    if isinstance(value, list):
        return [keys_of(value[0])] if value else []
    return "value"


def test_outputs_and_defaults_are_those_of_their_versions(finished_workspace: Path) -> None:
    workspace = Workspace(finished_workspace)
    shipped = Workspace(ROOT)
    found = {
        stage: {"version": shipped.stage_version(stage), "digest": describe(stage, workspace.output("digits", stage))}
        for stage in STAGES
    }
    if os.environ.get("GROWSET_WRITE_GOLDEN"):
        GOLDEN.write_text(json.dumps(found, indent=2) + "\n")
    golden = json.loads(GOLDEN.read_text())
    changed = [stage for stage in STAGES if found[stage] != golden[stage]]
    silent = [stage for stage in changed if found[stage]["version"] == golden[stage]["version"]]
    assert not silent, f"the output or a default of {silent} changed: raise stage_versions and write the digests anew"
    assert not changed, f"versions of {changed} were raised: write the digests anew"


@pytest.mark.parametrize("name", ["smoke", "fashion-flow"])
def test_shipped_recipes_write_every_default_out(name: str) -> None:
    from ruamel.yaml import YAML

    path = ROOT / "recipes" / f"{name}.yaml"
    written = YAML(typ="safe").load(path.read_text())
    resolved = load_recipe(path).model_dump(mode="json")
    for section, keys in resolved.items():
        if isinstance(keys, dict) and section not in ("baselines", "expanded"):
            assert set(written[section]) == set(keys), f"{section} of {name}"
