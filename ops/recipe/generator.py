"""The section `generator` of a recipe: what all kinds share, and the keys of one that was exported elsewhere.

It loads nothing that computes, so that a recipe is read in milliseconds. `ops.generators` implements the kinds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from ops.recipe.imagination import ImaginationSettings
from ops.recipe.medical import MEDICAL, STRENGTH
from ops.recipe.sampler import SamplerSettings
from ops.settings.section import Fraction, Precision, Section


class KindSettings(Section):
    """The section `generator` of a recipe; each kind adds its own keys."""

    class_keys: ClassVar[frozenset[str] | None] = None  # of a kind that can be a prior: those that need classes
    learnt_elsewhere: ClassVar[bool] = False  # as a generator it is a prior by itself
    imagines: ClassVar[bool] = False  # whether, as a prior, it can imagine (`ops.generators.imaginable`)
    encodes: ClassVar[bool] = False  # whether, as a prior, it has an encoder (`ops.generators.encoding`)
    latents_are_maps: ClassVar[bool] = True  # of a prior that imagines: they have channels
    has_features: ClassVar[bool] = False  # whether, as a prior, it describes images (`ops.generators.describable`)
    truncates: ClassVar[bool] = False  # whether `sampler.truncation` changes how it draws
    in_torch: ClassVar[bool] = False  # it exports no graph and draws in torch, slowly: few images are drawn to judge it
    rows: ClassVar[int] = 10  # variants that are imagined in one call of prior and scorer, at most

    kind: str
    seeds: int = Field(
        1,
        ge=1,
        le=100,
        description="number of generators to train, each with its own generated images; classifier seed s uses"
        " generator s mod seeds, so that the verdict holds for another generator of this recipe; 2 are too few to"
        " decide with",
    )

    @property
    def labels_pool(self) -> bool:
        """Whether it is trained on the prior's pool too, with labels that a probe gives."""
        return False

    def take_prior(self, prior: KindSettings | None) -> KindSettings:
        """These settings beside the recipe's prior; ValueError where the two do not belong together."""
        if prior is not None:
            raise ValueError(f"prior has no effect with kind: {self.kind}; write kind: prior, or remove the prior")
        return self

    def find_prior(self) -> KindSettings | None:
        """What makes the variants that could be imagined; None where nothing learnt from more than labelled images."""
        return self if self.learnt_elsewhere else None

    def check_imagination(self, imagination: ImaginationSettings) -> None:
        """ValueError for an imagination that this kind, as a prior, cannot have."""
        if not self.imagines:
            raise ValueError(f"sampler.imagination is not possible with a prior of kind: {self.kind}")
        if imagination.granularity == "channel" and not self.latents_are_maps:
            raise ValueError(
                f"sampler.imagination.granularity: channel has no effect with a prior of kind: {self.kind}, whose"
                " latent has no channels; remove it"
            )

    def take_profile(self, sampler: SamplerSettings) -> SamplerSettings:
        """The sampler with its profile's strength where it has none and this kind varies seed images."""
        imagination = sampler.imagination
        if imagination is None or imagination.profile != MEDICAL or sampler.strength is not None:
            return sampler
        varies = "image" in self.list_inputs(sampler)
        return sampler.model_copy(update={"strength": STRENGTH}) if varies else sampler

    def resolve_sampler(self, sampler: SamplerSettings) -> SamplerSettings:
        """The sampler with this kind's defaults in place of None; ValueError for a value this generator cannot use."""
        return sampler

    def check_sizes(self, sizes: Sequence[int]) -> None:
        """ValueError for classes of `sizes` training images from which this kind cannot learn."""

    def list_inputs(self, sampler: SamplerSettings) -> tuple[str, ...]:
        """The inputs of the sampler that is exported with these settings; with `image` it makes variants."""
        return "noise", "label"

    def count_first(self, sampler: SamplerSettings, classes: int) -> float:
        """How many images' worth of drawing comes before the training."""
        return 0.0


class TrainedSettings(KindSettings):
    """What all kinds share whose networks are trained here."""

    class_balanced: bool = Field(True, description="draw all classes equally often, whatever their sizes")
    checkpoints: int = Field(
        4,
        ge=1,
        le=100,
        description="how often quality is measured during training; the last checkpoint is kept unless another one is"
        " clearly better",
    )
    max_copies: Fraction = Field(
        0.05, description="training stops when the share of near copies exceeds that of unseen real images by this much"
    )
    precision: Precision = Field("auto", description="auto: bf16 where the hardware supports it, else fp32")


class OnnxSettings(KindSettings):
    """A sampler that was exported elsewhere."""

    kind: Literal["onnx"] = Field("onnx", description="a sampler that was exported elsewhere")
    path: str = Field(description="the .onnx file, relative to the workspace's root")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="hash of that file's content, which must match")
    class_names: tuple[str, ...] | None = Field(
        None, strict=False, description="classes of its labels 0, 1, ...; null: as `labels` in its metadata names them"
    )

    @field_validator("seeds")
    @classmethod
    def _check_seeds(cls, seeds: int) -> int:
        if seeds != 1:
            raise ValueError("a generator of kind: onnx was trained elsewhere, so there is only one; remove this key")
        return seeds

    def resolve_sampler(self, sampler: SamplerSettings) -> SamplerSettings:
        for key, field in SamplerSettings.model_fields.items():
            if key != "usable_from" and getattr(sampler, key) != field.default:
                raise ValueError(f"{key} has no effect with kind: onnx, which is a whole sampler; remove it")
        return sampler
