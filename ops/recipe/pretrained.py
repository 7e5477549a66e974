"""Sections of a recipe that name networks trained elsewhere: CLIP, a safety classifier, an extractor of features."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ops.settings.cut import Cut
from ops.settings.section import Section

PROMPTS = ("a photo of a {}.",)  # Radford et al. 2021, §3.1.4
Content = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class PretrainedSettings(Section):
    """Which network."""

    model: str = Field(min_length=1, description="its folder, from the workspace's root, or a name in the Hub's cache")
    sha256: Content | None = Field(
        None, description="of that folder's content, so that no other slips in; needed: `growset check` tells it"
    )


class ClipSettings(PretrainedSettings):
    """A CLIP that says how well an image fits the name of its class."""

    prompts: tuple[str, ...] = Field(
        PROMPTS, strict=False, min_length=1, description="sentences with {} for the class; averaged"
    )
    class_names: tuple[str, ...] | None = Field(
        None, strict=False, description="what the classes are called in prompts, in order; null: their own names"
    )
    cut: Cut = Field(
        Cut(real_rejected=0.05), description="where the probability of the image's own class among all is too low"
    )


class SafetySettings(PretrainedSettings):
    """A classifier that says whether an image is unsafe."""

    unsafe: tuple[str, ...] = Field(strict=False, min_length=1, description="its labels that are not wanted")
    cut: Cut = Field(Cut(threshold=0.5), description="where the probability of all unsafe labels together is too high")


class ExtractorSettings(PretrainedSettings):
    """A vision network in whose features images are compared."""
