"""Kind `flow`: a class-conditional rectified flow (Liu et al. 2023).

Time runs from noise (t = 0) to data (t = 1): x_t = (1 - t)·z + t·x, and the network predicts the velocity
v = x - z (eq. 1). Paths are nearly straight, so that few steps are enough.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from ops.generators.kinds.denoiser import Denoiser, DenoiserSettings, Evaluate, Predict, X
from ops.recipe.section import Count, Positive, Section

if TYPE_CHECKING:
    from torch import Tensor

    from ops.generators.fitting import Training


class DistillationSettings(Section):
    """Training a student that draws in one to four evaluations what the flow draws in many."""

    evaluations: Literal[1, 2, 4] = Field(2, description="of the student, each an Euler step over its part of time")
    pairs: Count = Field(12_000, description="trajectories of the teacher that it learns from")
    teacher_steps: Count = Field(4, description="Heun steps of a trajectory, a multiple of evaluations")
    steps: Count = Field(300, description="optimizer steps")
    batch_size: Count = Field(128, description="images per optimizer step")
    optimizer: Literal["muon", "adamw"] = Field("muon", description="muon learns in about half of adamw's steps")
    learning_rate: Positive = Field(0.003, description="decays linearly over the last 30 %; adamw wants 0.001")
    weight_decay: float = Field(0.0, ge=0, description="decoupled from the gradient")
    warmup_steps: int = Field(20, ge=0, description="over which the rate rises")
    ema_decay: float = Field(0.995, ge=0, lt=1, description="decay of the averaged weights that are kept")

    @model_validator(mode="after")
    def _check_steps(self) -> Self:
        if self.teacher_steps % self.evaluations:
            raise ValueError(f"teacher_steps must be a multiple of evaluations, {self.evaluations}")
        return self


class FlowSettings(DenoiserSettings):
    """A class-conditional rectified flow."""

    kind: Literal["flow"] = Field("flow", description="rectified flow")
    couple_noise: bool = Field(True, description="within a class, pair a batch's noise with the images it is near to")
    distillation: DistillationSettings | None = Field(
        None, description="null: none; {} : a student that needs two evaluations takes the flow's place"
    )


class Flow(Denoiser):
    """The velocity, and two ways to follow it."""

    name: ClassVar[str] = "flow"
    Settings = FlowSettings
    solvers: ClassVar[dict[str, int]] = {"heun": 3, "euler": 16}

    def loss(self, predict: Predict, images: Tensor, labels: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """Mean squared velocity error at logit-normal times (Esser et al. 2024, §3.1)."""
        t = level.sigmoid()
        x = noise.lerp(images, t[:, None, None, None])
        return (predict(x, t, labels).float() - (images - noise)).square().mean()

    def choose_pairing(self, settings: DenoiserSettings) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        """Noise that is near to its image, if the settings say so."""
        assert isinstance(settings, FlowSettings)
        if not settings.couple_noise:
            return super().choose_pairing(settings)
        from ops.generators.coupling import couple_noise

        return couple_noise

    def integrate(
        self, evaluate: Evaluate[X], noise: X, *, solver: str, steps: int, start: float = 0.0, end: float = 1.0
    ) -> X:
        """In equal steps, from noise to image unless told otherwise."""
        x = noise
        for now, then in pairwise(start + (end - start) * step / steps for step in range(steps + 1)):
            velocity = evaluate(x, now)
            if solver == "heun" and then < 1:  # the last step stays Euler's: the velocity at t = 1 is not trained
                ahead = evaluate(x + velocity * (then - now), then)
                x = x + (velocity + ahead) * ((then - now) / 2)
            else:
                x = x + velocity * (then - now)
        return x

    def resolve_sampler(self, generator: Mapping[str, Any], sampler: Mapping[str, Any]) -> dict[str, Any]:
        """With distillation the student's own steps: it knows no others."""
        if (distilled := generator.get("distillation")) is None or not isinstance(distilled, Mapping):
            return super().resolve_sampler(generator, sampler)
        fixed = {"solver": "euler", "steps": distilled.get("evaluations", 2), "guidance": 1.0}
        for key, value in fixed.items():
            if sampler.get(key) not in (None, value):
                raise ValueError(
                    f"sampler.{key} must be {value} with this generator.distillation; got {sampler[key]!r}"
                )
        return {**sampler, **fixed}

    def refine(self, settings: DenoiserSettings, training: Training) -> dict[str, Any]:
        """Distil, if the settings say so."""
        assert isinstance(settings, FlowSettings)
        if settings.distillation is None:
            return {}
        from ops.generators.distillation import distil

        return distil(self, settings.distillation, training)

    def estimate_refining(self, settings: DenoiserSettings, step_seconds: float, evaluation_seconds: float) -> float:
        assert isinstance(settings, FlowSettings)
        if (student := settings.distillation) is None:
            return 0.0
        evaluations = student.evaluations * self.count_evaluations("heun", student.teacher_steps // student.evaluations)
        steps = student.steps * student.batch_size / settings.batch_size
        return steps * step_seconds + student.pairs * evaluations * evaluation_seconds

    def count_evaluations(self, solver: str, steps: int) -> int:
        return 2 * steps - 1 if solver == "heun" else steps
