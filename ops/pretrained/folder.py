"""A folder with a pretrained network, in the layout of the Hugging Face Hub: found, checked and identified.

Nothing is downloaded, and nothing but JSON and safetensors is opened: a pickle may run code. No tensor is read here,
so that a folder is checked in milliseconds. This module does not know what the networks are for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.errors import DamagedData, UserError
from ops.files.hashing import hash_file, hash_json
from ops.files.storage import parse_json

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
TOKENIZER = "tokenizer.json"
PREPROCESSORS = ("processor_config.json", "preprocessor_config.json")  # the first may hold the second, and then wins
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_POINTER = b"version https://git-lfs"
# What a config may say about how and from where to run a network: some of it would fetch code. Nothing here obeys it.
_ORDERS = re.compile(r"auto_map|_?(attn|experts)_implementation(_internal)?|fusion_config|transformers_weights")


@dataclass(frozen=True)
class ModelFolder:
    """What a folder holds, as far as it is used.

    config: the content of config.json. preprocessor: what is done to images before the network sees them.
    weights: names of the safetensors files. files: names of all files that are used, weights too, in order.
    """

    path: Path
    config: dict[str, Any]
    preprocessor: dict[str, Any]
    weights: tuple[str, ...]
    files: tuple[str, ...]

    @property
    def kind(self) -> str:
        """The architecture, as config.json has it in `model_type`."""
        return str(self.config.get("model_type"))

    def hash_files(self) -> str:
        """sha256 hex over the names and contents of all files that are used: the folder's identity."""
        return self._hash(self.files)

    def hash_weights(self) -> str:
        """sha256 hex of the weights alone: of the file if it is one, else over the names and contents of its parts."""
        return hash_file(self.path / WEIGHTS) if self.weights == (WEIGHTS,) else self._hash(self.weights)

    def _hash(self, names: Sequence[str]) -> str:
        return hash_json({name: hash_file(self.path / name) for name in names})


def find_folder(model: str, root: Path, key: str) -> Path:
    """The folder that `model` names in a recipe's section `key`.

    It is a path, seen from `root`, or a name on the Hub of what this machine's cache holds: the network is never
    asked. UserError if there is neither.
    """
    path = root / model
    if path.is_dir():
        return path
    if path.exists():
        raise UserError(f"{key}.model: {path} is a file; name the folder that holds {CONFIG} and {WEIGHTS}")
    if not _HUB_NAME.fullmatch(model):
        raise UserError(f"{key}.model: the folder {path} does not exist")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError):
        raise UserError(
            f"{key}.model: {model} is neither a folder in {root} nor in this machine's Hugging Face cache, and Growset"
            f" downloads no networks; run `hf download {model} --local-dir DIR` where there is internet and name DIR"
        ) from None


def read_folder(path: Path, key: str, *, kinds: Sequence[str], tokenizer: bool = False) -> ModelFolder:
    """What lies in the folder `path`; weights are looked at, not read.

    UserError, with the recipe's section `key`, if a file is missing, only a pickle is there, or its kind is none of
    `kinds`; DamagedData if a file is not what its name says.
    """
    config = _read_object(_require(path, key, CONFIG))
    if config.get("model_type") not in kinds:
        raise UserError(
            f"{key}.model: {path} holds a network of type {config.get('model_type')!r}; allowed: {_list(kinds)}"
        )
    if "quantization_config" in config:
        raise UserError(f"{key}.model: {path} holds quantised weights; take the network with its plain ones")
    name, preprocessor = _read_preprocessor(path, key)
    weights, index = _find_weights(path, key)
    words = [_require(path, key, TOKENIZER).name] if tokenizer else []
    return ModelFolder(path, _drop_orders(config), preprocessor, weights, (CONFIG, name, *words, *index, *weights))


def identify(folder: ModelFolder, sha256: str | None, key: str) -> str:
    """The folder's identity, which a recipe states as `sha256`; reads all weights.

    UserError, with the recipe's section `key` and the right value, if that is missing or another.
    """
    found = folder.hash_files()
    if sha256 is None:
        raise UserError(f"{key}.sha256 is missing; the content of {folder.path} has {found}")
    if sha256 != found:
        raise UserError(f"{key}.sha256 does not fit {folder.path}: its content has {found}")
    return found


def _require(path: Path, key: str, name: str) -> Path:
    if not (path / name).is_file():
        raise UserError(f"{key}.model: the folder {path} has no {name}")
    with (path / name).open("rb") as file:
        if file.read(len(_POINTER)) == _POINTER:
            raise UserError(
                f"{key}.model: {path / name} is only Git LFS's pointer to the file; run `git lfs pull` there"
            )
    return path / name


def _read_object(path: Path) -> dict[str, Any]:
    try:
        value = parse_json(path.read_bytes())
    except ValueError as error:
        raise DamagedData(f"{path} is no sound JSON: {error}") from None
    if not isinstance(value, dict):
        raise DamagedData(f"{path} holds no JSON object")
    return value


def _read_preprocessor(path: Path, key: str) -> tuple[str, dict[str, Any]]:
    nested, plain = PREPROCESSORS
    if (path / nested).is_file() and isinstance(inner := _read_object(path / nested).get("image_processor"), dict):
        return nested, inner
    return plain, _read_object(_require(path, key, plain))


def _find_weights(path: Path, key: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the weights' files, and of the index that lists them if they are several."""
    names, index = [WEIGHTS], tuple[str, ...]()
    if (path / WEIGHTS).is_file() or not (path / INDEX).is_file():
        if not (path / WEIGHTS).is_file() and (pickles := sorted(path.glob("*.bin")) + sorted(path.glob("*.pt*"))):
            raise UserError(
                f"{key}.model: the folder {path} has no {WEIGHTS}; its {pickles[0].name} is a pickle, which may run"
                " code and is never opened: fetch or convert the safetensors"
            )
    else:
        listed = _read_object(path / INDEX).get("weight_map")
        if not isinstance(listed, dict) or not listed:
            raise DamagedData(f"{path / INDEX} lists no weights")
        names, index = sorted(set(map(str, listed.values()))), (INDEX,)
        if strange := [name for name in names if Path(name).name != name or not name.endswith(".safetensors")]:
            raise UserError(
                f"{key}.model: {path / INDEX} names {strange[0]!r}; allowed are safetensors files of that folder"
            )
    for name in names:
        _check_weights(_require(path, key, name))
    return tuple(names), index


def _check_weights(path: Path) -> None:
    """Its header, and that all that it announces is there."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy"):
            pass
    except SafetensorError as error:
        raise DamagedData(f"{path} is no sound safetensors file: {error}") from None


def _drop_orders(config: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in config.items() if not _ORDERS.fullmatch(key)}
    return {key: _drop_orders(value) if isinstance(value, dict) else value for key, value in kept.items()}


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)
