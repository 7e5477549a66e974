"""The choices of a recipe's section `sampler.imagination` as a preset of `ops.imagination`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ops.imagination.presets import PRESETS, Groups, Preset
from ops.recipe.imagination import WEIGHTS, ImaginationSettings


def build_preset(settings: ImaginationSettings) -> Preset:
    """The named preset with the recipe's changes, in complete groups that remember nothing, so that any can be made
    alone."""
    named = PRESETS[settings.preset]
    ball = replace(named.ball, **_find_given(settings, norm="norm", radius="radius"))
    ascent = replace(named.ascent, **_find_given(settings, steps="steps", step_size="size", optimizer="rule"))
    criteria = replace(named.criteria, **_find_given(settings, **{key: key for key in WEIGHTS}))
    return replace(
        named,
        criteria=criteria,
        ball=ball,
        ascent=ascent,
        groups=Groups(settings.group_size, complete=True),
        granularity=settings.granularity or named.granularity,
    )


def _find_given(settings: ImaginationSettings, **names: str) -> dict[str, Any]:
    """The keys that the recipe gives, under the names that a preset has for them."""
    values = {name: getattr(settings, key) for key, name in names.items()}
    return {name: value for name, value in values.items() if value is not None}
