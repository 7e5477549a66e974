"""A class-conditional rectified flow: the velocity network and the solvers that integrate it.

Time runs from noise (t = 0) to data (t = 1): x_t = (1 - t)·z + t·x, and the network predicts the
velocity v = x - z (Liu et al. 2023, eq. 1). Images are float in -1..1 here, [n, C, H, W]. How the
network is trained and where it is exported to are other modules' business.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from diffusers import UNet2DModel
from torch import Tensor, nn

Velocity = Callable[[Tensor, Tensor, Tensor], Tensor]

TIME_SCALE = 1000.0  # UNet2DModel's sinusoidal embedding expects timesteps of this order


class FlowUNet(nn.Module):
    """diffusers' U-Net behind a pixel-unshuffle, for any height, width and number of channels.

    Working at 1/`unshuffle` of the resolution is 2-4x cheaper and, at equal minutes, better on small
    images. Sides that do not divide are padded by replication and cropped back.

    Parameters
    ----------
    channels, height, width : of the images.
    classes : number of labels, each with an embedding.
    widths : channels per resolution level, all divisible by 8 (GroupNorm).
    """

    def __init__(
        self,
        *,
        channels: int,
        height: int,
        width: int,
        classes: int,
        widths: tuple[int, ...] = (32, 64),
        layers_per_block: int = 1,
        unshuffle: int = 2,
    ) -> None:
        super().__init__()
        self.unshuffle = unshuffle
        multiple = unshuffle * 2 ** (len(widths) - 1)
        self.pad_height, self.pad_width = -height % multiple, -width % multiple
        inner = channels * unshuffle**2
        self.unet = UNet2DModel(
            sample_size=((height + self.pad_height) // unshuffle, (width + self.pad_width) // unshuffle),
            in_channels=inner,
            out_channels=inner,
            block_out_channels=tuple(widths),
            layers_per_block=layers_per_block,
            down_block_types=("DownBlock2D",) * len(widths),
            up_block_types=("UpBlock2D",) * len(widths),
            add_attention=False,
            norm_num_groups=8,
            num_class_embeds=classes,
        )

    def forward(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        """Velocity [n, C, H, W] at images `x`, times `t` in 0..1 [n] and labels [n]."""
        height, width = x.shape[-2:]
        if self.pad_height or self.pad_width:
            x = F.pad(x, (0, self.pad_width, 0, self.pad_height), mode="replicate")
        x = F.pixel_unshuffle(x, self.unshuffle)
        velocity = self.unet(x, t * TIME_SCALE, label).sample
        return F.pixel_shuffle(velocity, self.unshuffle)[..., :height, :width]


def time_grid(steps: int) -> list[float]:
    """The steps + 1 times from 0 to 1, evenly spaced."""
    return [step / steps for step in range(steps + 1)]


def integrate(velocity: Velocity, noise: Tensor, label: Tensor, *, solver: str, steps: int) -> Tensor:
    """Images in -1..1 from noise [n, C, H, W]: `euler` costs `steps` evaluations, `heun` 2·steps - 1."""
    x, times = noise, time_grid(steps)
    for now, then in pairwise(times):
        v = velocity(x, x.new_full((len(x),), now), label)
        euler = x + (then - now) * v
        if solver == "heun" and then < 1:  # the last step stays Euler: the velocity at t = 1 is not trained
            v_next = velocity(euler, x.new_full((len(x),), then), label)
            x = x + (then - now) / 2 * (v + v_next)
        else:
            x = euler
    return x


def count_evaluations(solver: str, steps: int) -> int:
    """Network evaluations that `integrate` spends on one image."""
    return 2 * steps - 1 if solver == "heun" else steps


def to_pixels(images: Tensor) -> Tensor:
    """Float [n, C, H, W] in -1..1 (clamped) to uint8 [n, H, W, C]."""
    return ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1)


def flow_loss(model: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Mean squared velocity error at logit-normal times (Esser et al. 2024, §3.1); a scalar.

    Noise and times are drawn on the CPU from `generator`, so that a run does not depend on the device.
    """
    noise = torch.randn(images.shape, generator=generator).to(images.device)
    t = torch.randn(len(images), generator=generator).sigmoid().to(images.device)
    blend = t[:, None, None, None]
    x = torch.lerp(noise, images, blend)
    return (model(x, t, labels).float() - (images - noise)).square().mean()


def decay_schedule(step: int, steps: int, warmup: int) -> float:
    """Learning-rate factor: linear warm-up, constant, linear to zero over the last 30 %."""
    rise = min(1.0, (step + 1) / max(1, warmup))
    fall = min(1.0, (steps - step) / max(1, math.ceil(0.3 * steps)))
    return rise * fall
