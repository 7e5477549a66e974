"""Augmentations that hide a part of an image: one square, or a grid of squares."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from ops.settings.kinds import Kind


class Hiding(Kind):
    """What augmentations that hide a part of an image have in common."""

    fill: float = Field(
        0.5, ge=0, le=1, description="level of what is hidden, as a share of the range; 0.5 is 0 as networks see it"
    )
    flip: float = Field(0.5, ge=0, le=1, description="probability that an image is mirrored first")


class Cutout(Hiding):
    """A hidden square anywhere, after mirroring and a shift."""

    kind: Literal["cutout"] = Field("cutout", description="a square is hidden after mirroring and a shift")
    size: float = Field(
        0.5,
        gt=0,
        le=1,
        description="side of the square, as a share of the shorter side; its centre is anywhere, so the border may cut"
        " it. 0.5 is the authors' for CIFAR-10, 0.25 for CIFAR-100",
    )


class GridMask(Hiding):
    """A hidden grid of squares, after mirroring and a shift."""

    kind: Literal["gridmask"] = Field("gridmask", description="a grid of squares is hidden after mirroring and a shift")
    least: float = Field(
        3 / 7,
        gt=0,
        le=1,
        description="shortest period of the grid, as a share of the shorter side; all numbers are the authors' for"
        " ImageNet",
    )
    most: float = Field(1.0, gt=0, le=1, description="longest period; each image draws its own")
    ratio: float = Field(
        0.6, ge=0, lt=1, description="share r of a period that stays visible along each side; (1 - r)² is hidden"
    )
    rotation: float = Field(360.0, ge=0, le=360, description="degrees by which the grid is turned at most")
    probability: float = Field(0.8, ge=0, le=1, description="share of the images in which a grid is hidden, in the end")
    ramp: float = Field(0.8, ge=0, le=1, description="first share of the steps, over which it rises from 0")

    @model_validator(mode="after")
    def _check_periods(self) -> GridMask:
        if self.least > self.most:
            raise ValueError(f"least is {self.least:g} and most {self.most:g}; least must not be above it")
        return self
