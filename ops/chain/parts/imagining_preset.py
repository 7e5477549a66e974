"""The choices of a recipe's section `sampler.imagination` with every value filled in: what images are drawn with.

The values go into the file that is hashed, in place of the recipe's keys and the preset's name. So a recipe that names
a preset's value, and one that leaves it out, have the same images, and a preset that changes has others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from ops.imagination.ascent import Ascent
from ops.imagination.criteria import Criteria, find_consistency
from ops.imagination.perturbation import USUAL
from ops.imagination.presets import ALL_COMPARED, PRESETS, Groups, Preset
from ops.imagination.projection import Ball
from ops.recipe.imagination import WEIGHTS, ImaginationSettings, Mode

TOLD = ("name", "unverified")  # of a preset, which change no image
PARTS = {"criteria": Criteria, "groups": Groups, "ball": Ball, "ascent": Ascent}
SETTLED = "settled"  # the name of a preset that was read again


@dataclass(frozen=True)
class Imagining:
    """The mode in effect, a preset whose values are all numbers, and how many variants are drawn for each kept one."""

    mode: Mode
    preset: Preset
    draws: int

    @property
    def group(self) -> int:
        """Variants that are made together."""
        assert self.preset.groups.size is not None
        return self.preset.groups.size

    def describe(self, latent_shape: tuple[int, ...]) -> dict[str, Any]:
        """As JSON, without what changes no image. A latent's shape says which granularity is the usual one."""
        kept = {name: value for name, value in asdict(self.preset).items() if name not in TOLD}
        usual = self.preset.granularity or USUAL[len(latent_shape)]
        return {"mode": self.mode, "draws": self.draws, "preset": {**kept, "granularity": usual}}


def settle(settings: ImaginationSettings, classes: int) -> Imagining:
    """The recipe's choices for a scorer of so many classes."""
    preset = build_preset(settings)
    if preset.criteria.consistency is None:
        weight = find_consistency(classes, preset.criteria.entropy)
        preset = replace(preset, criteria=replace(preset.criteria, consistency=weight))
    return Imagining(settings.mode, preset, settings.drawn_for_each)


def restore(found: Mapping[str, Any]) -> Imagining:
    """What `Imagining.describe` described."""
    given = dict(found["preset"])
    parts = {name: part(**given.pop(name)) for name, part in PARTS.items()}
    return Imagining(found["mode"], Preset(SETTLED, **parts, **given), found["draws"])


def build_preset(settings: ImaginationSettings) -> Preset:
    """The named preset with the recipe's changes, in complete groups that remember nothing, so that any can be made
    alone.

    The release gave a CLIP levels that it had not learnt on. A scorer that was trained here would answer at chance
    then, so it reads what it learnt on.
    """
    named = PRESETS[settings.preset]
    if settings.reads_own:
        named = replace(named, seed_input="own", variant_input="own")
    # The preset's phrase is about groups that are not made here.
    told = f"the mean is over groups of {settings.group_size}; the paper's, from memory, is over all K variants"
    ball = replace(named.ball, **_find_given(settings, norm="norm", set_radius="radius"))
    ascent = replace(named.ascent, **_find_given(settings, steps="steps", step_size="size", optimizer="rule"))
    criteria = replace(named.criteria, **_find_given(settings, **{key: key for key in WEIGHTS}))
    return replace(
        named,
        criteria=criteria,
        ball=ball,
        ascent=ascent,
        groups=Groups(settings.group_size, complete=True),
        granularity=settings.granularity or named.granularity,
        unverified=tuple(told if phrase == ALL_COMPARED else phrase for phrase in named.unverified),
    )


def _find_given(settings: ImaginationSettings, **names: str) -> dict[str, Any]:
    """The keys that the recipe gives, under the names that a preset has for them."""
    values = {name: getattr(settings, key) for key, name in names.items()}
    return {name: value for name, value in values.items() if value is not None}
