"""Key `sampler.imagination.scorer` of a recipe: who judges variants. `ops.imagination.scorers` implements it."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from ops.recipe.pretrained import Content
from ops.recipe.prompts import CLASS, TEMPLATES, check_templates
from ops.settings.kinds import Kind

KEY = "sampler.imagination.scorer"


class StageScorer(Kind):
    """The cross-fitted classifiers that every expansion trains."""

    kind: Literal["scorer"] = Field("scorer", description="the cross-fitted classifiers of the stage `scorer`")


class ClipScorer(Kind):
    """A CLIP that compares images with the names of their classes, untrained on the task."""

    kind: Literal["clip"] = Field("clip", description="a CLIP from a folder, by the names of the classes")
    model: str = Field(
        min_length=1, description="its folder, relative to the workspace's root, or a name in the Hub's cache"
    )
    sha256: Content | None = Field(
        None, description="hash of that folder's content, which must match; required: `growset check` prints it"
    )
    templates: tuple[str, ...] = Field(
        TEMPLATES, strict=False, min_length=1, description=f"sentences with {CLASS} for the class's name; averaged"
    )
    class_names: dict[str, str] | None = Field(
        None,
        description="what each class is called, by its name in the source; null: as the generator's prompts call it, or"
        " by that name, which must then hold a word",
    )

    @field_validator("templates")
    @classmethod
    def _check_templates(cls, templates: tuple[str, ...]) -> tuple[str, ...]:
        return check_templates(templates)


class ProbeScorer(Kind):
    """Logistic regression on features that learnt elsewhere or on the pool, cross-fitted in the folds of the stage."""

    kind: Literal["probe"] = Field(
        "probe", description="cross-fitted logistic regression on the features of the prior's encoder, or of a network"
    )
    model: str | None = Field(
        None,
        min_length=1,
        description="folder of the vision network whose features are read, relative to the workspace's root, or a name"
        " in the Hub's cache; null: the encoder of the recipe's prior, which is then of kind: instance",
    )
    sha256: Content | None = Field(
        None, description="hash of that folder's content, which must match; required: `growset check` prints it"
    )

    @model_validator(mode="after")
    def _check_hash(self) -> Self:
        if self.model is None and self.sha256 is not None:
            raise ValueError("sha256 has no effect without a model; remove it")
        return self


SCORERS: dict[str, type[Kind]] = {"scorer": StageScorer, "clip": ClipScorer, "probe": ProbeScorer}


def check_features(scorer: Kind, prior: str | None) -> None:
    """ValueError for a probe that has no features to read; `prior`: the kind of the generator's prior, if any."""
    if isinstance(scorer, ProbeScorer) and scorer.model is None and prior != "instance":
        found = "there is no prior" if prior is None else f"the prior is of kind: {prior}"
        raise ValueError(
            f"{KEY}: {{kind: probe}} without a model reads the encoder of a prior of kind: instance, and {found}; name"
            f" a vision network's folder in {KEY}.model"
        )
