"""AdaIN, layer and spectral normalisation against loops over samples and numpy's singular values."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ops.generators.munit.layers import LayerNorm, PaddedConv, SpectralConv, adapt, standardise


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_adain_is_that_of_a_loop_over_samples_and_channels_whatever_the_batch() -> None:
    z, gain, shift = 3 * draw(5, 4, 6, 3) + 2, draw(5, 4, seed=1), draw(5, 4, seed=2)
    adapted = adapt(z, gain, shift)
    for i in range(5):
        for c in range(4):
            numbers = z[i, c].double().numpy()
            expected = float(gain[i, c]) * (numbers - numbers.mean()) / np.sqrt(numbers.var() + 1e-5)
            np.testing.assert_allclose(adapted[i, c].numpy(), expected + float(shift[i, c]), atol=1e-5)
    torch.testing.assert_close(adapt(z[2:3], gain[2:3], shift[2:3]), adapted[2:3], rtol=0, atol=0)


def test_adain_is_batch_norm_of_the_batch_folded_into_the_channels() -> None:
    z, gain, shift = draw(3, 4, 5, 5), draw(3, 4, seed=1), draw(3, 4, seed=2)
    folded = F.batch_norm(z.view(1, 12, 5, 5), None, None, gain.flatten(), shift.flatten(), training=True, eps=1e-5)
    torch.testing.assert_close(adapt(z, gain, shift), folded.view(3, 4, 5, 5), rtol=1e-5, atol=1e-5)


def test_norms_are_computed_in_float32_under_autocast() -> None:
    z = draw(2, 3, 4, 4).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        for normed in (standardise(z), adapt(z, draw(2, 3), draw(2, 3)), LayerNorm(3)(z)):
            assert normed.dtype == torch.float32


def test_layer_norm_divides_by_the_unbiased_deviation_plus_epsilon() -> None:
    norm, x = LayerNorm(4), 2 * draw(3, 4, 2, 3) + 1
    assert bool(((norm.gain >= 0) & (norm.gain <= 1)).all()) and not norm.shift.any()
    normed = norm(x)
    for i in range(3):
        numbers = x[i].double().numpy()
        expected = (numbers - numbers.mean()) / (numbers.std(ddof=1) + 1e-5)
        gain = norm.gain.detach().double().numpy()[:, None, None]
        np.testing.assert_allclose(normed[i].detach().numpy(), expected * gain, atol=1e-5)


def test_layer_norm_of_a_constant_image_has_a_finite_gradient() -> None:
    x = torch.ones(1, 2, 3, 3, requires_grad=True)
    LayerNorm(2)(x).sum().backward()
    assert x.grad is not None and torch.isfinite(x.grad).all()


def test_the_spectral_norm_is_the_largest_singular_value_and_only_advance_moves_it() -> None:
    torch.manual_seed(0)
    layer = SpectralConv(3, 6, 4, 2)
    layer.advance(200)
    largest = np.linalg.svd(layer.weight.detach().flatten(1).numpy(), compute_uv=False)[0]
    np.testing.assert_allclose(float(layer.find_norm().detach()), largest, rtol=1e-5)
    before, x = layer.u.clone(), draw(2, 3, 8, 8)
    expected = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), layer.weight / float(largest), layer.bias, stride=2)
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(layer.u, before)
    with torch.no_grad():
        layer.weight.mul_(3)
    layer.advance()
    np.testing.assert_allclose(float(layer.find_norm().detach()), 3 * largest, rtol=1e-4)


def test_the_gradient_passes_through_the_spectral_norm() -> None:
    """The output does not change with the kernel's size, so no part of the gradient points along the kernel."""
    torch.manual_seed(0)
    layer = SpectralConv(2, 3, 3)
    layer.advance(200)
    layer(draw(2, 2, 5, 5)).square().sum().backward()
    assert layer.weight.grad is not None
    along = float((layer.weight.grad * layer.weight).sum())
    assert abs(along) < 1e-3 * float(layer.weight.grad.norm() * layer.weight.norm())


def test_padding_reflects_without_repeating_the_edge() -> None:
    layer = PaddedConv(1, 1, 3)
    with torch.no_grad():
        layer.weight.zero_()[0, 0, 1, 0] = 1  # what lies to the left
        layer.bias.zero_()
    row = torch.arange(4.0).view(1, 1, 1, 4).repeat(1, 1, 4, 1)
    assert layer(row)[0, 0, 1].tolist() == [1.0, 0.0, 1.0, 2.0]
