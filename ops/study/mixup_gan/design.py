"""The keys of a part `mixup_gan`. It loads nothing that computes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ops.settings.section import Count, Fraction, Section
from ops.study.part import Part, Seeds, Steps, refuse_repeats
from ops.workspaces.workspace import Workspace


class GanQuick(Section):
    """A part made small, to see in seconds that it runs; nothing of it is kept."""

    steps: Count = Field(3, description="steps of every generator")


class MixupGanPart(Part):
    """GANs on mixtures of Gaussians, whose discriminators learn from mixed points."""

    kind: Literal["mixup_gan"] = Field("mixup_gan", description="a GAN whose discriminator learns from mixed points")
    mixtures: Annotated[
        tuple[Literal["ring", "grid"], ...], Field(strict=False, min_length=1), AfterValidator(refuse_repeats)
    ] = Field(("ring", "grid"), description="ring: 8 Gaussians on a circle; grid: 25 on a square")
    mixing: Annotated[tuple[Fraction, ...], Field(strict=False, min_length=1), AfterValidator(refuse_repeats)] = Field(
        (0.0, 0.2, 0.5, 1.0),
        description="arms: a of Uniform(0, a), the weights with which two batches are mixed; 0: they are not. The"
        " others are compared with the first one",
    )
    steps: Steps = Field(description="steps of the generator; published: 20,001. Each number is a block")
    seeds: Seeds = Field(description="each seed starts from other weights and draws other points")
    latent: Count = Field(2, description="size of the generator's input; published: 2, 5 and 10")
    width: Count = Field(512, description="units of each hidden layer")
    measures: Annotated[
        tuple[Literal["modes", "high_quality"], ...],
        Field(strict=False, min_length=1),
        AfterValidator(refuse_repeats),
    ] = Field(
        ("modes", "high_quality"),
        description="modes: how many Gaussians are covered; high_quality: share of the points that lie near one",
    )
    quick: GanQuick = GanQuick()

    def check(self, workspace: Workspace, place: str) -> None:
        """Its keys say all, so any workspace fits."""
