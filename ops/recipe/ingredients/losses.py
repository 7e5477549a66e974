"""The keys of every loss."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from ops.recipe.ingredients.balancing import Balancing, Beta, Deferred
from ops.settings.kinds import Kind


class PlainLoss(Kind):
    """Cross-entropy."""

    kind: Literal["plain"] = Field("plain", description="cross-entropy")


class ClassWeightedLoss(Balancing, Deferred):
    """Cross-entropy in which rare classes weigh more."""

    kind: Literal["class_weighted"] = Field("class_weighted", description="cross-entropy times W / (K · W_c)")


class EffectiveNumberLoss(Balancing, Deferred):
    """Cross-entropy in which rare classes weigh more, but less so where a class has many images already."""

    kind: Literal["effective_number"] = Field(
        "effective_number", description="cross-entropy times a multiple of (1 - beta) / (1 - beta^n_c)"
    )
    beta: Beta = Field(0.999, description="beyond about 1 / (1 - beta) images a class gains little by more; 0: plain")


class LogitAdjustedLoss(Balancing):
    """Cross-entropy that expects as many errors of each class, however often it is shown."""

    kind: Literal["logit_adjusted"] = Field(
        "logit_adjusted", description="cross-entropy of logits + tau · log of the shares in which classes are shown"
    )
    tau: float = Field(1.0, ge=0, le=10, description="1: balanced softmax; more favours rare classes; 0: plain")


class LdamLoss(Deferred):
    """Cross-entropy of cosines with larger margins for rare classes; for hard labels."""

    kind: Literal["ldam"] = Field("ldam", description="cosines with margins in proportion to n_c^(-1/4)")
    max_margin: float = Field(0.5, gt=0, le=2, description="margin of the rarest class, in units of the cosine")
    scale: float = Field(30.0, gt=0, le=1000, description="factor that turns cosines into logits")
    beta: Beta = Field(0.0, description="rare classes also weigh more, as with effective_number; 0: all weigh the same")

    @model_validator(mode="after")
    def _check_start(self) -> LdamLoss:
        if self.start and not self.beta:
            raise ValueError("start has no effect with beta 0: only the weights of the classes are deferred")
        return self


class FocalLoss(Kind):
    """Cross-entropy in which images that are answered well count less."""

    kind: Literal["focal"] = Field("focal", description="cross-entropy times (1 - p)^gamma")
    gamma: float = Field(2.0, ge=0, le=10, description="the larger, the less well-answered images count; 0: plain")


LOSSES: dict[str, type[Kind]] = {
    "plain": PlainLoss,
    "class_weighted": ClassWeightedLoss,
    "effective_number": EffectiveNumberLoss,
    "logit_adjusted": LogitAdjustedLoss,
    "ldam": LdamLoss,
    "focal": FocalLoss,
}
