"""The section `generator` of a recipe with a kind that denoises: flow, edm or ddpm.

It loads nothing that computes. `ops.generators.denoising` and `ops.generators.kinds` implement them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ops.recipe.arms import AutoAugmentation, Policy
from ops.recipe.generator import KindSettings, TrainedSettings
from ops.recipe.learning import EmaDecay, Optimizer, WarmupSteps, WeightDecay
from ops.recipe.pseudo_labels import PseudoLabelSettings
from ops.recipe.sampler import SamplerSettings
from ops.settings.kinds import Kind, OneOf
from ops.settings.section import Count, Fraction, Positive, Section

MOVES = Policy(flip=0.5, shift=0.125, scale=0.2, rotation=15.0)

LEAST_STRENGTH = 0.01  # of a flow: below it a variant is its seed image

UNTOLD = ("blur", "noise", "erasing")  # operations of a policy that no condition undoes


class Moves(Kind):
    """Images are mirrored, moved, scaled and turned a little."""

    kind: Literal["moves"] = Field("moves", description="mirroring, and small shifts, scales and turns")


AUGMENTATIONS: dict[str, type[Kind]] = {"moves": Moves, "policy": Policy, "auto": AutoAugmentation}


class DenoiserSettings(TrainedSettings):
    """The network and its training; the same for every kind that denoises."""

    solvers: ClassVar[Mapping[str, int]]  # with their default steps; the first solver is the default
    has_features: ClassVar[bool] = True

    widths: tuple[int, ...] = Field(
        (32, 64), strict=False, min_length=1, max_length=5, description="channels per level"
    )
    layers_per_block: int = Field(1, ge=1, le=4, description="residual blocks per level")
    unshuffle: Literal[1, 2, 4] = Field(2, description="work at 1/unshuffle of the resolution")
    dropout: float = Field(0.0, ge=0, lt=1, description="in the residual blocks, during training")
    steps: Count = Field(1000, description="optimizer steps")
    batch_size: Count = Field(128, description="images per optimizer step")
    optimizer: Optimizer = "muon"
    learning_rate: Positive = Field(0.01, description="decays linearly over the last 30 %; adamw needs about 0.002")
    weight_decay: WeightDecay = 0.01
    warmup_steps: WarmupSteps = 100
    ema_decay: EmaDecay = 0.998
    class_transfer: float = Field(
        0.0,
        ge=0,
        description="τ of CBDM: how much the prediction for another class is drawn to that for the image's own, so that"
        " rare classes learn from common ones; published as 1.0, costs a second evaluation",
    )
    augment: Fraction = Field(
        0.0,
        description="share of images that each operation of `augmentation` changes; the network is told how each image"
        " was changed, so drawn images are not",
    )
    augmentation: Annotated[Kind, OneOf(AUGMENTATIONS)] = Field(
        Moves(), description="operations for `augment`; blur, noise and erasing of a policy have no effect"
    )
    label_dropout: Fraction = Field(0.0, lt=1, description="share of images trained without label; guidance needs it")
    pseudo_labels: PseudoLabelSettings | None = Field(
        None,
        description="with a prior: a probe on its features labels the pool, and the generator learns from these images"
        " beside the labelled ones; {}: with defaults; null: it learns from the labelled ones alone",
    )

    @property
    def labels_pool(self) -> bool:
        return self.pseudo_labels is not None

    @property
    def policy(self) -> Policy:
        """The operations for `augment`, once `auto` is settled."""
        if isinstance(self.augmentation, Moves):
            return MOVES
        assert isinstance(self.augmentation, Policy)
        return self.augmentation

    @model_validator(mode="after")
    def _check_augmentation(self) -> Self:
        if self.augmentation != Moves() and not self.augment:
            raise ValueError("augmentation has no effect with augment: 0.0; give a share of the images, such as 0.5")
        if idle := [key for key in UNTOLD if getattr(self.augmentation, key, 0)]:
            raise ValueError(f"augmentation.{idle[0]} has no effect on a generator; remove it")
        return self

    @model_validator(mode="after")
    def _check_network(self) -> Self:
        if any(width < 8 or width % 8 for width in self.widths):
            raise ValueError("widths must be positive multiples of 8")
        return self

    def take_prior(self, prior: KindSettings | None) -> KindSettings:
        """With pseudo-labels a prior is needed, for its pool and its features; without them it has no effect."""
        if self.pseudo_labels is None:
            return super().take_prior(prior)
        if prior is None:
            raise ValueError("pseudo_labels needs a prior, whose pool is labelled; add prior: {kind: flow, pool: NAME}")
        if not prior.has_features:
            raise ValueError(
                f"pseudo_labels is not possible with a prior of kind: {prior.kind}, which has no denoiser that could be"
                " probed; write prior: {kind: flow, pool: NAME}"
            )
        return self

    def default_sampler(self) -> SamplerSettings:
        """The kind's first solver with its own steps."""
        solver, steps = next(iter(self.solvers.items()))
        return SamplerSettings(solver=solver, steps=steps)

    def resolve_sampler(self, sampler: SamplerSettings) -> SamplerSettings:
        solver = sampler.solver or next(iter(self.solvers))
        if solver not in self.solvers:
            raise ValueError(f"solver must be {' or '.join(self.solvers)} with kind: {self.kind}; got {solver!r}")
        if sampler.guidance != 1.0 and not self.label_dropout:
            raise ValueError("guidance needs a generator trained with label_dropout above 0")
        self._check_strength(sampler.strength)
        steps = self.solvers[solver] if sampler.steps is None else sampler.steps
        return sampler.model_copy(update={"solver": solver, "steps": steps})

    def _check_strength(self, strength: float | str | None) -> None:
        if strength is not None:
            raise ValueError(f"strength is not possible with kind: {self.kind}, which draws from noise alone")


