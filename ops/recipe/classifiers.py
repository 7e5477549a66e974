"""The sections `scorer` and `classifier` of a recipe: networks that classify, and the budget of their training.

It loads nothing that computes. The search for a policy is `ops.recipe.tuning`, what arms differ in `ops.recipe.arms`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ops.recipe.arms import AUGMENTATIONS, NETWORKS, FlipCrop, Network, SmallResNet, Standardise
from ops.recipe.grid import GridSettings
from ops.settings.kinds import Kind, OneOf
from ops.settings.section import Count, Positive, Precision, Section


class NetworkBudget(Section):
    """The budget of training one classifier."""

    steps: Count = Field(500, description="optimizer steps")
    batch_size: Count = Field(64, description="images per optimizer step")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share of the target spread over all classes")
    optimizer: Literal["muon", "sgd"] = Field("muon", description="muon needs about half of sgd's steps")
    precision: Precision = Field("auto", description="auto: bf16 where the hardware supports it, else fp32")
    clean_statistics: bool = Field(
        False, description="re-estimate normalisation statistics on unaugmented real training images at the end"
    )


class ScorerSettings(NetworkBudget):
    """The cross-fitted classifier that judges generated images; it sees real training images only."""

    folds: int = Field(3, ge=2, le=20, description="each image is scored by a network that did not see it")
    width: Count = Field(
        32, description="channels of the first stage of its network, a small_resnet; tuning.policy chooses 32 anew"
    )
    stride: Literal[1, 2, 4] = Field(
        2, description="as in classifier.network, with one layer more for 4; tuning.policy chooses 2 anew"
    )
    learning_rate: Positive = Field(0.02, description="peak of the one-cycle schedule")
    weight_decay: float = Field(0.1, ge=0, description="decoupled from the gradient with muon, added to it with sgd")
    augmentation: Annotated[Kind, OneOf(AUGMENTATIONS)] = Field(
        FlipCrop(), description="label-preserving changes, as in an arm"
    )
    standardise: Standardise = Field("none", description="as in classifier.network; tuning.policy chooses it")

    @property
    def network(self) -> SmallResNet:
        """The network of each fold."""
        stem: Literal[1, 2] = 2 if self.stride == 4 else 1
        return SmallResNet(width=self.width, stem=stem, stride=self.stride, standardise=self.standardise)


class ClassifierSettings(NetworkBudget):
    """What all arms share: network, equal budget, seeds and the grid."""

    network: Annotated[Network, OneOf(NETWORKS, default="small_resnet")] = Field(
        SmallResNet(), description="equal for all arms"
    )
    seeds: int = Field(5, ge=1, le=100, description="paired seeds: seed s starts every arm from the same weights")
    grid: GridSettings = Field(default_factory=GridSettings)
    race: Annotated[float, Field(ge=2)] | None = Field(
        None,
        description="leave out arms that lie more than so many standard errors below the best one of their side on"
        " validation at the first seed, except `real` and teachers; null, and in the folds of verdict.folds: none",
    )

    @model_validator(mode="before")
    @classmethod
    def _name_new_spelling(cls, keys: Any) -> Any:
        if isinstance(keys, dict) and "width" in keys:
            raise ValueError("width is now written network: {kind: small_resnet, width: ...}")
        return keys

    @model_validator(mode="after")
    def _check_steps(self) -> ClassifierSettings:
        if self.grid.steps is not None and self.steps not in self.grid.steps:
            raise ValueError(f"grid.steps must include {self.steps}, the value of steps")
        return self
