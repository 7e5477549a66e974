"""The layers of StyleGAN2 against closed forms, loops over images, and other implementations of the same filter."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
import torch
import torch.nn.functional as F
from torch import Tensor

from ops.generators.stylegan2.layers import (
    EqualConv,
    EqualLinear,
    ModulatedConv,
    activate,
    double,
    normalise,
    smooth,
)

STYLE = 6


def close(one: Tensor, other: Tensor, within: float = 2e-5) -> None:
    torch.testing.assert_close(one, other, atol=within, rtol=within)


def make_conv(*, doubling: bool = False, demodulate: bool = True, kernel: int = 3) -> ModulatedConv:
    torch.manual_seed(0)
    return ModulatedConv(4, 5, kernel, style=STYLE, doubling=doubling, demodulate=demodulate)


def list_kernels(conv: ModulatedConv, w: Tensor) -> Tensor:
    """The kernels of each image as eqs. 1 and 3 of the paper write them: [n, o, i, k, k]."""
    scales = w @ conv.style.weight.T / STYLE**0.5 + conv.style.bias
    kernels = scales[:, None, :, None, None] * conv.weight / (4 * conv.kernel**2) ** 0.5
    if conv.demodulate:
        kernels = kernels / (kernels.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8).sqrt()
    return kernels


@pytest.mark.parametrize("demodulate", [True, False])
@pytest.mark.parametrize("kernel", [1, 3])
def test_a_modulated_convolution_is_a_loop_over_images_and_one_grouped_convolution(
    demodulate: bool, kernel: int
) -> None:
    conv = make_conv(demodulate=demodulate, kernel=kernel)
    x, w = torch.randn(3, 4, 7, 5), torch.randn(3, STYLE)
    kernels, margin = list_kernels(conv, w), kernel // 2
    loop = torch.cat([F.conv2d(x[i : i + 1], kernels[i], padding=margin) for i in range(3)])
    grouped = F.conv2d(x.reshape(1, 12, 7, 5), kernels.flatten(0, 1), padding=margin, groups=3).view(3, 5, 7, 5)
    close(conv(x, w), loop)
    close(conv(x, w), grouped)


def test_the_loop_has_the_gradients_of_the_modulated_convolution_too() -> None:
    conv = make_conv()
    x, w = torch.randn(2, 4, 5, 5), torch.randn(2, STYLE, requires_grad=True)
    weights = torch.randn(2, 5, 5, 5)
    kernels = list_kernels(conv, w)
    loop = torch.cat([F.conv2d(x[i : i + 1], kernels[i], padding=1) for i in range(2)])
    wanted = [w, conv.weight, conv.style.weight]
    for one, other in zip(
        torch.autograd.grad((loop * weights).sum(), wanted),
        torch.autograd.grad((conv(x, w) * weights).sum(), wanted),
        strict=True,
    ):
        close(other, one, 1e-4)


def test_a_doubling_one_puts_zeros_between_convolves_and_filters() -> None:
    conv = make_conv(doubling=True)
    x, w = torch.randn(2, 4, 3, 4), torch.randn(2, STYLE)
    between = torch.zeros(2, 4, 6, 8)
    between[..., ::2, ::2] = x
    loop = torch.cat(
        [
            F.conv2d(F.pad(between[i : i + 1], (2, 1, 2, 1)), kernels.flip(2, 3))  # transposed: turned by half a turn
            for i, kernels in enumerate(list_kernels(conv, w))
        ]
    )
    taps = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 16  # four times a mean, for the zeros between
    expected = [scipy.signal.correlate2d(plane, taps)[2:-2, 2:-2] for plane in loop.detach().numpy().reshape(10, 7, 9)]
    assert conv(x, w).shape == (2, 5, 6, 8)
    close(conv(x, w).flatten(0, 1), torch.tensor(np.array(expected)).float(), 1e-4)


@torch.no_grad()
def test_what_has_variance_one_keeps_it_whatever_the_style() -> None:
    torch.manual_seed(1)
    x = torch.randn(32, 16, 12, 12)
    for size in (0.1, 3.0):
        w = size * torch.randn(32, STYLE)
        for doubling, expected in (
            (False, 1.0),
            (True, 1.25**2 / 4),  # of white noise a quarter stays among zeros; the filter's squares sum to 1.25 a side
        ):
            conv = ModulatedConv(16, 64, 3, style=STYLE, doubling=doubling)
            assert float(conv(x, w)[..., 2:-2, 2:-2].var()) == pytest.approx(expected, rel=0.1)
    assert float(activate(torch.randn(100_000)).square().mean()) == pytest.approx(1.04, abs=0.02)  # (1 + 0.2²) / 2 · 2
    assert float(EqualLinear(200, 300)(torch.randn(500, 200)).var()) == pytest.approx(1, abs=0.05)
    assert float(EqualConv(16, 64, 3)(x)[..., 1:-1, 1:-1].var()) == pytest.approx(1, abs=0.1)
    torch.testing.assert_close(normalise(7 * torch.randn(5, 9)).square().mean(dim=1), torch.ones(5))


def test_a_layer_of_a_lower_rate_computes_the_same_and_moves_less() -> None:
    torch.manual_seed(0)
    slow = EqualLinear(4, 3, rate=0.01, bias=1.0)
    fast = EqualLinear(4, 3, bias=1.0)
    with torch.no_grad():
        fast.weight.copy_(slow.weight * 0.01)
    x = torch.randn(6, 4)
    close(slow(x), fast(x))
    moved = []
    for layer in (slow, fast):
        optimizer = torch.optim.Adam(layer.parameters(), lr=0.1, betas=(0.0, 0.99))
        before = layer(x)
        layer(x).sum().backward()
        optimizer.step()
        moved.append(float((layer(x) - before).detach().abs().mean()))
    assert moved[0] == pytest.approx(moved[1] / 100, rel=1e-3)  # Adam moves stored weights equally far


def test_halving_filters_and_then_keeps_every_second_place() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 8, 6)
    filtered = smooth(x, 1, 1)
    assert filtered.shape == (2, 3, 7, 5)
    close(smooth(x, 1, 1, step=2), filtered[..., ::2, ::2])
    shortcut = EqualConv(3, 4, 1, halve=True, bias=False)
    close(shortcut(x), F.conv2d(filtered[..., ::2, ::2], shortcut.weight / 3**0.5))
    conv = EqualConv(3, 4, 3, halve=True)
    wide = F.conv2d(smooth(x, 2, 2), conv.weight / 27**0.5)
    assert conv(x).shape == (2, 4, 4, 3)
    close(conv(x), wide[..., ::2, ::2])
    constant = smooth(torch.ones(1, 1, 9, 9), 1, 2)[0, 0]
    assert constant.shape == (9, 9) and torch.allclose(constant[2:-2, 2:-2], torch.ones(5, 5))


def test_doubling_is_the_filter_over_places_with_zeros_between() -> None:
    x = torch.randn(1, 2, 5, 6)
    between = torch.zeros(1, 2, 10, 12)
    between[..., ::2, ::2] = x
    filtered = smooth(between, 2, 1, gain=4.0)
    assert filtered.shape == double(x).shape == (1, 2, 10, 12)
    close(double(x)[..., 1:-1, 1:-1], filtered[..., 1:-1, 1:-1])
    close(double(torch.full((1, 1, 3, 3), 0.7)), torch.full((1, 1, 6, 6), 0.7))
