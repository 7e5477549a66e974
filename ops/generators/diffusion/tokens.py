"""The tokenizer of a pipeline, opened from the hashed files alone, and how many tokens the pipeline reads."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ops.errors import UserError
from ops.generators.diffusion.folder import PipelineFolder

TOKENS = 77  # that CLIP reads, where a folder does not say it


def open_tokenizer(folder: PipelineFolder) -> Any:
    """The tokenizer; the library sees only the files that the folder lists, whatever else lies beside them."""
    from transformers import CLIPTokenizer

    with TemporaryDirectory() as seen:
        for name in folder.files:
            part, _, file = name.rpartition("/")
            if part == "tokenizer":
                (Path(seen) / file).symlink_to((folder.path / name).resolve())
        return CLIPTokenizer.from_pretrained(seen, local_files_only=True)


def find_limit(encoder: Any, tokenizer: Any) -> int:
    """The tokens that the text encoder of this configuration reads; a tokenizer may have no limit of its own."""
    return min(int(getattr(encoder, "max_position_embeddings", TOKENS)), int(tokenizer.model_max_length))


def require_short(text: str, tokens: int, limit: int) -> None:
    """UserError for a prompt of more tokens than are read, start and end included: the rest would be cut off."""
    if tokens > limit:
        raise UserError(
            f"generator.prompts: {text!r} takes {tokens} tokens, and this pipeline reads {limit}; shorten it"
        )
