"""Chains whose generator is a tiny pipeline: refused, drawn, filtered and published like any other."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ops.chain.driver import validate
from ops.datasets.pixels import read_rows
from ops.datasets.shards import find_shards
from ops.errors import UserError
from ops.files.outputs import DRAWN, IMAGINED, INDEX, PARITY
from ops.files.storage import read_json
from ops.workspaces.workspace import Workspace
from tests.workspaces import growset, make_workspace, one_core

OFF = "{wrong_label: null, near_copy: null, near_repeat: null, atypical: null, blank: null, saturated: null}"
LORA = "lora: {rank: 2, steps: 2, batch_size: 2, preservation: {images: 1, templates: ['a {class}']}}"

pytestmark = pytest.mark.slow


@pytest.fixture
def make(root: Path, settings: Callable[..., Any], tmp_path: Path) -> Callable[..., Workspace]:
    """The digits workspace with a pipeline of `root` as its generator."""

    def build(name: str, keys: str, sampler: str) -> Workspace:
        folder = make_workspace(tmp_path / "workspace")
        shutil.copytree(root / name, folder / "models" / name)
        kind = "unclip" if name == "unclip" else "stable-diffusion"
        generator = f"kind: {kind}, model: models/{name}, sha256: {settings(name).sha256}, licence: 'as is', {keys}"
        path = folder / "recipes" / "digits.yaml"
        text = path.read_text()
        lines = {
            "generator": f"{{{generator}}}",
            "sampler": f"{{usable_from: null, steps: 2, {sampler}}}",
            "filter": OFF,
        }
        for key, value in lines.items():
            text = re.sub(rf"(?m)^{key}:.*$", lambda _, key=key, value=value: f"{key}: {value}", text)
        path.write_text(text)
        return Workspace(folder)

    return build


@pytest.mark.parametrize(
    ("name", "keys", "sampler", "varied"),
    [
        ("sd", f"mode: image, {LORA}", "strength: 0.5, moves: null, keeps: null", True),
        ("unclip", "noise_level: 20", "moves: null, keeps: null", True),
    ],
)
def test_the_whole_chain(make: Callable[..., Workspace], name: str, keys: str, sampler: str, varied: bool) -> None:
    workspace = make(name, keys, sampler)
    with one_core():
        result = growset(workspace.root, "run", "digits", "--workers", "1")
    assert result.exit_code == 0, result.output
    assert read_json(workspace.output("digits", "generator_onnx") / PARITY)["share_equal"] == 1.0
    drawn = read_rows(find_shards(workspace.output("digits", "generated_images"), "generated"))
    assert (drawn["parent_id"].null_count() == 0) == varied
    card = " ".join((workspace.published("digits") / "README.md").read_text().split())
    assert "the licence of its weights, as their owner states it: as is." in card
    result = growset(workspace.root, "generate", "digits", "--count", "2", "--out", str(workspace.root.parent / "out"))
    assert result.exit_code == 2 and "draws in torch with weights that are not in it" in result.output
    growset(workspace.root, "run", "digits")
    assert "unchanged" in growset(workspace.root, "run", "digits").output


@pytest.mark.parametrize(
    ("name", "keys", "sampler"),
    [
        ("sd", "mode: image", "strength: 0.5,"),
        ("flagging", "mode: image", "strength: 0.5,"),
        ("unclip", "noise_level: 20", ""),
    ],
)
def test_a_pipeline_imagines(make: Callable[..., Workspace], name: str, keys: str, sampler: str) -> None:
    imagination = "{mode: guided, group: 2, force: true}"
    workspace = make(name, keys, f"{sampler} solver: ddim, moves: null, keeps: null, imagination: {imagination}")
    assert growset(workspace.root, "check", "digits").exit_code == 0
    result = growset(workspace.root, "plan", "digits")
    assert result.exit_code == 0 and "generated_images" in result.output, result.output
    with one_core():
        result = growset(workspace.root, "run", "digits", "--workers", "1")
    flagging = name == "flagging"
    assert result.exit_code == int(flagging), result.output
    folder = workspace.output("digits", "generated_images")
    rows, records = read_rows(find_shards(folder, "generated")), pl.read_parquet(folder / IMAGINED)
    assert records["image_id"].to_list() == rows["image_id"].to_list()
    assert set(records["mode"]) == {"guided"} and (records["slope"] > 0).any()  # random weights saturate some images
    assert ("prompt" in records.columns, "flagged" in records.columns) == (name != "unclip",) * 2
    if flagging:
        funnel = growset(workspace.root, "funnel", "digits").output
        share = f"flagged {len(rows)} of {len(rows)} drawn images (100.0 %)"
        assert share in " ".join(funnel.split()) and records["flagged"].all()


def test_flagged_images_never_enter_the_set_and_are_counted(make: Callable[..., Workspace]) -> None:
    workspace = make("flagging", "mode: text", "solver: ddim")
    with one_core():
        result = growset(workspace.root, "run", "digits", "--workers", "1")
    assert result.exit_code == 1 and re.search(r"128 of the 128 images drawn for them are unsafe", result.output)
    index = pl.read_parquet(workspace.output("digits", "accepted_images") / INDEX)
    assert index["flagged"].all() and not index["keep"].any()
    records = pl.read_parquet(workspace.output("digits", "generated_images") / DRAWN)
    assert records["flagged"].all() and set(records["prompt"]) == {"a photo of a zero.", "a photo of a one."}
    assert records["image_id"].to_list() == index["image_id"].to_list()


def test_what_cannot_be_drawn_is_refused_with_code_2(make: Callable[..., Workspace]) -> None:
    workspace = make("sd", "prompts: {class_names: {zero: none}}", "solver: ddim")
    result = growset(workspace.root, "check", "digits")
    assert result.exit_code == 2 and "class_names has no name for class 'one'" in result.output
    shutil.rmtree(workspace.root / "models")
    with pytest.raises(UserError, match=r"models/sd does not exist"):
        validate(workspace, "digits")
