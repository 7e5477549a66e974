"""Profiles of imagination: what a domain rules out in the keys that make and judge images.

What a profile sets where a recipe leaves a key out is where that key is (`SamplerSettings`, `ImaginationSettings`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ops.recipe.generator import KindSettings
from ops.recipe.imagination import ImaginationSettings
from ops.recipe.medical import MEDICAL, MOST_HIDDEN, MOST_RADIUS, MOST_STRENGTH, STYLE_WORDS
from ops.recipe.sampler import SamplerSettings
from ops.settings.kinds import Kind

MIRRORING = ("flip_crop", "moves")  # kinds of augmentation that always do
_STYLE = re.compile(rf"\b({'|'.join(STYLE_WORDS)})\b(?![- ]field)", re.IGNORECASE)  # dark-field microscopy is no style


def limit_strength(settings: ImaginationSettings | None) -> float:
    """The greatest strength that the profile allows; 1 without one."""
    return MOST_STRENGTH if settings is not None and settings.profile == MEDICAL else 1.0


def check_profile(
    settings: ImaginationSettings | None,
    sampler: SamplerSettings,
    generators: dict[str, KindSettings],
    scorer: Kind,
) -> None:
    """ValueError for a key that the profile rules out.

    generators : the sections `generator` and, if there is one, `prior`, by name. scorer : the augmentation of the stage
    `scorer`. What validation chooses (`auto`) is not ruled out: mirroring that confuses classes is not chosen there.
    """
    if settings is None or settings.profile != MEDICAL:
        return
    if sampler.strength != "auto" and sampler.strength is not None and sampler.strength > MOST_STRENGTH:
        raise ValueError(
            f"sampler.strength {sampler.strength:g} is above {MOST_STRENGTH:g}, the most with"
            f" sampler.imagination.profile: {MEDICAL}; lower it"
        )
    if settings.norm != "l2" and settings.radius is not None and settings.radius > MOST_RADIUS:
        raise ValueError(
            f"sampler.imagination.radius {settings.radius:g} is above {MOST_RADIUS:g}, the most with profile:"
            f" {MEDICAL}; lower it"
        )
    for key, template in _list_templates(settings, generators):
        if found := _STYLE.search(template):
            raise ValueError(
                f"{key} has {template!r}, and profile: {MEDICAL} allows no word for a style, such as {found[0]!r};"
                " remove it"
            )
    for name, section in generators.items():
        hidden = getattr(section, "hidden", None)
        if hidden is not None and hidden[1] > MOST_HIDDEN:
            raise ValueError(
                f"{name}.hidden hides up to {hidden[1]:g} of a seed image's patches, which are then invented;"
                f" {MOST_HIDDEN:g} is the most with profile: {MEDICAL}; write hidden: [0.0, {MOST_HIDDEN:g}], or less"
            )
        if getattr(getattr(section, "encoder", None), "flip", None):
            raise ValueError(f"{name}.encoder.flip is not possible with profile: {MEDICAL}; set it to 0")
        augmentation: Kind | None = getattr(section, "augmentation", None)
        if augmentation is not None and getattr(section, "augment", None) and _mirrors(augmentation):
            raise ValueError(
                f"{name}.augmentation: {augmentation.kind} mirrors images, which profile: {MEDICAL} does not"
                " allow; write a policy without flip"
            )
    if _mirrors(scorer):
        raise ValueError(
            f"scorer.augmentation: {scorer.kind} mirrors images, so that the scorer would not see a mirrored variant;"
            f" with profile: {MEDICAL} write a policy without flip"
        )


def _mirrors(augmentation: Kind) -> bool:
    """Whether it shows mirrored images, as far as the recipe tells."""
    return augmentation.kind in MIRRORING or getattr(augmentation, "flip", 0) > 0


def _list_templates(settings: ImaginationSettings, generators: dict[str, KindSettings]) -> Iterator[tuple[str, str]]:
    """Each template with its key: of the scorer's prompts, and of the generators'."""
    for template in getattr(settings.scorer, "templates", ()):
        yield "sampler.imagination.scorer.templates", template
    for name, section in generators.items():
        for template in getattr(getattr(section, "prompts", None), "templates", ()):
            yield f"{name}.prompts.templates", template
