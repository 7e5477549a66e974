"""The section `prior` of a recipe, and the generator that is the prior itself.

A prior is a generator that learns from a pool of images without labels. Any kind of generator may be one that says
which of its keys need classes (`KindSettings.class_keys`); its section `prior` has the other keys, and those of
`PoolSettings`. The module knows no images.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, PrivateAttr, create_model, field_validator, model_validator

from ops.recipe.denoisers import asks_for_policy
from ops.recipe.generator import KindSettings
from ops.recipe.sampler import SamplerSettings
from ops.settings.section import Section

NEEDED = "prior: {kind: flow, pool: NAME}"


class PoolSettings(Section):
    """What every prior has: the images that it learns from, and a seed."""

    pool: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        description="name of a file in sources/, without .yaml; all its training images are used, without their labels",
    )
    seed: int = Field(
        0,
        ge=0,
        le=2**31 - 1,
        description="seed of the prior's training; the recipe's own seed has no effect on it, so that recipes share it",
    )

    @model_validator(mode="after")
    def _check_keys(self) -> Self:
        """Keys that need classes, or what validation chooses, mean nothing here."""
        assert isinstance(self, KindSettings)
        fields = type(self).model_fields
        idle = [key for key in sorted(self.class_keys or ()) if getattr(self, key) != fields[key].default]
        if idle:
            raise ValueError(f"{idle[0]} has no effect in a prior, which knows no classes; remove it")
        if asks_for_policy(self):
            raise ValueError("augmentation: auto is not possible in a prior: it follows from labelled images")
        return self


def build_section(settings: type[KindSettings]) -> Any:
    """The section `prior` of a kind of generator, as a class."""
    return create_model(f"{settings.__name__}OfPrior", __base__=(PoolSettings, settings), __doc__=settings.__doc__)


class PriorGeneratorSettings(KindSettings):
    """The recipe's prior itself: variants of seed images, whose labels they have."""

    kind: Literal["prior"] = Field("prior", description="the recipe's prior, which must be there")
    _prior: KindSettings | None = PrivateAttr(None)  # no key: the section `prior` has it

    @field_validator("seeds")
    @classmethod
    def _check_seeds(cls, seeds: int) -> int:
        if seeds != 1:
            raise ValueError("a generator of kind: prior is the prior, of which there is only one; remove this key")
        return seeds

    @property
    def prior(self) -> KindSettings:
        """The settings of the prior; ValueError before `take_prior`."""
        if self._prior is None:
            raise ValueError(f"kind: prior needs a prior; add {NEEDED}")
        return self._prior

    def find_prior(self) -> KindSettings | None:
        return self.prior

    def take_prior(self, prior: KindSettings | None) -> KindSettings:
        """A copy that knows the prior; ValueError without one."""
        found = self.model_copy()
        found._prior = prior
        return found if found.prior is prior else self

    def resolve_sampler(self, sampler: SamplerSettings) -> SamplerSettings:
        """As the prior's own kind resolves it, with a strength: without one an image would have no label."""
        if sampler.strength is None:
            raise ValueError(
                "strength is needed with kind: prior, whose images have the labels of their seed images; give a"
                " number, such as 0.4, or auto"
            )
        if sampler.guidance != 1.0:
            raise ValueError("guidance is not possible with kind: prior, which knows no classes; remove it")
        if sampler.strength != "auto":
            return self.prior.resolve_sampler(sampler)
        if sampler.keeps is None:
            raise ValueError(
                "strength: auto needs keeps: how often variants must be named rightly, relative to their images"
            )
        resolved = self.prior.resolve_sampler(sampler.model_copy(update={"strength": 0.5}))  # any number will do
        return resolved.model_copy(update={"strength": "auto"})

    def list_inputs(self, sampler: SamplerSettings) -> tuple[str, ...]:
        return "noise", "image"
