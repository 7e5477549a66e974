"""Check a recipe's pretrained networks before any compute: folders, files, kinds, labels, prompts.

The checks take milliseconds: they import neither torch nor `transformers` and read no weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ops.errors import DamagedData, UserError
from ops.pretrained.folder import CONFIG, ModelFolder, find_folder, read_folder
from ops.pretrained.kinds import CLASSIFIERS, EXTRACTORS, KINDS
from ops.pretrained.preprocessing import Preprocessing, read_preprocessing
from ops.pretrained.prompts import FRAME_TOKENS, encode_prompts, find_limit, open_tokenizer, write_prompts
from ops.pretrained.requirements import require_transformers

if TYPE_CHECKING:
    from ops.recipe.pretrained import ClipSettings, PretrainedSettings, SafetySettings

DEFAULT_SIDE = 224  # pixels, if the config has no image size


def validate_clip(settings: ClipSettings, root: Path, class_names: Sequence[str], key: str = "clip") -> ModelFolder:
    """The checked folder that `settings` name, relative to `root`.

    UserError if `transformers` is missing, if the folder or a file in it is missing or of another kind, if a step of
    its preprocessing is unknown, or if names and prompts do not fit; DamagedData for a damaged file.
    """
    names = settings.class_names or tuple(class_names)
    if len(names) != len(class_names):
        raise UserError(f"{key}.class_names has {len(names)} names; the dataset has {len(class_names)} classes")
    return validate_sentences(find_folder(settings.model, root, key), write_prompts(names, settings.prompts, key), key)


def validate_sentences(path: Path, texts: Sequence[Sequence[str]], key: str) -> ModelFolder:
    """The checked folder of a CLIP that is to read each class's sentences [K][prompts]; raises as `validate_clip`."""
    folder, _ = check_clip(path, key)
    # A token is at least one byte. Only if that bound exceeds the limit is the vocabulary loaded, which takes longer.
    if max(len(text.encode()) for row in texts for text in row) + FRAME_TOKENS > find_limit(folder):
        tokenizer = open_tokenizer(folder, key)
        for row in texts:
            encode_prompts(tokenizer, row, find_limit(folder), key)
    return folder


def validate_safety(settings: SafetySettings, root: Path, key: str = "safety") -> ModelFolder:
    """As `validate_clip`; also UserError, with the network's labels, for an unsafe label that it does not have."""
    path = find_folder(settings.model, root, key)
    folder, _, _ = check_safety(path, settings.unsafe, key)
    return folder


def validate_extractor(settings: PretrainedSettings, root: Path, key: str = "extractor") -> ModelFolder:
    """As `validate_clip`."""
    folder, _ = check_extractor(find_folder(settings.model, root, key), key)
    return folder


def check_clip(path: Path, key: str) -> tuple[ModelFolder, Preprocessing]:
    """A folder with a CLIP: config, preprocessor, tokenizer, weights."""
    return _check(path, key, ("clip",), tokenizer=True)


def check_extractor(path: Path, key: str) -> tuple[ModelFolder, Preprocessing]:
    """A folder with a vision network of one of EXTRACTORS: config, preprocessor, weights."""
    return _check(path, key, EXTRACTORS)


def check_safety(path: Path, unsafe: Sequence[str], key: str) -> tuple[ModelFolder, Preprocessing, tuple[int, ...]]:
    """A folder with a classifier of one of CLASSIFIERS, and the numbers of its labels that `unsafe` names."""
    folder, preprocessing = _check(path, key, tuple(CLASSIFIERS))
    labels = folder.config.get("id2label")
    if not isinstance(labels, dict) or len(labels) < 2:
        raise UserError(
            f"{key}.model: the config.json in {path} names no labels (id2label); a classifier has two or more"
        )
    if folder.config.get("problem_type") not in (None, "single_label_classification"):
        raise UserError(
            f"{key}.model: {path} may give an image several labels at once; allowed: one label for each image"
        )
    if sorted(labels) != sorted(map(str, range(len(labels)))):
        raise DamagedData(f"the labels (id2label) in {path / CONFIG} are not numbered 0 to {len(labels) - 1}")
    if unknown := [name for name in unsafe if name not in labels.values()]:
        known = ", ".join(map(str, labels.values()))
        raise UserError(f"{key}.model: {path} has no label {unknown[0]!r} for {key}.unsafe; its labels are {known}")
    numbers = tuple(sorted(int(number) for number, name in labels.items() if name in unsafe))
    if not 0 < len(numbers) < len(labels):
        raise UserError(
            f"{key}.unsafe: {len(numbers)} of {len(labels)} labels are unsafe; allowed: at least one, and not all"
        )
    return folder, preprocessing, numbers


def _check(path: Path, key: str, kinds: Sequence[str], *, tokenizer: bool = False) -> tuple[ModelFolder, Preprocessing]:
    require_transformers(key)
    folder = read_folder(path, key, kinds=kinds, tokenizer=tokenizer)
    preprocessing = read_preprocessing(folder, key)
    _require_size(folder, preprocessing, key)
    return folder, preprocessing


def _require_size(folder: ModelFolder, preprocessing: Preprocessing, key: str) -> None:
    """UserError unless the preprocessing gives images of any shape the one size that the network was made for."""
    vision = folder.config.get("vision_config", folder.config)
    side = vision.get("image_size", DEFAULT_SIDE) if isinstance(vision, dict) else DEFAULT_SIDE
    fixed = preprocessing.crop or preprocessing.resize
    if KINDS[folder.kind].one_size and fixed != (side, side):
        raise UserError(
            f"{key}.model: {folder.path} prepares images to {fixed}, while its config.json describes a network"
            f" for {side} x {side}"
        )
