"""Sections of a part `classifiers`: its images, ways of showing gains, claims that it tries, and its quick run.

It loads nothing that computes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from ops.recipe.schema import ArmName
from ops.settings.section import Count, Section
from ops.study.measure_names import ClassifierMeasure
from ops.study.part import Names, refuse_repeats
from ops.study.pool import PoolSize, check_size
from ops.study.unlabelled import KEY as UNLABELLED

PER_CLASS = "data.images_per_class"
Arms = Annotated[tuple[ArmName, ...], Field(strict=False, min_length=1), AfterValidator(refuse_repeats)]
Others = Annotated[Arms, BeforeValidator(lambda names: [names] if isinstance(names, str) else names)]


class Images(Section):
    """Where a study's images come from. Only its training images are used; some of them evaluate."""

    source: str | dict[str, Any] = Field(
        description="name of a file in sources/, or the same keys here; a relative path here starts at the workspace"
    )
    evaluation: Count = Field(1000, description="training images of each class that are put aside for evaluation")
    validation: Count = Field(100, description="training images of each class that become the validation split")
    pool: PoolSize | None = Field(
        None,
        description="training images that a prior learns from without their labels: all that are not put aside, or so"
        " many of them; those that a block labels may be among them. null: no pool. A setting may change it",
    )
    unlabelled: PoolSize | None = Field(
        None,
        description="training images that are expanded without their labels: all that are not put aside, or so many of"
        " them, as many of each class, which each seed draws anew; all are the same at each seed. data.images_per_class"
        " of them keep their label, for probes and supervised arms: others at each seed, and of a smaller number those"
        " that a larger one has. null: the labelled images are expanded. A setting may change it",
    )
    seed: int = Field(
        0, ge=0, description="of the draw of evaluation and validation images and of the pool, which all settings share"
    )

    @field_validator("pool", "unlabelled", mode="before")
    @classmethod
    def _check_size(cls, value: Any) -> PoolSize | None:
        return None if value is None else check_size(value)


class Way(Section):
    """From where to where an arm's gain is measured as a share."""

    over: ArmName = Field(description="the arm that the gain is over: a share of 0")
    ceiling: ArmName = Field(description="the arm whose gain is all of it: a share of 1")


class Claim(Section):
    """Something that is said of gains, in a paper or before the study, and that the results decide."""

    says: str = Field(min_length=1, description="the claim, one sentence")
    arms: Arms = Field(description="arms whose gain it is about; the mean over them and over the settings counts")
    over: ArmName = Field(description="the arm that the gain is over")
    settings: Names = Field(description="the settings that it is about")
    than: Names | None = Field(
        None, description="settings whose mean gain is subtracted; null: the claim is about the gain itself"
    )
    expects: Literal["above", "below"] = Field(
        "above", description="on which side of the margin the gain lies, with its whole interval"
    )
    margin: float = Field(0.0, description="in the unit in which the page shows the measure, such as points")
    measure: ClassifierMeasure | None = Field(None, description="one of measures; null: the first of them")

    def list_settings(self) -> list[str]:
        """All settings that it compares."""
        return [*self.settings, *(self.than or ())]


class Quick(Section):
    """A part made small, to see in less than a minute that it runs; nothing of it is kept."""

    settings: Names = Field(description="those that are run")
    steps: Count = Field(20, description="optimizer steps of every classifier")
    set: dict[str, Any] = Field(default_factory=dict, description="further changes of the recipe")


def check_claims(claims: Mapping[str, Claim], measures: Sequence[str]) -> None:
    """ValueError for a claim about a measure that is not measured, or about an arm beside itself."""
    for name, claim in claims.items():
        if claim.measure is not None and claim.measure not in measures:
            raise ValueError(f"claims.{name}.measure is {claim.measure!r}, which is not one of measures")
        if claim.over in claim.arms:
            raise ValueError(
                f"claims.{name} compares {claim.over!r} with itself; remove it from arms, or name another over"
            )


def check_gains(gains: Mapping[str, Sequence[str]], changes: Mapping[str, Mapping[str, Any]]) -> None:
    """ValueError for settings over which no law can be fitted; changes: by setting, of the recipe and of
    images.unlabelled."""
    for name, settings in gains.items():
        if hiding := [setting for setting in settings if changes[setting].get(UNLABELLED) is not None]:
            raise ValueError(
                f"gains.{name} counts {PER_CLASS} as the real images, and {hiding[0]!r} expands {UNLABELLED}; name"
                " settings whose labels are not hidden"
            )
        sizes = [changes[setting].get(PER_CLASS) for setting in settings]
        if lacking := [setting for setting, size in zip(settings, sizes, strict=True) if not isinstance(size, int)]:
            raise ValueError(f"gains.{name} needs {PER_CLASS} in each of its settings; {lacking[0]!r} has none")
        if len(set(sizes)) < max(2, len(sizes)):
            raise ValueError(
                f"gains.{name} needs two settings or more, each with another number of {PER_CLASS}; it has"
                f" {', '.join(map(str, sizes))}"
            )
