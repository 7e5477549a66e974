"""The small sections of a recipe: `plan`, `mix`, `verdict`, `report` and `publish`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ops.recipe.design import LEAST_FOLDS, Metric
from ops.recipe.pretrained import ReferenceSettings
from ops.recipe.worth import PriceSettings, WorthSettings
from ops.settings.section import Count, Positive, Section


class PlanSettings(Section):
    """How many images to generate."""

    ratio: Positive = Field(10.0, le=1000, description="expansion ratio: generated images added per real image")
    overdraw: float = Field(
        1.3, ge=1, le=100, description="images that the first round draws per image wanted, to allow for rejections"
    )
    rounds: Count = Field(5, description="most rounds of generation; each draws the images that classes still lack")
    budget: float = Field(4.0, ge=1, le=1000, description="most images drawn per image wanted, over all rounds")
    balance: Literal["keep", "equalise"] = Field(
        "keep", description="keep: every class grows by the ratio; equalise: all classes end equally large"
    )
    seeds: Literal["all", "hard"] = Field(
        "all",
        description="of which training images variants are made; hard: of the third of each class that the stage"
        " `scorer` learns worst, where its cross-fitted network gives the image's own class the least probability; a"
        " class is planned as many images as with all; needs filter: {wrong_label: null, atypical: null}, which would"
        " reject just these variants",
    )

    @model_validator(mode="after")
    def _check_budget(self) -> PlanSettings:
        if self.budget < self.overdraw:
            raise ValueError(f"budget {self.budget:g} is below overdraw {self.overdraw:g}; raise it")
        return self


class MixSettings(Section):
    """How real and generated images are weighted."""

    real_weight: Positive = Field(10.0, description="N: weight of one real image relative to one generated")


class VerdictSettings(Section):
    """What is compared, and how it is decided."""

    metric: Metric | None = Field(
        None,
        description="the figure that picks settings and arms and that decides; null: balanced_accuracy where the"
        " largest training class has more than three times the images of the smallest, else accuracy",
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="confidence of the two-sided intervals")
    reference: ReferenceSettings | None = Field(
        None,
        description="a vision network whose features, with logistic regression, are a second reference model; the"
        " better one by cross-fitting is what arms must reach; null: gradient histograms alone",
    )
    looks: Literal[1, 2] = Field(
        1, description="2: if the first seeds leave it undecided, as many more are trained and all are judged again"
    )
    curve_seeds: int = Field(
        0,
        ge=0,
        le=20,
        description="seeds of a learning curve of the two compared arms, trained for a quarter and half of their steps"
        " too and scored on validation; 0: no curve",
    )
    rehearsal: bool = Field(
        False, description="the sentence begins by saying that this is a rehearsal; `growset run --quick` sets it"
    )
    folds: Annotated[int, Field(ge=LEAST_FOLDS, le=10)] | None = Field(
        None,
        description="for small test sets: divide all images into so many folds, repeat the whole chain with each fold"
        " as the test split, and judge by all of them; null: by the one test split",
    )


class ReportSettings(Section):
    """What the report shows."""

    examples_per_class: int = Field(8, ge=1, le=50, description="pictures per class and row")
    worth: WorthSettings | None = Field(
        None,
        description="train the picked baseline on parts of its labels too, and tell gains as so many real labels per"
        " class; null: not",
    )
    prices: PriceSettings | None = Field(None, description="with worth: tell it in money, too; null: not")

    @model_validator(mode="after")
    def _check_prices(self) -> ReportSettings:
        if self.prices is not None and self.worth is None:
            raise ValueError("prices has no effect without worth; write worth: {}, or remove the prices")
        return self


class PublishSettings(Section):
    """What happens after the dataset has been built and pushed."""

    commit: bool = Field(
        False, description="make one git commit and a tag <expansion>/vN, after each push to a DVC remote"
    )
