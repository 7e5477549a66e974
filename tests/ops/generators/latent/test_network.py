"""The autoencoder: shapes, its divergence against torch.distributions, gradients through decoding, products."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Normal, kl_divergence
from torch.utils.flop_counter import FlopCounterMode

from ops.generators.latent.guessing import count_products
from ops.generators.latent.losses import Rating, find_divergence
from ops.generators.latent.network import Autoencoder, build_autoencoder, describe_autoencoder
from ops.generators.latent.spaces import LatentSpace
from ops.metrics.random_network import embed_images
from ops.recipe.latent import AutoencoderSettings

Shape = tuple[int, int, int]
SMALL = AutoencoderSettings(width=8)


def build(shape: Shape, settings: AutoencoderSettings = SMALL) -> Autoencoder:
    torch.manual_seed(0)
    channels, height, width = shape
    config = {"channels": channels, "height": height, "width": width, **describe_autoencoder(settings, shape)}
    return build_autoencoder(config).eval()


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 18, 13), (1, 8, 9), (3, 70, 66)])
def test_latents_and_reconstructions_have_their_shapes_and_depend_on_no_neighbour(shape: Shape) -> None:
    autoencoder, x = build(shape), torch.randn(3, *shape)
    channels, height, width = describe_autoencoder(SMALL, shape)["latent_shape"]
    with torch.inference_mode():
        latent = autoencoder.encode(x)
        again = autoencoder.decode(latent)
        assert latent.shape == (3, channels, height, width) and again.shape == x.shape
        assert torch.allclose(autoencoder.decode(autoencoder.encode(x[1:2])), again[1:2], atol=1e-5)


@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
def test_the_divergence_is_that_of_torch(scale: float) -> None:
    mean, log_variance = scale * torch.randn(5, 4, 3, 2), scale * torch.randn(5, 4, 3, 2)
    known = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).mean(dim=(1, 2, 3))
    assert torch.allclose(find_divergence(mean, log_variance), known, rtol=1e-4)
    assert find_divergence(torch.zeros(1, 4, 2, 2), torch.zeros(1, 4, 2, 2)).tolist() == [0.0]


def test_a_gradient_reaches_the_latent_through_decoding_and_its_noise_through_the_space() -> None:
    shape = (3, 18, 13)
    autoencoder = build(shape).requires_grad_(False)
    latent = torch.randn(2, 4, 5, 4, requires_grad=True)
    autoencoder.decode(latent)[0].square().sum().backward()
    assert latent.grad is not None and (latent.grad[0] != 0).float().mean() > 0.9
    assert not latent.grad[1].any()  # of another image
    step = 1e-3 * latent.grad / latent.grad.norm()
    with torch.no_grad():
        before, after = (autoencoder.decode(z)[0].square().sum() for z in (latent, latent + step))
    assert after > before
    taken = LatentSpace(autoencoder, (4, 5, 4)).take_noise(torch.arange(2 * 3 * 18 * 13.0).view(2, *shape))
    assert torch.equal(taken[1].flatten(), torch.arange(80.0) + 3 * 18 * 13)


def test_the_loss_of_an_image_is_that_of_its_parts_and_depends_on_no_neighbour() -> None:
    shape = (1, 16, 16)
    autoencoder, x, noise = build(shape), torch.rand(3, 1, 16, 16) * 2 - 1, torch.randn(3, 4, 4, 4)

    def rate(**weights: float) -> torch.Tensor:
        settings = SMALL.model_copy(update={"kl": 0.0, "perceptual": 0.0, **weights})
        with torch.inference_mode():
            return Rating(autoencoder, settings, 1)(x, noise)

    with torch.inference_mode():
        mean, log_variance = autoencoder.find_posterior(x)
        again = autoencoder.reconstruct(mean + (0.5 * log_variance).exp() * noise)
        divergence = find_divergence(mean, log_variance)
    plain = (again - x).abs().mean(dim=(1, 2, 3))
    assert torch.allclose(rate(), plain, atol=1e-6)
    assert torch.allclose(rate(kl=0.5), plain + 0.5 * divergence, atol=1e-6)
    maps = rate(perceptual=1.0) - plain
    assert torch.allclose(rate(perceptual=2.0), plain + 2 * maps, atol=1e-5) and (maps > 0).all()
    assert not any("filter" in name for name in Rating(autoencoder, SMALL, 1).state_dict())  # they are not learnt


def test_equal_images_have_equal_maps_and_gradients_pass_through_them() -> None:
    rating = Rating(build((1, 16, 16)), SMALL, 1)
    x = torch.rand(2, 1, 16, 16) * 2 - 1
    assert rating._compare_maps(x, x).tolist() == [0.0, 0.0]
    other = (x + 0.1 * torch.randn_like(x)).requires_grad_(True)
    rating._compare_maps(other, x).sum().backward()
    assert other.grad is not None and other.grad.abs().mean() > 0
    assert embed_images(((x + 1) * 127.5).to(torch.uint8)).shape == (2, 128)


@pytest.mark.parametrize(
    ("settings", "shape"),
    [
        (AutoencoderSettings(), (3, 64, 64)),
        (AutoencoderSettings(width=16, blocks=2), (1, 30, 28)),
        (AutoencoderSettings(width=16, halvings=1), (3, 32, 32)),
        (AutoencoderSettings(width=16, halvings=4), (3, 64, 96)),
    ],
)
def test_products_are_those_that_torch_counts(settings: AutoencoderSettings, shape: Shape) -> None:
    autoencoder, counted = build(shape, settings), []
    latent = torch.zeros(1, *describe_autoencoder(settings, shape)["latent_shape"])
    for half, given in ((autoencoder.encode, torch.zeros(1, *shape)), (autoencoder.decode, latent)):
        counter = FlopCounterMode(display=False)
        with counter, torch.inference_mode():
            half(given)
        counted.append(counter.get_total_flops())
    found = count_products(settings, shape)
    assert [found.encode, found.decode] == pytest.approx(counted, rel=0.02)
