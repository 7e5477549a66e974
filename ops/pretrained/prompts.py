"""Class names as CLIP reads them: in sentences such as its captions, cut into tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ops.errors import DamagedData, UserError
from ops.pretrained.folder import CONFIG, TOKENIZER, ModelFolder

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FRAME = 2  # tokens that say where a text starts and ends


def clean_name(name: str) -> str:
    """A class name as words: `ankle_boot` is "ankle boot"."""
    return " ".join(name.replace("_", " ").split())


def write_prompts(class_names: Sequence[str], prompts: Sequence[str], key: str = "clip") -> list[list[str]]:
    """Each class's sentences [K][prompts].

    UserError for a prompt without exactly one `{}`, for a name without letters or digits, and for two names that read
    alike: CLIP could not tell them apart.
    """
    if not prompts or not class_names:
        raise ValueError(
            f"there are {len(prompts)} prompts and {len(class_names)} classes; at least 1 of each is needed"
        )
    for prompt in prompts:
        if prompt.count("{}") != 1:
            raise UserError(f"{key}.prompts: {prompt!r} must hold {{}} once, where the class name goes")
    seen: dict[str, str] = {}
    for name in class_names:
        words = clean_name(name)
        if not any(character.isalnum() for character in words):
            raise UserError(f"class {name!r} has no words for CLIP; say what it is called in {key}.class_names")
        if words.lower() in seen:
            raise UserError(
                f"classes {seen[words.lower()]!r} and {name!r} read alike; say them apart in {key}.class_names"
            )
        seen[words.lower()] = name
    return [[prompt.replace("{}", clean_name(name)) for prompt in prompts] for name in class_names]


def find_limit(folder: ModelFolder) -> int:
    """How many tokens the folder's CLIP reads, with the frame."""
    return int(_find_text_config(folder).get("max_position_embeddings", 77))


def open_tokenizer(folder: ModelFolder, key: str) -> Tokenizer:
    """What cuts texts into tokens.

    DamagedData if the file is not sound; UserError, with the recipe's section `key`, if it is of another network.
    """
    from tokenizers import Tokenizer

    path = folder.path / TOKENIZER
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # that package has no error of its own
        raise DamagedData(f"{path} is no sound tokenizer: {error}") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()  # a prompt that is cut short would still score
    if len(tokenizer.encode("").ids) != FRAME:
        raise UserError(f"{key}.model: {path} does not mark where a text starts and ends, as CLIP needs it")
    if tokenizer.get_vocab_size() > int(_find_text_config(folder).get("vocab_size", 49408)):
        raise UserError(f"{key}.model: {path} knows more tokens than the network that {folder.path / CONFIG} describes")
    return tokenizer


def encode_prompts(tokenizer: Tokenizer, texts: Sequence[str], limit: int, key: str = "clip") -> list[list[int]]:
    """Tokens of each text, framed; UserError for more than `limit`."""
    rows = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
    for text, row in zip(texts, rows, strict=True):
        if len(row) > limit:
            raise UserError(f"{key}.prompts: {text!r} takes {len(row)} tokens, and this CLIP reads {limit}; shorten it")
    return rows


def _find_text_config(folder: ModelFolder) -> dict[str, Any]:
    found = folder.config.get("text_config")
    return found if isinstance(found, dict) else {}
