"""Whether every prompt is short enough for a pipeline's text encoder, which would cut off the rest without a word."""

from __future__ import annotations

from collections.abc import Sequence

from ops.generators.diffusion.classes import build_class_table
from ops.generators.diffusion.folder import PipelineFolder
from ops.generators.diffusion.tokens import TOKENS, open_tokenizer, require_short
from ops.recipe.diffusion import StableDiffusionSettings

FRAME_TOKENS = 2  # the tokens that mark the start and the end of a text


def check_lengths(settings: StableDiffusionSettings, class_names: Sequence[str], folder: PipelineFolder) -> None:
    """UserError for a prompt of more tokens than the folder's text encoder reads.

    A token is at least one byte. Only if that bound exceeds the limit is the tokenizer opened, which takes longer.
    """
    table = build_class_table(class_names, settings.prompts)
    kept = () if settings.lora is None or settings.lora.preservation is None else settings.lora.preservation.templates
    templates = (*table.templates, *kept)
    texts = [table.write(label, i, templates) for label in range(len(table.names)) for i in range(len(templates))]
    texts.append(settings.prompts.negative)
    limit = int(folder.configs["text_encoder"].get("max_position_embeddings", TOKENS))
    long = [text for text in texts if len(text.encode()) + FRAME_TOKENS > limit]
    if long:
        tokenizer = open_tokenizer(folder)
        limit = min(limit, int(tokenizer.model_max_length))
        for text in long:
            require_short(text, len(tokenizer(text).input_ids), limit)
