"""The section `sampler.imagination` of a recipe: variants whose latents are perturbed, and guided by a scorer.

It loads nothing that computes. `ops.imagination` implements the choices, `ops.chain.parts` draws with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_serializer, model_validator

from ops.recipe.medical import MEDICAL, MOST_HIDDEN, MOST_STRENGTH, RADIUS
from ops.recipe.medical import STRENGTH as MEDICAL_STRENGTH
from ops.recipe.scorers import SCORERS, ClipScorer, StageScorer
from ops.settings.kinds import Kind, OneOf
from ops.settings.section import Section

Mode = Literal["guided", "random", "prior", "overdraw"]
Weight = Annotated[float, Field(ge=0, le=1000)]

MOST_CANDIDATES = 100  # variants of a seed image that are compared with each other at once

PERTURBS: tuple[Mode, ...] = ("guided", "random")  # a perturbation is drawn
ASKS: tuple[Mode, ...] = ("guided", "overdraw")  # the scorer decides what is made
WITHOUT_SCORER: dict[Mode, Mode] = {"guided": "random", "overdraw": "prior"}
LEADING: dict[Mode, tuple[Mode, ...]] = {  # to each mode, the last: what a sheet shows side by side
    "guided": ("prior", "random", "guided"),
    "random": ("prior", "random"),
    "prior": ("prior",),
    "overdraw": ("prior", "overdraw"),
}
BALL = ("norm", "radius", "granularity")
ASCENT = ("steps", "step_size", "optimizer")
WEIGHTS = ("consistency", "entropy", "diversity")
WHERE: dict[str, tuple[Mode, ...]] = {  # the modes in which a key has an effect
    **dict.fromkeys(BALL, PERTURBS),
    **dict.fromkeys(ASCENT, ("guided",)),
    **dict.fromkeys(WEIGHTS, ASKS),
    "draws": ("overdraw",),
    "force": ASKS,
}


class ImaginationSettings(Section):
    """Guided imagination (GIF): how the latents of variants are perturbed, and towards what; null: preset's value."""

    mode: Mode = Field(
        "guided",
        description="guided: a perturbation of the latent is drawn and climbs the scorer's gradient; random: the same"
        " perturbation without a step; prior: none, the prior's own variants; overdraw: more of the prior's own"
        " variants are drawn, and the best by the same score are kept",
    )
    preset: Literal["release", "paper", "corrected"] = Field(
        "corrected",
        description="release: GIF's published code; paper: its formulas, partly from memory; corrected: the label is"
        " kept, weights that keep it, diversity by cosine",
    )
    profile: Literal["medical"] | None = Field(
        None,
        description=f"medical: strength at most {MOST_STRENGTH:g}, and {MEDICAL_STRENGTH:g} where it is left out;"
        f" radius {RADIUS:g} in place of 0.8; at most {MOST_HIDDEN:g} of the patches hidden with a prior of kind mae;"
        " no word for a style in a prompt; what makes or judges variants does not learn from mirrored images; not with"
        " kind: unclip; null: none of this",
    )
    scorer: Annotated[Kind, OneOf(SCORERS)] = Field(StageScorer(), description="what judges variants")
    norm: Literal["linf", "l2"] | None = Field(
        None,
        description="the ball around a latent that a variant stays in: linf (null) bounds each number, l2 all together",
    )
    radius: Annotated[float, Field(gt=0, le=100)] | None = Field(
        None,
        description="of the ball, in standard deviations of the latents' numbers; null: 0.8, or the profile's; required"
        " with l2",
    )
    granularity: Literal["channel", "element"] | None = Field(
        None,
        description="a perturbation for each channel of a latent, or for each of its numbers; null: by its axes, each"
        " channel of a map",
    )
    steps: Annotated[int, Field(ge=1, le=100)] | None = Field(None, description="steps of the ascent; null: 1")
    step_size: Annotated[float, Field(gt=0, le=10)] | None = Field(
        None, description="of a step; with sign and adam about how far each number of a perturbation moves; null: 0.1"
    )
    optimizer: Literal["sign", "plain", "adam"] | None = Field(
        None, description="sign (null): by the gradient's sign; plain: by the gradient; adam: by Adam's rule"
    )
    group: Annotated[int, Field(ge=1, le=50)] | None = Field(
        None,
        description="consecutive variants of an image that are made together and compared for diversity; null: 2 with"
        " release, else 5",
    )
    consistency: Weight | None = Field(
        None,
        description="weight of the probability of the class to keep; preset: corrected alone may change weights; null:"
        " entropy times the logarithm of the number of classes less 1, at least 1; 1 in the other presets",
    )
    entropy: Weight | None = Field(None, description="weight of the gain in entropy; null: 1")
    diversity: Weight | None = Field(
        None, description="weight of the differences among the variants of a group; null: 1"
    )
    draws: Annotated[int, Field(ge=2, le=20)] | None = Field(
        None, description="overdraw: variants drawn for each one that is kept; null: 4"
    )
    force: bool = Field(
        False,
        description="let a scorer near chance decide all the same; else guided becomes random, and overdraw prior",
    )

    @field_serializer("scorer")
    def _write_scorer(self, scorer: Kind) -> Any:
        """The default is written by its name alone, as it was before there were others."""
        return scorer.kind if isinstance(scorer, StageScorer) else scorer.model_dump(mode="json")

    @property
    def reads_own(self) -> bool:
        """Whether the scorer reads images as it learnt them. A CLIP reads them as the preset says."""
        return not isinstance(self.scorer, ClipScorer)

    @property
    def set_radius(self) -> float | None:
        """The radius of the ball; None: the preset's."""
        return RADIUS if self.radius is None and self.profile == MEDICAL else self.radius

    @property
    def group_size(self) -> int:
        """Variants of a group."""
        return self.group or (2 if self.preset == "release" else 5)

    @property
    def drawn_for_each(self) -> int:
        """Variants drawn for each one that is kept."""
        return (self.draws or 4) if self.mode == "overdraw" else 1

    def drop_scorer(self) -> ImaginationSettings:
        """The same without what the scorer decides: guided becomes random, and overdraw prior."""
        return self.with_mode(WITHOUT_SCORER.get(self.mode, self.mode))

    def with_mode(self, mode: Mode) -> ImaginationSettings:
        """The same in another mode, without the keys that have no effect there."""
        idle = [key for key, modes in WHERE.items() if mode not in modes]
        return self.model_copy(update={"mode": mode, **{key: type(self).model_fields[key].default for key in idle}})

    @model_validator(mode="after")
    def _check_effect(self) -> Self:
        fields = type(self).model_fields
        for key, modes in WHERE.items():
            if getattr(self, key) != fields[key].default and self.mode not in modes:
                raise ValueError(f"{key} has no effect with mode: {self.mode}; remove it")
        if self.preset != "corrected" and (changed := [key for key in WEIGHTS if getattr(self, key) is not None]):
            raise ValueError(
                f"{changed[0]} cannot be changed with preset: {self.preset}, whose weights are 1; write preset:"
                " corrected, or remove it"
            )
        if self.mode in ASKS and all(getattr(self, key) == 0 for key in WEIGHTS):
            raise ValueError("consistency, entropy and diversity are all 0, so that the scorer decides nothing")
        if self.norm == "l2" and self.radius is None:  # the profile's is for each number, too
            raise ValueError(
                "norm: l2 needs a radius: it bounds the length over all numbers of a latent, for which the preset's 0.8"
                " for each number is no measure"
            )
        if self.mode in ASKS and self.group == 1 and self.diversity != 0:
            raise ValueError(
                "group: 1 leaves diversity nothing to compare; write a larger group, or preset: corrected with"
                " diversity: 0"
            )
        if (candidates := self.group_size * self.drawn_for_each) > MOST_CANDIDATES:
            raise ValueError(
                f"{self.drawn_for_each} draws for each of a group of {self.group_size} are {candidates} variants to be"
                f" compared at once; at most {MOST_CANDIDATES} are allowed"
            )
        return self


def check_class_count(settings: ImaginationSettings | None, classes: int) -> None:
    """ValueError where the scorer is to decide, and there is but one class to choose from."""
    if settings is not None and settings.mode in ASKS and classes < 2:
        raise ValueError(
            f"sampler.imagination.mode: {settings.mode} needs a scorer of two classes or more, and the source has"
            f" {classes}; write mode: {settings.drop_scorer().mode}"
        )


def check_probed(sizes: Sequence[float]) -> None:
    """ValueError where a fold of a probe may leave a single class to learn; sizes: training images of each class.

    The images of a class of two or more are never all in one fold.
    """
    if (found := sum(size >= 2 for size in sizes)) < 2:
        raise ValueError(
            "sampler.imagination.scorer: probe needs two classes of two training images or more, so that each fold"
            f" leaves two to learn, and there {'is' if found == 1 else 'are'} {found}; write scorer: scorer"
        )
