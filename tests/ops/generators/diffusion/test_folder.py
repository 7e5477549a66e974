"""Folders that open, and folders that are refused in one sentence before anything is computed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from ops.errors import DamagedData, UserError
from ops.files.hashing import hash_file
from ops.files.model_folders import open_cache
from ops.generators.diffusion.finding import find_pipeline
from ops.generators.diffusion.folder import read_pipeline
from ops.generators.diffusion.generator import check_pipeline, load_generator
from ops.generators.diffusion.opening import open_parts
from ops.generators.diffusion.sizes import find_side
from ops.generators.diffusion.tokens import open_tokenizer
from ops.generators.registry import KINDS

SHAPE = (1, 16, 16)
NAMES = ("bag", "ankle_boot")
COMMIT = "0" * 40


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    shutil.copytree(root / "sd", tmp_path / "sd")
    return tmp_path / "sd"


def edit(path: Path, **changes: Any) -> None:
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def test_a_folder_of_the_right_class_passes_and_is_known_by_its_bytes(root: Path, settings: Callable[..., Any]) -> None:
    KINDS["stable-diffusion"].check(settings(), root, NAMES, SHAPE)
    KINDS["unclip"].check(settings("unclip"), root, NAMES, SHAPE)
    folder = read_pipeline(root / "sd", "stable-diffusion")
    assert (folder.side, folder.factor) == (32, 2)
    with pytest.raises(UserError, match=f"generator.sha256 is missing; .* has {folder.hash_files()}"):
        check_pipeline(settings().model_copy(update={"sha256": None}), root, NAMES, SHAPE)
    with pytest.raises(UserError, match=r"sha256 does not fit .*sd: its content has"):
        check_pipeline(settings().model_copy(update={"sha256": "0" * 64}), root, NAMES, SHAPE)


def test_the_checker_counts_only_where_it_looks(root: Path) -> None:
    with_it, without = (read_pipeline(root / "sd", "stable-diffusion", checked=checked) for checked in (True, False))
    assert set(with_it.files) - set(without.files) == {
        "safety_checker/config.json",
        "safety_checker/model.safetensors",
        "feature_extractor/preprocessor_config.json",
    }


@pytest.mark.parametrize(("name", "kind"), [("sd", "unclip"), ("unclip", "stable-diffusion")])
def test_a_folder_of_another_pipeline_is_refused(root: Path, name: str, kind: str) -> None:
    with pytest.raises(UserError, match=f"holds a pipeline of class .* kind: {kind} needs Stable"):
        read_pipeline(root / name, kind)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"unet": ["my_unet", "UNet2DConditionModel"]}, "code that lies in a folder is never run"),
        ({"unet": ["diffusers", "UNet2DModel"]}, "unet of .* is a UNet2DModel; allowed: UNet2DConditionModel"),
        ({"vae": [None, None]}, "has no vae"),
        ({"safety_checker": [None, None]}, r"has no safety_checker.* set generator\.safety_checker: false"),
        ({"_class_name": ["pipeline", "Mine"]}, "holds a pipeline of class"),
    ],
)
def test_parts_that_are_not_those_of_the_kind_are_refused(copy: Path, entry: dict[str, Any], said: str) -> None:
    edit(copy / "model_index.json", **entry)
    with pytest.raises(UserError, match=said):
        read_pipeline(copy, "stable-diffusion")


def test_weights_that_are_missing_or_no_safetensors_are_refused(copy: Path) -> None:
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(UserError, match="only a Git LFS pointer"):
        read_pipeline(copy, "stable-diffusion")
    weights.write_bytes(content[:-8])
    with pytest.raises(DamagedData, match="not a valid safetensors file"):
        read_pipeline(copy, "stable-diffusion")
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(UserError, match="is a pickle, which may run code"):
        read_pipeline(copy, "stable-diffusion")
    (weights.parent / "diffusion_pytorch_model.fp16.safetensors").write_bytes(content)
    with pytest.raises(UserError, match=r"has no .*, but diffusion_pytorch_model\.fp16\.safetensors"):
        read_pipeline(copy, "stable-diffusion")
    with pytest.raises(UserError, match=r"vae has no .*fp16"):
        read_pipeline(copy, "stable-diffusion", "fp16")
    (weights.parent / "diffusion_pytorch_model.fp16.safetensors").unlink()
    weights.with_suffix(".bin").unlink()
    with pytest.raises(UserError, match=r"unet has no diffusion_pytorch_model\.safetensors"):
        read_pipeline(copy, "stable-diffusion")


@pytest.mark.parametrize("part", ["unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model", "text_encoder/model"])
def test_a_missing_weight_is_an_error_and_not_drawn_at_random(copy: Path, part: str) -> None:
    path = copy / f"{part}.safetensors"
    tensors = load_file(path)
    name = sorted(tensors)[0]
    save_file({key: value for key, value in tensors.items() if key != name}, path, {"format": "pt"})
    with pytest.raises(UserError, match="lack"):
        open_parts(read_pipeline(copy, "stable-diffusion"), checked=True, precision="fp32")


def test_files_as_they_were_published_are_read(root: Path, copy: Path) -> None:
    """The published weights have names of older libraries, and the published tokenizer is two files."""
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}

    def rename(part: str, change: Callable[[str], str]) -> None:
        path = copy / f"{part}.safetensors"
        tensors = load_file(path)
        renamed = {change(name): value for name, value in tensors.items()}
        assert renamed.keys() != tensors.keys()
        save_file(renamed, path, {"format": "pt"})

    def age(name: str) -> str:
        for new, former in old.items():
            name = name.replace(new, former) if "attentions" in name else name
        return name

    rename("vae/diffusion_pytorch_model", age)
    rename("text_encoder/model", lambda name: f"text_model.{name.removeprefix('text_model.')}")
    words = json.loads((copy / "tokenizer" / "tokenizer.json").read_text())["model"]["vocab"]
    (copy / "tokenizer" / "tokenizer.json").unlink()
    (copy / "tokenizer" / "vocab.json").write_text(json.dumps(words))
    (copy / "tokenizer" / "merges.txt").write_text("#version: 0.2\n")
    edit(
        copy / "feature_extractor" / "preprocessor_config.json",
        image_processor_type=None, feature_extractor_type="CLIPFeatureExtractor", size=30, crop_size=30,
    )  # fmt: skip
    new, former = (
        open_parts(read_pipeline(folder, "stable-diffusion"), checked=True, precision="fp32")
        for folder in (root / "sd", copy)
    )
    for name in ("vae", "text_encoder"):
        ours, theirs = (getattr(parts, name).state_dict() for parts in (new, former))
        assert ours.keys() == theirs.keys() and all(bool((ours[key] == theirs[key]).all()) for key in ours)
    text = "a photo of a boot."
    assert new.tokenizer(text).input_ids == former.tokenizer(text).input_ids
    assert new.checker is not None and former.checker is not None
    assert new.checker.preprocessing == former.checker.preprocessing


def test_networks_that_cannot_work_together_are_refused(copy: Path) -> None:
    edit(copy / "unet" / "config.json", in_channels=9)
    with pytest.raises(UserError, match="inpainting"):
        read_pipeline(copy, "stable-diffusion")
    edit(copy / "unet" / "config.json", in_channels=4, cross_attention_dim=99)
    with pytest.raises(UserError, match="reads texts of 99 numbers, and its text_encoder writes 32"):
        read_pipeline(copy, "stable-diffusion")


@pytest.mark.parametrize(
    ("place", "changes", "said"),
    [
        ("vae/config.json", {"latent_channels": 16}, "has 16 channels; kind: stable-diffusion needs 4"),
        ("scheduler/scheduler_config.json", {"prediction_type": "sample"}, "predicts 'sample'.*epsilon and v_pred"),
    ],
)
def test_networks_that_compute_otherwise_are_refused(
    copy: Path, place: str, changes: dict[str, Any], said: str
) -> None:
    edit(copy / place, **changes)
    with pytest.raises(UserError, match=said):
        read_pipeline(copy, "stable-diffusion")


def test_the_variant_names_the_files_that_are_opened(copy: Path) -> None:
    for part in ("unet", "vae", "text_encoder", "safety_checker"):
        (path,) = (copy / part).glob("*.safetensors")
        halves = {name: value.half() if value.is_floating_point() else value for name, value in load_file(path).items()}
        save_file(halves, path.with_name(f"{path.stem}.fp16.safetensors"), {"format": "pt"})
        path.unlink()
    folder = read_pipeline(copy, "stable-diffusion", "fp16")
    assert folder.weights["unet"] == "unet/diffusion_pytorch_model.fp16.safetensors"
    parts = open_parts(folder, checked=True, precision="fp32")
    assert parts.unet.dtype == parts.vae.dtype == parts.text_encoder.dtype == torch.float32


def test_an_index_beside_the_weights_is_never_followed(copy: Path) -> None:
    """diffusers would load the files that the index names: pickles too, and none of them hashed."""
    place = "conv_out.bias"
    (copy / "unet" / "evil.bin").write_bytes(b"not even a pickle")
    (copy / "unet" / "diffusion_pytorch_model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": {place: "evil.bin"}})
    )
    stored = load_file(copy / "unet" / "diffusion_pytorch_model.safetensors")
    opened = open_parts(read_pipeline(copy, "stable-diffusion"), checked=False, precision="fp32")
    assert torch.equal(opened.unet.state_dict()[place], stored[place])


def test_a_tokenizer_reads_hashed_files_only(copy: Path) -> None:
    words = copy / "tokenizer"
    (words / "added_tokens.json").write_text(json.dumps({"sks": 182}))
    folder = read_pipeline(copy, "stable-diffusion")
    assert "tokenizer/added_tokens.json" in folder.files
    seen = open_tokenizer(folder)("a sks bag").input_ids
    (words / "chat_template.jinja").write_text("{{ raise_exception('read') }}")
    (words / "vocab.json").write_text("no JSON")  # it is not among the files where there is a tokenizer.json
    again = open_tokenizer(folder)
    assert again("a sks bag").input_ids == seen and again.chat_template is None
    edit(words / "tokenizer_config.json", fast_tokenizer_files=["tokenizer.4.0.json"])
    with pytest.raises(UserError, match="names fast_tokenizer_files"):
        read_pipeline(copy, "stable-diffusion")


def test_a_file_is_hashed_again_only_after_it_changed(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.files.hash_cache.SETTLE_NANOSECONDS", 0)
    folder, read = read_pipeline(copy, "stable-diffusion"), list[str]()

    def count(path: Path) -> str:
        read.append(path.name)
        return hash_file(path)

    monkeypatch.setattr("ops.files.hash_cache.hash_file", count)
    first = folder.hash_files(open_cache(copy.parent, copy))
    assert first == folder.hash_files() and len(read) == len(folder.files)
    assert folder.hash_files(open_cache(copy.parent, copy)) == first and len(read) == len(folder.files)
    weights = copy / folder.weights["vae"]
    save_file({name: value + 1 for name, value in load_file(weights).items()}, weights)
    assert folder.hash_files(open_cache(copy.parent, copy)) != first and len(read) == len(folder.files) + 1


def test_a_directory_finds_its_pipeline_only_in_its_own_workspace(
    make_generator: Callable[..., Any], root: Path, tmp_path: Path
) -> None:
    generator, _ = make_generator()
    assert generator.find_folder().path == root / "sd"
    inner = root / "inner"  # a workspace in a workspace, without the pipeline
    (inner / "recipes").mkdir(parents=True)
    (inner / "params.yaml").touch()
    shutil.copytree(generator.folder, inner / "data")
    with pytest.raises(UserError, match=r"the folder .*inner/sd does not exist"):
        load_generator(inner / "data").find_folder()
    shutil.copytree(generator.folder, tmp_path / "alone")
    with pytest.raises(UserError, match="lies in no workspace"):
        load_generator(tmp_path / "alone").find_folder()


def test_a_name_of_the_hub_needs_a_commit_and_is_never_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UserError, match="name its commit in generator.revision"):
        find_pipeline("someone/some-diffusion", None, tmp_path)
    with pytest.raises(UserError, match=f"downloads no networks; run `hf download .* --revision {COMMIT}"):
        find_pipeline("someone/some-diffusion", COMMIT, tmp_path)
    with pytest.raises(UserError, match=r"the folder .*/models/x/y does not exist"):
        find_pipeline("models/x/y", None, tmp_path)
    (tmp_path / "here").mkdir()
    assert find_pipeline("here", None, tmp_path) == tmp_path / "here"
    with pytest.raises(UserError, match="revision has no effect with the folder"):
        find_pipeline("here", COMMIT, tmp_path)


@pytest.mark.parametrize(
    ("size", "shape", "said"),
    [
        (30, SHAPE, "allowed: multiples of 4"),
        (None, (1, 16, 20), "not square"),
        (None, (3, 64, 64), "larger than the 32 at which"),
        (None, (4, 16, 16), "4 channels are not possible"),
    ],
)
def test_images_that_the_pipeline_cannot_take_are_refused(
    root: Path, size: int | None, shape: tuple[int, int, int], said: str
) -> None:
    folder = read_pipeline(root / "sd", "stable-diffusion")
    assert find_side(folder, None, SHAPE) == 32 and find_side(folder, 64, (3, 64, 64)) == 64
    with pytest.raises(UserError, match=said):
        find_side(folder, size, shape)


def test_a_long_prompt_is_refused_and_not_cut_off(root: Path, settings: Callable[..., Any]) -> None:
    long = settings(prompts={"templates": ["a {class} " + "x" * 80]})
    with pytest.raises(UserError, match=r"takes \d+ tokens, and this pipeline reads 77; shorten it"):
        KINDS["stable-diffusion"].check(long, root, NAMES, SHAPE)
