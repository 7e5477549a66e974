"""Sections of a recipe that name networks trained elsewhere: CLIP, a safety classifier, extractors of features."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ops.settings.cut import Cut
from ops.settings.section import Section

PROMPTS = ("a photo of a {}.",)  # Radford et al. 2021, §3.1.4
Content = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class PretrainedSettings(Section):
    """A network trained elsewhere."""

    model: str = Field(
        min_length=1, description="its folder, relative to the workspace's root, or a name in the Hub's cache"
    )
    sha256: Content | None = Field(
        None, description="hash of that folder's content, which must match; required: `growset check` prints it"
    )


class ClipSettings(PretrainedSettings):
    """A CLIP that scores how well an image fits the name of its class."""

    prompts: tuple[str, ...] = Field(
        PROMPTS, strict=False, min_length=1, description="sentences with {} for the class; averaged"
    )
    class_names: tuple[str, ...] | None = Field(
        None, strict=False, description="names of the classes in prompts, in order; null: the names in the source"
    )
    cut: Cut = Field(
        Cut(real_rejected=0.05), description="cutoff below which the probability of the image's own class is too low"
    )


class SafetySettings(PretrainedSettings):
    """A classifier of unsafe images."""

    unsafe: tuple[str, ...] = Field(strict=False, min_length=1, description="its labels that count as unsafe")
    cut: Cut = Field(
        Cut(threshold=0.5), description="cutoff above which the summed probability of the unsafe labels is too high"
    )


class ExtractorSettings(PretrainedSettings):
    """A vision network whose features are used to compare images."""


class ReferenceSettings(PretrainedSettings):
    """A vision network whose features the reference model may use."""