class DistillationSettings(Section):
    """Training of a student that needs one to four evaluations where the flow needs many."""

    evaluations: Literal[1, 2, 4] = Field(
        2, description="network evaluations of the student, each an Euler step over its part of the time"
    )
    pairs: Count = Field(12_000, description="trajectories of the teacher that the student learns from")
    teacher_steps: Count = Field(4, description="Heun steps of each trajectory, a multiple of evaluations")
    steps: Count = Field(300, description="optimizer steps")
    batch_size: Count = Field(128, description="images per optimizer step")
    optimizer: Optimizer = "muon"
    learning_rate: Positive = Field(0.003, description="decays linearly over the last 30 %; adamw needs about 0.001")
    weight_decay: WeightDecay = 0.0
    warmup_steps: WarmupSteps = 20
    ema_decay: EmaDecay = 0.995

    @model_validator(mode="after")
    def _check_steps(self) -> Self:
        if self.teacher_steps % self.evaluations:
            raise ValueError(f"teacher_steps must be a multiple of evaluations, {self.evaluations}")
        return self


class AnyFlowSettings(DenoiserSettings):
    """What rectified flows share, in pixels and in latents."""

    class_keys: ClassVar[frozenset[str] | None] = frozenset(
        {"seeds", "class_balanced", "class_transfer", "label_dropout", "max_copies", "distillation", "pseudo_labels"}
    )
    imagines: ClassVar[bool] = True

    couple_noise: bool = Field(True, description="within a class, pair each image of a batch with noise near to it")
    distillation: DistillationSettings | None = Field(
        None, description="null: none; {}: a student with two evaluations replaces the flow"
    )

    def resolve_sampler(self, sampler: SamplerSettings) -> SamplerSettings:
        """With distillation, the steps that the student was trained for: it cannot use others."""
        if self.distillation is None:
            return super().resolve_sampler(sampler)
        if sampler.strength is not None:
            raise ValueError("strength is not possible with generator.distillation: its student draws from noise alone")
        fixed = {"solver": "euler", "steps": self.distillation.evaluations, "guidance": 1.0}
        for key, value in fixed.items():
            if key in sampler.model_fields_set and getattr(sampler, key) not in (None, value):
                raise ValueError(
                    f"{key} must be {value} with this generator.distillation; got {getattr(sampler, key)!r}"
                )
        return sampler.model_copy(update=fixed)

    def list_inputs(self, sampler: SamplerSettings) -> tuple[str, ...]:
        """With a strength the seed image too."""
        return super().list_inputs(sampler) if sampler.strength is None else ("noise", "label", "image")

    def _check_strength(self, strength: float | str | None) -> None:
        if isinstance(strength, str):
            raise ValueError(
                f"strength: {strength} is possible with kind: munit and kind: prior; give a number with kind:"
                f" {self.kind}"
            )
        if strength is not None and strength < LEAST_STRENGTH:
            raise ValueError(f"strength {strength:g} leaves the seed image as it is; give {LEAST_STRENGTH} or more")


class FlowSettings(AnyFlowSettings):
    """A class-conditional rectified flow."""

    solvers: ClassVar[Mapping[str, int]] = {"heun": 3, "euler": 16}

    kind: Literal["flow"] = Field("flow", description="rectified flow")


class EdmSettings(DenoiserSettings):
    """A diffusion model with EDM's preconditioning."""

    solvers: ClassVar[Mapping[str, int]] = {"heun": 9, "euler": 18}

    kind: Literal["edm"] = Field("edm", description="diffusion as in EDM")


class DdpmSettings(DenoiserSettings):
    """Denoising diffusion as in DDPM."""

    solvers: ClassVar[Mapping[str, int]] = {"dpmpp": 10, "ddim": 50}

    kind: Literal["ddpm"] = Field("ddpm", description="diffusion as in DDPM")


def asks_for_policy(settings: KindSettings) -> bool:
    """Whether a generator is augmented by the policy that validation chooses."""
    return isinstance(settings, DenoiserSettings) and isinstance(settings.augmentation, AutoAugmentation)
