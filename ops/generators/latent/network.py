"""The networks of kind `latent`: an autoencoder, and the flow among its latents.

The autoencoder follows Rombach et al. (2022, appendix G) without attention and adversary, behind a pixel-unshuffle:
nothing but its last convolution works at the images' own resolution. Images are float [n, C, H, W] in -1..1 here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor, nn

from ops.generators.denoising.network import ConditionalUNet, build_network
from ops.generators.latent.sizes import Shape, find_halvings, find_latent_shape, list_widths
from ops.recipe.latent import AutoencoderSettings

GROUPS = 8  # of each group norm
LOG_RANGE = (-30.0, 20.0)  # of the logarithm of a variance, as in the published code


class Block(ResnetBlock2D):
    """diffusers' residual block, without a time."""

    def __init__(self, channels: int) -> None:
        super().__init__(in_channels=channels, temb_channels=None, groups=GROUPS)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = super().forward(x, None)
        return result


class Encoder(nn.Module):
    """Images to the mean and the logarithm of the variance of their latents, [n, 2c, h, w]."""

    def __init__(self, channels: int, latent: int, widths: Sequence[int], blocks: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(4 * channels, widths[0], 3, padding=1)
        layers: list[nn.Module] = []
        for level, width in enumerate(widths):
            if level:
                layers.append(nn.Conv2d(widths[level - 1], width, 3, stride=2, padding=1))
            layers += [Block(width) for _ in range(blocks)]
        self.layers = nn.Sequential(*layers, nn.GroupNorm(GROUPS, widths[-1]), nn.SiLU())
        self.conv_out = nn.Conv2d(widths[-1], 2 * latent, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.conv_out(self.layers(self.conv_in(F.pixel_unshuffle(x, 2))))
        return found


class Decoder(nn.Module):
    """Latents to images, as the encoder backwards; the last convolution smooths what the shuffle leaves."""

    def __init__(self, channels: int, latent: int, widths: Sequence[int], blocks: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(latent, widths[-1], 3, padding=1)
        layers: list[nn.Module] = []
        for level in reversed(range(len(widths))):
            layers += [Block(widths[level]) for _ in range(blocks)]
            if level:
                layers += [nn.Upsample(scale_factor=2), nn.Conv2d(widths[level], widths[level - 1], 3, padding=1)]
        last = widths[0] // 2
        self.layers = nn.Sequential(
            *layers, nn.GroupNorm(GROUPS, widths[0]), nn.SiLU(), nn.Conv2d(widths[0], 4 * last, 3, padding=1)
        )
        self.conv_out = nn.Conv2d(last, channels, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        x: Tensor = self.conv_out(F.silu(F.pixel_shuffle(self.layers(self.conv_in(z)), 2)))
        return x


class Autoencoder(nn.Module):
    """A KL-regularised autoencoder, and the scale on which its latents are standardised.

    Sides that are no multiple of 2^halvings are padded by replication and cropped back.

    Parameters
    ----------
    shape : of the images. latent : numbers at each place of the latents.
    width : channels at half the resolution. blocks : at each resolution.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, shape: Shape, *, halvings: int, latent: int, width: int, blocks: int) -> None:
        super().__init__()
        channels, self.height, self.width = shape
        self.pad_height, self.pad_width = -self.height % 2**halvings, -self.width % 2**halvings
        widths = list_widths(width, halvings)
        self.encoder = Encoder(channels, latent, widths, blocks)
        self.decoder = Decoder(channels, latent, widths, blocks)
        self.register_buffer("mean", torch.zeros(1, latent, 1, 1))
        self.register_buffer("spread", torch.ones(1, latent, 1, 1))

    def find_posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean μ and log σ² of q(z | x), float [n, c, h, w] each."""
        if self.pad_height or self.pad_width:
            x = F.pad(x, (0, self.pad_width, 0, self.pad_height), mode="replicate")
        mean, log_variance = self.encoder(x).float().chunk(2, dim=1)
        return mean, log_variance.clamp(*LOG_RANGE)

    def reconstruct(self, z: Tensor) -> Tensor:
        """Images from latents as the encoder gives them."""
        x: Tensor = self.decoder(z)
        return x[..., : self.height, : self.width].float()

    def encode(self, x: Tensor) -> Tensor:
        """Standardised latents: (μ - mean) / spread. Over the training images each channel has mean 0, variance 1."""
        return (self.find_posterior(x)[0] - self.mean) / self.spread

    def decode(self, latent: Tensor) -> Tensor:
        """Images, not clamped, from standardised latents; gradients pass through."""
        return self.reconstruct(latent * self.spread + self.mean)


class LatentFlow(nn.Module):
    """What a generator's directory holds."""

    def __init__(self, autoencoder: Autoencoder, flow: ConditionalUNet) -> None:
        super().__init__()
        self.autoencoder, self.flow = autoencoder, flow


def describe_autoencoder(settings: AutoencoderSettings, shape: Shape) -> dict[str, Any]:
    """The entries of config.json that describe the autoencoder for images of `shape`."""
    return {
        "latent_shape": list(find_latent_shape(settings, shape)), "halvings": find_halvings(settings, shape),
        "autoencoder_width": settings.width, "autoencoder_blocks": settings.blocks,
    }  # fmt: skip


def describe_flow(config: dict[str, Any]) -> dict[str, Any]:
    """The config of the flow's network, as if latents were images."""
    channels, height, width = config["latent_shape"]
    return {**config, "channels": channels, "height": height, "width": width}


def build_autoencoder(config: dict[str, Any]) -> Autoencoder:
    """The autoencoder that a generator's config.json describes, newly initialised."""
    return Autoencoder(
        (config["channels"], config["height"], config["width"]),
        halvings=config["halvings"],
        latent=config["latent_shape"][0],
        width=config["autoencoder_width"],
        blocks=config["autoencoder_blocks"],
    )


def build_latent_flow(config: dict[str, Any]) -> LatentFlow:
    """Both networks that a generator's config.json describes, newly initialised."""
    return LatentFlow(build_autoencoder(config), build_network(describe_flow(config)))
