"""Find, check and identify a folder with a pretrained network, in the layout of the Hugging Face Hub.

Nothing is downloaded, and only JSON and safetensors are opened, because a pickle may run code. No tensor is read, so a
check takes milliseconds. This module does not know what the networks are for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.errors import DamagedData, UserError
from ops.files.hash_cache import HashCache
from ops.files.hashing import hash_file, hash_json
from ops.files.model_folders import check_weights, read_object, require_file, require_identity

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
TOKENIZER = "tokenizer.json"
PREPROCESSORS = (
    "processor_config.json",
    "preprocessor_config.json",
)  # the first is used if it holds the second's content
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
# Config keys that choose the code or the files to run a network with; some would fetch code. They are removed.
_LOADING_KEYS = re.compile(r"auto_map|_?(attn|experts)_implementation(_internal)?|fusion_config|transformers_weights")


@dataclass(frozen=True)
class ModelFolder:
    """The used contents of a folder.

    config: the content of config.json without loading keys. preprocessor: how images are prepared for the network.
    weights: names of the safetensors files. files: names of all used files in order, weights included.
    """

    path: Path
    config: dict[str, Any]
    preprocessor: dict[str, Any]
    weights: tuple[str, ...]
    files: tuple[str, ...]

    @property
    def kind(self) -> str:
        """The architecture: `model_type` of config.json."""
        return str(self.config.get("model_type"))

    def hash_files(self, cache: HashCache | None = None) -> str:
        """sha256 hex over the names and contents of all used files: the folder's identity.

        cache: of this folder; a file that has not changed since it was hashed is not read again.
        """
        if cache is None:
            return self._hash(self.files)
        found = hash_json({name: cache.hash_file(self.path, name) for name in self.files})
        cache.save()
        return found

    def hash_weights(self) -> str:
        """sha256 hex of the weights: of the single file, or else over the names and contents of the parts."""
        return hash_file(self.path / WEIGHTS) if self.weights == (WEIGHTS,) else self._hash(self.weights)

    def _hash(self, names: Sequence[str]) -> str:
        return hash_json({name: hash_file(self.path / name) for name in names})


def find_folder(model: str, root: Path, key: str) -> Path:
    """The folder that `model` names in a recipe's section `key`.

    `model` is a path relative to `root`, or a name on the Hub that this machine's cache holds; the Hub itself is never
    asked. UserError if neither exists.
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
    """The contents of the folder `path`; of the weights only the headers are read.

    UserError, with the recipe's section `key`, if a file is missing, the weights are a pickle, or the network's kind is
    not one of `kinds`; DamagedData if a file is damaged.
    """
    config = read_object(require_file(path, CONFIG, key))
    if config.get("model_type") not in kinds:
        raise UserError(
            f"{key}.model: {path} holds a network of type {config.get('model_type')!r}; allowed: {_list(kinds)}"
        )
    if "quantization_config" in config:
        raise UserError(f"{key}.model: {path} holds quantised weights; use the network with unquantised ones")
    name, preprocessor = _read_preprocessor(path, key)
    weights, index = _find_weights(path, key)
    words = [require_file(path, TOKENIZER, key).name] if tokenizer else []
    return ModelFolder(path, drop_loading_keys(config), preprocessor, weights, (CONFIG, name, *words, *index, *weights))


def identify(folder: ModelFolder, sha256: str | None, key: str, cache: HashCache | None = None) -> str:
    """The folder's identity, which a recipe states as `sha256`; reads all weights that `cache` does not know.

    UserError, with the recipe's section `key` and the right value, if `sha256` is missing or different.
    """
    return require_identity(folder.path, folder.hash_files(cache), sha256, key)


def _read_preprocessor(path: Path, key: str) -> tuple[str, dict[str, Any]]:
    nested, plain = PREPROCESSORS
    if (path / nested).is_file() and isinstance(inner := read_object(path / nested).get("image_processor"), dict):
        return nested, inner
    return plain, read_object(require_file(path, plain, key))


def _find_weights(path: Path, key: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the weights' files, and of their index if there are several."""
    names, index = [WEIGHTS], tuple[str, ...]()
    if (path / WEIGHTS).is_file() or not (path / INDEX).is_file():
        if not (path / WEIGHTS).is_file() and (pickles := sorted(path.glob("*.bin")) + sorted(path.glob("*.pt*"))):
            raise UserError(
                f"{key}.model: the folder {path} has no {WEIGHTS}; its {pickles[0].name} is a pickle, which may run"
                " code and is never opened: fetch or convert the safetensors"
            )
    else:
        listed = read_object(path / INDEX).get("weight_map")
        if not isinstance(listed, dict) or not listed:
            raise DamagedData(f"{path / INDEX} lists no weights")
        names, index = sorted(set(map(str, listed.values()))), (INDEX,)
        if strange := [name for name in names if Path(name).name != name or not name.endswith(".safetensors")]:
            raise UserError(
                f"{key}.model: {path / INDEX} names {strange[0]!r}; allowed: safetensors files of that folder"
            )
    for name in names:
        check_weights(require_file(path, name, key))
    return tuple(names), index


def drop_loading_keys(config: dict[str, Any]) -> dict[str, Any]:
    """A config without the keys that choose the code or the files to run a network with."""
    kept = {key: value for key, value in config.items() if not _LOADING_KEYS.fullmatch(key)}
    return {key: drop_loading_keys(value) if isinstance(value, dict) else value for key, value in kept.items()}


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)
