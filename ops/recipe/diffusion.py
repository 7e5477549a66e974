"""The section `generator` of a recipe with the kinds `stable-diffusion` and `unclip`: pipelines that learnt elsewhere.

Their weights come from the user. A recipe names the folder, the hash of its content and its licence; it loads nothing
that computes. `ops.generators.diffusion` implements the kinds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from ops.recipe.generator import KindSettings
from ops.recipe.imagination import ImaginationSettings
from ops.recipe.learning import WarmupSteps, WeightDecay
from ops.recipe.medical import MEDICAL
from ops.recipe.pretrained import Content
from ops.recipe.prompts import CLASS, TEMPLATES, check_templates
from ops.recipe.sampler import SamplerSettings
from ops.settings.section import Count, Positive, Section

SOLVERS: Mapping[str, int] = {"dpmpp": 25, "ddim": 50}  # with their default steps; the first is the default
AutoPrecision = Literal["auto", "fp32", "bf16", "fp16"]


class PromptSettings(Section):
    """What a pipeline is told of a class."""

    templates: tuple[str, ...] = Field(
        TEMPLATES,
        strict=False,
        min_length=1,
        description=f"sentences with {CLASS} for the class's name; each image gets one of them at random",
    )
    class_names: dict[str, str] | None = Field(
        None,
        description="what each class is called in prompts, by its name in the source; null: by that name, which must"
        " then hold a word",
    )
    negative: str = Field("", description="what guidance leads away from")

    @field_validator("templates")
    @classmethod
    def _check_templates(cls, templates: tuple[str, ...]) -> tuple[str, ...]:
        return check_templates(templates)


class PreservationSettings(Section):
    """Images by the pipeline as it came, which it must still draw after fine-tuning (DreamBooth, Ruiz et al. 2023)."""

    weight: Positive = Field(1.0, description="weight of their loss beside that of the training images")
    images: Count = Field(50, description="images of each class that are drawn for this, before the training")
    templates: tuple[str, ...] = Field(
        strict=False,
        min_length=1,
        description=f"their sentences with {CLASS}; other ones than those of `prompts`, such as without its rare word",
    )

    @field_validator("templates")
    @classmethod
    def _check_templates(cls, templates: tuple[str, ...]) -> tuple[str, ...]:
        return check_templates(templates)


class LoraSettings(Section):
    """Fine-tuning on the training images, in few weights beside those of the network (LoRA, Hu et al. 2022)."""

    rank: int = Field(8, ge=1, le=256, description="rank of the matrices that are added to the attention's")
    alpha: Positive | None = Field(None, description="they are scaled by alpha / rank; null: by 1")
    steps: Count = Field(500, description="optimizer steps")
    batch_size: Count = Field(4, description="training images per optimizer step; with preservation as many others")
    learning_rate: Positive = Field(1e-4, description="decays linearly over the last 30 %")
    weight_decay: WeightDecay = 0.01
    warmup_steps: WarmupSteps = 0
    preservation: PreservationSettings | None = Field(
        None, description="null: none; else what the pipeline could draw before is part of the loss"
    )


class PipelineSettings(KindSettings):
    """What all pipelines share that learnt elsewhere and draw in torch."""

    learnt_elsewhere: ClassVar[bool] = True
    imagines: ClassVar[bool] = True
    in_torch: ClassVar[bool] = True
    rows: ClassVar[int] = 1  # the memory of a gradient through large images is that of one
    guided: ClassVar[float]  # the default scale of guidance

    model: str = Field(
        min_length=1,
        description="the pipeline's folder, relative to the workspace's root, or a name in the Hub's cache",
    )
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = Field(
        None, description="commit of a name in the Hub's cache, which needs one; a folder has none"
    )
    variant: Literal["fp16"] | None = Field(
        None, description="the weights' files; fp16: those named *.fp16.safetensors"
    )
    sha256: Content | None = Field(
        None, description="hash of the used files, which must match; required: `growset check` prints it"
    )
    licence: str = Field(min_length=1, description="licence of the weights, as their owner states it; cards repeat it")
    size: Annotated[int, Field(ge=8, le=2048)] | None = Field(
        None,
        description="side in pixels at which the pipeline draws; images are then reduced to the source's size; null:"
        " the pipeline's own",
    )
    precision: AutoPrecision = Field(
        "auto", description="of the networks; auto: fp32 on a CPU, on a GPU bf16 where it has that, else fp16"
    )

    def resolve_sampler(self, sampler: SamplerSettings) -> SamplerSettings:
        """Solver, steps and guidance of the pipeline, unless the recipe has its own."""
        solver = sampler.solver or next(iter(SOLVERS))
        if solver not in SOLVERS:
            raise ValueError(f"solver must be {' or '.join(SOLVERS)} with kind: {self.kind}; got {solver!r}")
        if sampler.precision != "fp32":
            raise ValueError(
                f"precision has no effect with kind: {self.kind}, which exports no graph; set generator.precision"
            )
        steps = SOLVERS[solver] if sampler.steps is None else sampler.steps
        guidance = sampler.guidance if "guidance" in sampler.model_fields_set else self.guided
        if guidance < 1:
            raise ValueError(f"guidance must be 1, which means none, or more with kind: {self.kind}; got {guidance:g}")
        self._check_guidance(guidance)
        self._check_strength(sampler.strength, steps)
        return sampler.model_copy(update={"solver": solver, "steps": steps, "guidance": guidance})

    def _check_guidance(self, guidance: float) -> None:
        """ValueError for a key that needs guidance where there is none."""

    def _check_strength(self, strength: float | str | None, steps: int) -> None:
        if strength is not None:
            raise ValueError(f"strength has no effect with kind: {self.kind}; remove it")


class StableDiffusionSettings(PipelineSettings):
    """Stable Diffusion: images of a class from its prompt, or variants of seed images (Rombach et al. 2022)."""

    guided: ClassVar[float] = 7.5

    kind: Literal["stable-diffusion"] = Field("stable-diffusion", description="text-to-image or image-to-image")
    mode: Literal["text", "image"] = Field(
        "text", description="text: images of a class; image: variants of seed images, at sampler.strength"
    )
    prompts: PromptSettings = Field(PromptSettings(), description="what the pipeline is told of a class")
    safety_checker: bool = Field(
        True, description="reject images that the pipeline's own safety checker flags; false: nobody looks"
    )
    lora: LoraSettings | None = Field(None, description="null: the weights as they are; {}: fine-tuned first")

    @model_validator(mode="after")
    def _check_training(self) -> Self:
        if self.lora is None and self.seeds != 1:
            raise ValueError(f"seeds must be 1 with kind: {self.kind} without lora, which trains nothing")
        if self.lora is not None and self.precision == "fp16":
            raise ValueError("precision: fp16 is not possible with lora, whose gradients it cannot hold; write bf16")
        kept = None if self.lora is None else self.lora.preservation
        if kept is not None and (same := [each for each in kept.templates if each in self.prompts.templates]):
            raise ValueError(
                f"lora.preservation.templates and prompts.templates both have {same[0]!r}, which would ask for what is"
                " to change and to stay; write different ones"
            )
        return self

    def check_imagination(self, imagination: ImaginationSettings) -> None:
        super().check_imagination(imagination)
        if self.mode == "text":
            raise ValueError(
                "sampler.imagination varies seed images, and generator.mode: text has none; write mode: image, and a"
                " strength"
            )

    def list_inputs(self, sampler: SamplerSettings) -> tuple[str, ...]:
        return ("noise", "label") if self.mode == "text" else ("noise", "label", "image")

    def count_first(self, sampler: SamplerSettings, classes: int) -> float:
        """Of the images to preserve, which take all steps where variants take the last `strength` of them."""
        if self.lora is None or self.lora.preservation is None:
            return 0.0
        return self.lora.preservation.images * classes / (sampler.settled_strength or 1.0)

    def _check_guidance(self, guidance: float) -> None:
        if self.prompts.negative and guidance == 1:
            raise ValueError("prompts.negative has no effect with guidance: 1; remove one of them")

    def _check_strength(self, strength: float | str | None, steps: int) -> None:
        if self.mode == "text":
            if strength is not None:
                raise ValueError("strength has no effect with mode: text, which has no seed image; write mode: image")
            return
        if not isinstance(strength, float):
            raise ValueError("strength must be a number with mode: image, such as 0.5")
        if int(steps * strength) < 1:
            raise ValueError(f"strength {strength:g} leaves none of {steps} steps to take; raise one of them")


class UnclipSettings(PipelineSettings):
    """Stable unCLIP: variants of a seed image, from what CLIP sees in it (Ramesh et al. 2022)."""

    guided: ClassVar[float] = 10.0
    latents_are_maps: ClassVar[bool] = False

    kind: Literal["unclip"] = Field("unclip", description="image variation")
    noise_level: int = Field(
        0, ge=0, le=999, description="noise on the image embedding, as a step of its schedule; more: freer variants"
    )

    @field_validator("seeds")
    @classmethod
    def _check_seeds(cls, seeds: int) -> int:
        if seeds != 1:
            raise ValueError("a generator of kind: unclip was trained elsewhere, so there is only one; remove this key")
        return seeds

    def take_profile(self, sampler: SamplerSettings) -> SamplerSettings:
        """ValueError for the medical profile: the strength that it limits is a thing that this kind does not have."""
        if sampler.imagination is not None and sampler.imagination.profile == MEDICAL:
            raise ValueError(
                f"imagination.profile: {MEDICAL} is not possible with kind: {self.kind}, whose variants are drawn from"
                " noise, so that no strength limits them; write kind: stable-diffusion with mode: image, or a prior"
            )
        return sampler

    def check_imagination(self, imagination: ImaginationSettings) -> None:
        super().check_imagination(imagination)
        if imagination.mode == "guided" and self.precision == "fp16":
            raise ValueError(
                "precision: fp16 is not possible with sampler.imagination.mode: guided, because it cannot hold the"
                " gradients through the steps of unclip; write generator.precision: bf16"
            )

    def list_inputs(self, sampler: SamplerSettings) -> tuple[str, ...]:
        return "noise", "image"
