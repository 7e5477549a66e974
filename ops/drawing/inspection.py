"""Check, before anything is computed, that a folder or file is a generator that can draw.

Every fault is a UserError, because the user named the file: one sentence that states what is allowed. `folder` knows
the parts of a generator; `foreign` and the engine know what a sampler is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from ops.errors import DamagedData, UserError
from ops.files.hashing import hash_file
from ops.files.manifests import MANIFEST
from ops.generators.drawers import SamplerInfo
from ops.generators.folder import (
    CONFIG,
    CONTENT,
    DECODER,
    ENCODER,
    NET,
    SETTINGS,
    WEIGHTS,
    find_fastest,
    find_sampler,
    read_config,
)
from ops.generators.foreign import load_model
from ops.generators.onnx.engine import OnnxFile
from ops.generators.prior_kind import SEEN
from ops.stages.several import find_root, read_part

# Of a generator that was trained here, beside its sampler and its config; kinds that are not named denoise.
TRAINED_FILES: Mapping[str, tuple[str, ...]] = {
    "dcgan": (WEIGHTS,),
    "instance": (WEIGHTS, NET, ENCODER),
    "latent": (WEIGHTS, NET, ENCODER, DECODER),
    "mae": (WEIGHTS, DECODER),
    "munit": (WEIGHTS, CONTENT, DECODER),
    "onnx": (),
    "stylegan2": (WEIGHTS,),
}
DENOISING_FILES = (WEIGHTS, NET)
MODEL_SUFFIXES = {".onnx", ".safetensors", ".data", ".pt", ".pth", ".pkl", ".bin", ".ckpt"}


def inspect_sampler(path: Path) -> SamplerInfo:
    """A sampler file's metadata; UserError if ONNX Runtime cannot use the file, or not without other files."""
    if path.suffix != ".onnx" or not path.is_file():
        raise UserError(f"{path} is not a sampler; allowed: a file sampler_<steps>.onnx, or a generator's folder")
    try:
        load_model(path)
        return OnnxFile(path).read_info()
    except (DamagedData, *_LOAD_ERRORS) as error:
        line = str(error).splitlines()[0]
        raise UserError(line if isinstance(error, DamagedData) else f"{path} cannot be loaded: {line}") from None


_LOAD_ERRORS = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)


def inspect_folder(folder: Path) -> Path:
    """The fastest sampler of a generator's folder; UserError for a file that is missing, damaged or unexpected.

    A folder that a stage made has a manifest, and every byte is compared with it. In any other folder all parts must
    exist and agree with each other.
    """
    try:
        files = {path.name for path in folder.iterdir() if path.is_file()}
        made_here = (find_root(folder.absolute())[0] / MANIFEST).is_file()
        if made_here:
            _compare_with_manifest(folder, files)
        config = read_config(folder)
        if SETTINGS in config:
            raise UserError(
                f"{folder} draws in torch with weights that are not in it (kind: {config['kind']}); use it in a recipe"
            )
        sampler, fastest = find_sampler(folder), find_fastest(folder)
    except DamagedData as error:
        raise UserError(str(error)) from None
    if not made_here:
        _require_parts(folder, files - {fastest.name} | {sampler.name}, config, sampler)
    expected = (tuple(config["class_names"]), tuple(config.get(key) for key in ("channels", "height", "width")))
    for path in {sampler, fastest}:
        info = inspect_sampler(path)
        if expected != (info.class_names, info.shape):
            raise UserError(f"{path} belongs to another generator: its classes or its image shape differ from {CONFIG}")
    return fastest


def _compare_with_manifest(folder: Path, files: set[str]) -> None:
    recorded: Mapping[str, Mapping[str, Any]] = read_part(folder.absolute())["files"]
    for name, entry in recorded.items():
        if name not in files:
            raise UserError(f"{folder} holds no {name}, which {MANIFEST} lists; fetch or export the generator again")
        path = folder / name
        if path.stat().st_size != entry["bytes"] or hash_file(path) != entry["sha256"]:
            raise UserError(f"{path} is not what was exported; fetch or export the generator again")
    for name in sorted(files - set(recorded) - {MANIFEST}):
        if Path(name).suffix in MODEL_SUFFIXES:
            raise UserError(f"{folder / name} is not part of this generator; {MANIFEST} does not list it")


def _require_parts(folder: Path, files: set[str], config: Mapping[str, Any], sampler: Path) -> None:
    kind = config[SEEN]["kind"] if SEEN in config else config["kind"]  # of a prior, its own
    parts = {CONFIG, sampler.name, *TRAINED_FILES.get(kind, DENOISING_FILES)}
    if missing := sorted(parts - files):
        raise UserError(f"{folder} holds no {missing[0]}; a generator of kind {kind} has {_list(parts)}")
    if strange := sorted(name for name in files - parts if Path(name).suffix in MODEL_SUFFIXES):
        raise UserError(f"{folder / strange[0]} is not part of a generator, which has {_list(parts)}")
    if WEIGHTS in parts:
        _require_whole_weights(folder / WEIGHTS)
    for name in sorted(parts & {NET, CONTENT, DECODER, ENCODER}):
        _require_whole_network(folder / name)


def _require_whole_weights(path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np"):
            pass
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is incomplete: {error}") from None


def _require_whole_network(path: Path) -> None:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        onnx.checker.check_model(onnx.load(path, load_external_data=False))
    except (DecodeError, onnx.checker.ValidationError) as error:
        raise UserError(f"{path} is not a valid ONNX file: {str(error).splitlines()[0]}") from None


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names))
