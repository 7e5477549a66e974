"""A label-preserving policy put together from single operations, each with a strength; 0 leaves an operation out.

All images of a batch are changed at once, each by its own draws: first their geometry in one resampling, then colours,
then blur, noise and erasing (random erasing with a square: DeVries and Taylor 2017, "Improved regularization of
convolutional neural networks with cutout"). A policy that moves by whole pixels and mirrors only is not resampled.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ops.classifiers.augmentations.flip_crop import flip_and_shift
from ops.classifiers.augmentations.warping import warp
from ops.classifiers.ingredients import Augmentation
from ops.recipe.arms import Policy


class ComposedPolicy(Augmentation):
    """The operations of `settings`, whose keys give their strengths."""

    def __init__(self, settings: Policy, side: tuple[int, int]) -> None:
        self.settings = settings
        self.shift = settings.shift * min(side)

    def __call__(self, images: Tensor) -> Tensor:
        s = self.settings
        if s.rotation or s.scale:
            images = self._resample(images)
        else:
            images = flip_and_shift(images, max(1, round(self.shift)) if s.shift else 0, s.flip)
        if s.channel_order and images.shape[1] > 1:
            images = _shuffle_channels(images, s.channel_order)
        if s.grey and images.shape[1] > 1:
            images = torch.where(_happens(images, s.grey), images.mean(dim=1, keepdim=True), images)
        if s.inversion:
            images = torch.where(_happens(images, s.inversion), -images, images)
        if s.gain or s.offset:
            images = _change_levels(images, s.gain, s.offset)
        if s.blur:
            images = _blur(images, s.blur)
        if s.noise:
            noise = torch.rand(len(images), 1, 1, 1) * 2 * s.noise * torch.randn(images.shape)
            images = images + noise.to(images.device)
        if s.erasing:
            images = _erase(images, s.erasing)
        return images.clamp(-1, 1)

    @classmethod
    def mirrors(cls, settings: Policy) -> bool:
        return settings.flip > 0

    def _resample(self, images: Tensor) -> Tensor:
        """Turned, scaled, mirrored and moved in one bilinear resampling; edges are repeated."""
        s, count = self.settings, len(images)
        angle = _draw(count, math.radians(s.rotation))
        factor = torch.exp(_draw(count, math.log1p(s.scale)))
        mirror = torch.where(torch.rand(count) < s.flip, -1.0, 1.0)
        move = _draw(count, self.shift), _draw(count, self.shift)
        # Output places to input places: x' = R(angle) x / factor, then moved.
        cos, sin = torch.cos(angle) / factor, torch.sin(angle) / factor
        linear = torch.stack([mirror * cos, -sin, mirror * sin, cos], dim=1).view(-1, 2, 2)
        return warp(images, linear, move)


def _draw(count: int, most: float) -> Tensor:
    """[count], uniform in -most..most."""
    return (2 * torch.rand(count) - 1) * most


def _happens(images: Tensor, probability: float) -> Tensor:
    """bool [n, 1, 1, 1]."""
    return (torch.rand(len(images), 1, 1, 1) < probability).to(images.device)


def _shuffle_channels(images: Tensor, probability: float) -> Tensor:
    count, channels = images.shape[:2]
    order = torch.rand(count, channels).argsort(dim=1)
    order = torch.where(torch.rand(count, 1) < probability, order, torch.arange(channels)).to(images.device)
    return images[torch.arange(count, device=images.device)[:, None], order]


def _change_levels(images: Tensor, gain: float, offset: float) -> Tensor:
    """Contrast times 1 / (1 + gain) to 1 + gain around each image's mean; brightness moved by `offset` of the range."""
    count = len(images)
    factor = torch.exp(_draw(count, math.log1p(gain))).to(images.device)[:, None, None, None]
    moved = _draw(count, 2 * offset).to(images.device)[:, None, None, None]
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return (images - mean) * factor + mean + moved


def _blur(images: Tensor, most: float) -> Tensor:
    """Each image blurred by a Gaussian with a standard deviation of 0 to `most` pixels."""
    count, channels, height, width = images.shape
    reach = max(1, math.ceil(2 * most))
    sd = (torch.rand(count) * most).clamp(min=0.05)[:, None]
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sd).square())
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(channels, 0).to(images.device)
    flat = images.reshape(1, count * channels, height, width)
    for shape, padding in (
        ((-1, 1, 1, 2 * reach + 1), (reach, reach, 0, 0)),
        ((-1, 1, 2 * reach + 1, 1), (0, 0, reach, reach)),
    ):
        flat = F.conv2d(F.pad(flat, padding, mode="replicate"), kernel.reshape(shape), groups=count * channels)
    return flat.view(images.shape)


def _erase(images: Tensor, share: float) -> Tensor:
    """In half of the images a square of `share` of the shorter side, anywhere, becomes the image's mean."""
    count, _, height, width = images.shape
    half = share * min(height, width) / 2
    rows = (torch.arange(height) - torch.rand(count, 1) * (height - 1)).abs() < half
    columns = (torch.arange(width) - torch.rand(count, 1) * (width - 1)).abs() < half
    inside = rows[:, None, :, None] & columns[:, None, None, :] & (torch.rand(count, 1, 1, 1) < 0.5)
    return torch.where(inside.to(images.device), images.mean(dim=(2, 3), keepdim=True), images)
