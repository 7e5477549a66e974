"""What an autoencoder learns from: how far images are from their reconstruction, and latents from a standard normal."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ops.generators.latent.network import Autoencoder
from ops.metrics.random_network import apply_filters, make_filters
from ops.recipe.latent import AutoencoderSettings


def find_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(μ, σ²) ‖ N(0, 1)) = ½·(μ² + σ² - 1 - log σ²) (Kingma and Welling 2014, appendix B), float [n].

    It is the mean over the numbers of each latent, in nats; both arguments are float [n, ...].
    """
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
    return divergence.flatten(1).mean(dim=1)


class Rating(nn.Module):
    """The loss of each image, so that the images of a batch can be divided among threads."""

    def __init__(self, autoencoder: Autoencoder, settings: AutoencoderSettings, channels: int) -> None:
        super().__init__()
        self.autoencoder, self.settings = autoencoder, settings
        for stage, weight in enumerate(make_filters(channels)):
            self.register_buffer(f"filter_{stage}", weight, persistent=False)

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        """float [n], for images x in -1..1 and standard normal noise of their latents' shape.

        L1 of the pixels, `perceptual` times that of the maps of a network with random weights, each stage alike, and
        `kl` times the divergence of the latents.
        """
        mean, log_variance = self.autoencoder.find_posterior(x)
        # z = μ + σ·ε.
        again = self.autoencoder.reconstruct(mean + (0.5 * log_variance).exp() * noise)
        loss = (again - x).abs().flatten(1).mean(dim=1)
        if self.settings.perceptual:
            loss = loss + self.settings.perceptual * self._compare_maps(again, x)
        return loss + self.settings.kl * find_divergence(mean, log_variance)

    def _compare_maps(self, again: Tensor, x: Tensor) -> Tensor:
        filters = list(self.buffers(recurse=False))
        with torch.no_grad():
            wanted = apply_filters(x, filters)
        pairs = zip(apply_filters(again, filters), wanted, strict=True)
        stages = [(one.float() - other.float()).abs().flatten(1).mean(dim=1) for one, other in pairs]
        return torch.stack(stages).mean(dim=0)
