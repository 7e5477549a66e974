"""The sections `generator` and `sampler` of a recipe: what all kinds of generators share, and the keys of those that
denoise or were exported elsewhere.

It loads nothing that computes, so that a recipe is read in milliseconds. `ops.generators` implements the kinds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from ops.recipe.arms import AutoAugmentation, Policy
from ops.recipe.imagination import ImaginationSettings
from ops.recipe.medical import MEDICAL, STRENGTH
from ops.recipe.pseudo_labels import PseudoLabelSettings
from ops.settings.kinds import Kind, OneOf
from ops.settings.section import Count, Fraction, Positive, Precision, Section

MOVES = Policy(flip=0.5, shift=0.125, scale=0.2, rotation=15.0)
LEAST_STRENGTH = 0.01  # of a flow: below it a variant is its seed image
UNTOLD = ("blur", "noise", "erasing")  # operations of a policy that no condition undoes


class Moves(Kind):
    """Images are mirrored, moved, scaled and turned a little."""

    kind: Literal["moves"] = Field("moves", description="mirroring, and small shifts, scales and turns")


AUGMENTATIONS: dict[str, type[Kind]] = {"moves": Moves, "policy": Policy, "auto": AutoAugmentation}


class SamplerSettings(Section):
    """How the exported sampler draws; null means the kind's default."""

    solver: str | None = Field(
        None,
        description="flow, latent and edm: heun, euler; ddpm, stable-diffusion and unclip: dpmpp, ddim; heun costs"
        " 2·steps - 1 network evaluations, the others cost steps",
    )
    steps: int | None = Field(None, ge=1, le=64, description="steps of the solver")
    guidance: float = Field(
        1.0,
        ge=0,
        le=20,
        description="scale of classifier-free guidance, away from unlabelled drawing; 1: no guidance;"
        " stable-diffusion: 7.5 and unclip: 10 where it is left out",
    )
    strength: Fraction | Literal["auto"] | None = Field(
        None,
        description="how far a variant may leave its seed image, a real training image. flow and latent: the share of"
        " noise that is mixed into the seed image and removed again, at least 0.01; null: images are drawn from noise"
        " alone. munit: the share of random style in place of the image's own; null: all of it. prior: as with flow,"
        " and required; of kind instance, the share of noise in place of the image's features, and of kind mae, in"
        " place of its tokens. munit and prior, auto: the widest of 1, 0.8, 0.6, 0.4 and 0.2 (prior: from 0.8 on) with"
        " which `moves` and `keeps` refuse no class."
        " stable-diffusion: the share of the steps that are taken, from the noised seed image on; needed with mode:"
        " image",
    )
    precision: Literal["fp32", "int8", "fp16"] = Field(
        "fp32", description="int8 is faster on CPUs, fp16 on GPUs; used only if its quality is within 5 % of fp32's"
    )
    usable_from: Fraction | None = Field(
        0.55,
        description="how far the images must lie from empty ones (0: noise, blurred or shuffled images, class means)"
        " towards real ones (1), by the mean of three feature spaces; below it nothing is generated; null: they are"
        " generated anyway",
    )
    moves: float | None = Field(
        2.0,
        ge=0,
        le=255,
        description="for variants of real images: how many grey levels two variants of an image must differ by, on"
        " average over a class; below it nothing is generated for the class; null: not asked",
    )
    keeps: Fraction | None = Field(
        0.9,
        description="for variants of real images: how often the scorer must name them rightly, relative to their"
        " images; a common class is judged by its own variants, a rare one by those of the common ones; below it"
        " nothing is generated for the class; null: not asked",
    )
    imagination: ImaginationSettings | None = Field(
        None,
        description="for variants by a prior, or by stable-diffusion or unclip: their latents are perturbed, and guided"
        " by the scorer; null: they are not",
    )

    @property
    def settled_strength(self) -> float | None:
        """The strength as a number; ValueError where it is still to be chosen."""
        if isinstance(self.strength, str):
            raise ValueError(f"strength: {self.strength} draws nothing before the gate has chosen a number")
        return self.strength


DRAWS_WITH = ("solver", "steps", "guidance", "strength")  # keys of `SamplerSettings` that images follow from


class KindSettings(Section):
    """The section `generator` of a recipe; each kind adds its own keys."""

    class_keys: ClassVar[frozenset[str] | None] = None  # of a kind that can be a prior: those that need classes
    learnt_elsewhere: ClassVar[bool] = False  # as a generator it is a prior by itself
    imagines: ClassVar[bool] = False  # whether, as a prior, it can imagine (`ops.generators.imaginable`)
    encodes: ClassVar[bool] = False  # whether, as a prior, it has an encoder (`ops.generators.encoding`)
    latents_are_maps: ClassVar[bool] = True  # of a prior that imagines: they have channels
    has_features: ClassVar[bool] = False  # whether, as a prior, it describes images (`ops.generators.describable`)
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
    optimizer: Literal["muon", "adamw"] = Field("muon", description="muon needs about half of adamw's steps")
    learning_rate: Positive = Field(0.01, description="decays linearly over the last 30 %; adamw needs about 0.002")
    weight_decay: float = Field(0.01, ge=0, description="decoupled from the gradient")
    warmup_steps: int = Field(100, ge=0, description="steps over which the learning rate rises")
    ema_decay: float = Field(0.998, ge=0, lt=1, description="decay of the averaged weights that are kept")
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
    optimizer: Literal["muon", "adamw"] = Field("muon", description="muon needs about half of adamw's steps")
    learning_rate: Positive = Field(0.003, description="decays linearly over the last 30 %; adamw needs about 0.001")
    weight_decay: float = Field(0.0, ge=0, description="decoupled from the gradient")
    warmup_steps: int = Field(20, ge=0, description="steps over which the learning rate rises")
    ema_decay: float = Field(0.995, ge=0, lt=1, description="decay of the averaged weights that are kept")

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


def asks_for_policy(settings: KindSettings) -> bool:
    """Whether a generator is augmented by the policy that validation chooses."""
    return isinstance(settings, DenoiserSettings) and isinstance(settings.augmentation, AutoAugmentation)
