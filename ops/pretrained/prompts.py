"""Class names as input of CLIP: in sentences like its captions, cut into tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ops.errors import DamagedData, UserError
from ops.pretrained.folder import CONFIG, TOKENIZER, ModelFolder

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FRAME_TOKENS = 2  # the tokens that mark the start and the end of a text


def clean_name(name: str) -> str:
    """A class name as words: `ankle_boot` becomes "ankle boot"."""
    return " ".join(name.replace("_", " ").split())


def write_prompts(class_names: Sequence[str], prompts: Sequence[str], key: str = "clip") -> list[list[str]]:
    """Each class's sentences [K][prompts].

    UserError for a prompt without exactly one `{}`, for a name without letters or digits, and for two names with equal
    words, which CLIP could not distinguish.
    """
    if not prompts or not class_names:
        raise ValueError(
            f"there are {len(prompts)} prompts and {len(class_names)} classes; at least 1 of each is needed"
        )
    for prompt in prompts:
        if prompt.count("{}") != 1:
            raise UserError(f"{key}.prompts: {prompt!r} must hold {{}} once, in place of the class name")
    seen: dict[str, str] = {}
    for name in class_names:
        words = clean_name(name)
        if not any(character.isalnum() for character in words):
            raise UserError(f"class {name!r} has no words for CLIP; give it a name in {key}.class_names")
        if words.lower() in seen:
            raise UserError(
                f"classes {seen[words.lower()]!r} and {name!r} have the same words; give them different names in"
                f" {key}.class_names"
            )
        seen[words.lower()] = name
    return [[prompt.replace("{}", clean_name(name)) for prompt in prompts] for name in class_names]


def find_limit(folder: ModelFolder) -> int:
    """How many tokens the folder's CLIP reads, start and end tokens included."""
    return int(_find_text_config(folder).get("max_position_embeddings", 77))


def open_tokenizer(folder: ModelFolder, key: str) -> Tokenizer:
    """The folder's tokenizer, without padding and truncation.

    DamagedData if the file is not valid; UserError, with the recipe's section `key`, if it belongs to another network.
    """
    from tokenizers import Tokenizer

    path = folder.path / TOKENIZER
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the package has no error class of its own
        raise DamagedData(f"{path} is not a valid tokenizer: {error}") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()  # a truncated prompt would give a score without notice
    if len(tokenizer.encode("").ids) != FRAME_TOKENS:
        raise UserError(f"{key}.model: {path} does not mark the start and end of a text, which CLIP needs")
    if tokenizer.get_vocab_size() > int(_find_text_config(folder).get("vocab_size", 49408)):
        raise UserError(f"{key}.model: {path} has more tokens than the network that {folder.path / CONFIG} describes")
    return tokenizer


def encode_prompts(tokenizer: Tokenizer, texts: Sequence[str], limit: int, key: str = "clip") -> list[list[int]]:
    """Tokens of each text, with start and end tokens; UserError for more than `limit`."""
    rows = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
    for text, row in zip(texts, rows, strict=True):
        if len(row) > limit:
            raise UserError(f"{key}.prompts: {text!r} takes {len(row)} tokens, and this CLIP reads {limit}; shorten it")
    return rows


def _find_text_config(folder: ModelFolder) -> dict[str, Any]:
    found = folder.config.get("text_config")
    return found if isinstance(found, dict) else {}
