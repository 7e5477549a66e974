"""Three sets of choices: GIF's released code, its paper, and ours. All that guidance depends on is in one value.

The formulas of the paper leave much open, and the release (Vanint/DatasetExpansion at 554e608) differs from it:

| choice | `RELEASE` | `PAPER` | `CORRECTED` |
|---|---|---|---|
| class to keep | the scorer's prediction | the same | the label |
| weight of keeping it | 1 | 1 | λ_ent ln(C - 1), at least 1, so that the optimum keeps it |
| group that diversity compares | pairs, in order; the last may be alone | all K | all K |
| diversity | KL(mean ‖ variant), softmax at temperature 1 | KL(variant ‖ mean), the same | cosine |
| score is taken | before the projection | after it | after it |
| input of the scorer, seed image | normalised by the data's statistics | the scorer's own | the scorer's own |
| input of the scorer, variant | not normalised | the scorer's own | the scorer's own |

What is read is the chain's choice for other scorers than a CLIP (`ops.chain.parts.imagining_preset`).

All climb by one sign step of 0.1 in an L∞ ball of 0.8, the release's for most natural data sets (it uses 4 on
Caltech-101, 0.5 and 0.1 on medical images). Any choice changes with `dataclasses.replace`.

**What is not verified.** The paper's body could not be read when this was written. `Preset.unverified` names the parts
that rest on memory or inference. The release's column was read in its code. No value of `CORRECTED` is tuned.

**Nested sets.** Where diversity counts, the group's mean couples its variants, so the 5 variants of K = 5 are not the
first 5 of K = 20 if the group is all K. `nest` keeps them equal: groups of fixed size, in order, the last one
completed although some of its variants are not asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from ops.imagination.ascent import Ascent
from ops.imagination.criteria import Criteria
from ops.imagination.perturbation import Granularity
from ops.imagination.projection import Ball
from ops.imagination.protocols import UNCHANGED, Statistics

Input = Literal["own", "data", "none"]
BALL, STEP = Ball(0.8), Ascent("sign", 1, 0.1)


@dataclass(frozen=True)
class Groups:
    """Which variants of a seed image diversity compares with each other.

    size : consecutive variants in a group; None is all K. complete : whether the last group is filled up, so that a
    variant does not depend on K. remembers : whether the mean includes the groups before, which cannot change any more.
    """

    size: int | None = None
    complete: bool = False
    remembers: bool = False

    def __post_init__(self) -> None:
        if self.size is None and (self.complete or self.remembers):
            raise ValueError("a group of all variants is complete and has none before it; give groups a size")
        if self.size is not None and self.size < 1:
            raise ValueError(f"groups need 1 variant or more, not {self.size}")

    def split(self, count: int) -> list[range]:
        """The variants of each group, for `count` asked for; a completed last group goes beyond them."""
        size = self.size or count
        return [range(k, k + size if self.complete else min(k + size, count)) for k in range(0, count, size)]


@dataclass(frozen=True)
class Preset:
    """All choices of guided imagination.

    scored : whether a step's score is taken at the projected or the unprojected point; what is decoded at the end is
        projected always.
    seed_input, variant_input : what the scorer reads; "own": its own normalisation, "data": by statistics of the data
        in its place, "none": levels in 0..1 as they are.
    granularity : of z and b; None: the usual one of the prior's latent.
    unverified : the parts that rest on memory or inference, one phrase each.
    """

    name: str
    criteria: Criteria
    groups: Groups = Groups()
    ball: Ball = BALL
    ascent: Ascent = STEP
    scored: Literal["projected", "unprojected"] = "projected"
    seed_input: Input = "own"
    variant_input: Input = "own"
    granularity: Granularity | None = None
    unverified: tuple[str, ...] = ()


RELEASE = Preset(
    "release",
    Criteria("prediction", form="kl_from_mean"),
    Groups(2),
    scored="unprojected",
    seed_input="data",
    variant_input="none",
)
ALL_COMPARED = "the mean is over all K variants of a seed image: memory of the formula, not of code"
PAPER = Preset(
    "paper",
    Criteria("prediction", form="kl_to_mean"),
    unverified=(
        "the direction of the divergence: memory, medium confidence",
        ALL_COMPARED,
        "softmax of the features without a temperature: as the release",
        "one sign step of 0.1: as the release; the paper's number of steps is not known",
        "the score is taken after the projection: read off the formula",
        "the scorer's own normalisation on both sides: what a formula without one means",
    ),
)
CORRECTED = Preset("corrected", Criteria("label", consistency=None, form="cosine"))
PRESETS = {preset.name: preset for preset in (RELEASE, PAPER, CORRECTED)}


def nest(preset: Preset, size: int = 5, *, remembers: bool = True) -> Preset:
    """The preset with complete groups of `size`: each variant is then a function of its seed image and its number.

    With `remembers`, later groups also keep away from earlier ones, so little diversity is lost to the division.
    """
    return replace(preset, groups=Groups(size, complete=True, remembers=remembers))


def find_statistics(wanted: Input, data: Statistics | None) -> Statistics | None:
    """What replaces the scorer's normalisation; None: nothing. ValueError if the data's are wanted and not given."""
    if wanted == "data" and data is None:
        raise ValueError("the preset normalises by statistics of the data, and none are given")
    return {"own": None, "data": data, "none": UNCHANGED}[wanted]
