"""The layers of StyleGAN2: equalised learning rates, modulated convolutions, filtered halving and doubling.

Karras et al. 2020a ("Analyzing and improving the image quality of StyleGAN"), §2.2 and appendix B; Karras et al. 2018
("Progressive growing of GANs"), §4.1, for the equalised rates. Every layer keeps a variance of about 1 where its input
has one; those that resample, of smooth input. It knows no images, classes or losses.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEAK = 0.2  # of LeakyReLU
GAIN = math.sqrt(2)  # behind it, which gives back the variance that it takes
FILTER = (1.0, 3.0, 3.0, 1.0)  # binomial, along each side; doubled with it, an image is interpolated linearly
SMALLEST = 1e-8


class EqualLinear(nn.Module):
    """A linear layer whose stored weights are N(0, 1), divided by √inputs at run time.

    So all weights have the same range, and an optimizer that normalises its steps moves all layers equally fast.

    Parameters
    ----------
    rate : multiplies the learning rate of this layer. bias : the first value of the bias.
    """

    def __init__(self, inputs: int, outputs: int, *, rate: float = 1.0, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.gain, self.rate = rate / math.sqrt(inputs), rate

    def forward(self, x: Tensor) -> Tensor:
        """float [n, outputs]."""
        return F.linear(x, self.weight * self.gain, self.bias * self.rate)


class ClassVectors(nn.Module):
    """A vector [size] with a second moment of 1 for each class."""

    def __init__(self, classes: int, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(classes, size))

    def forward(self, label: Tensor) -> Tensor:
        """float32 [n, size] of labels int64 [n]."""
        return normalise(self.weight[label])


class EqualConv(nn.Module):
    """A convolution with an equalised learning rate, which keeps the resolution, or halves it behind the filter."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, halve: bool = False, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.gain, self.halve, self.kernel = 1 / math.sqrt(inputs * kernel**2), halve, kernel

    def forward(self, x: Tensor) -> Tensor:
        """float [n, outputs, H, W], or half of both sides, which must be even."""
        weight = self.weight * self.gain
        if not self.halve:
            return F.conv2d(x, weight, self.bias, padding=self.kernel // 2)
        if self.kernel == 1:  # only the places that are kept are filtered
            return F.conv2d(smooth(x, 1, 1, step=2), weight, self.bias)
        return F.conv2d(smooth(x, 2, 2), weight, self.bias, stride=2)


class ModulatedConv(nn.Module):
    """A convolution whose kernels are scaled by each image's style (Karras et al. 2020a, eqs. 1 and 3).

    w'ᵢ = sᵢ wᵢ over input channels i; demodulated, each output channel's kernel is then divided by its norm, so that
    the output has variance 1 where the input has. The paper writes this as one grouped convolution with kernels of its
    own for each image. Scaling the input by s and the output by the norm is the same map with one kernel for the whole
    batch, which CPUs compute faster, and whose graph takes any number of images.

    Parameters
    ----------
    style : numbers of w, from which an equalised linear layer makes s; its bias begins at 1.
    doubling : double both sides, with the filter behind.
    demodulate : off where the layer's result is colours.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, style: int, doubling: bool = False, demodulate: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.style = EqualLinear(style, inputs, bias=1.0)
        self.gain, self.kernel = 1 / math.sqrt(inputs * kernel**2), kernel
        self.doubling, self.demodulate = doubling, demodulate

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """float [n, outputs, H, W] of x [n, inputs, H, W] in the styles of w [n, style]; without a bias."""
        scales, weight = self.style(w), self.weight * self.gain
        x = x * scales[:, :, None, None]
        if self.doubling:
            x = smooth(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2), 1, 1, gain=4.0)
        else:
            x = F.conv2d(x, weight, padding=self.kernel // 2)
        if self.demodulate:
            # A sum instead of a matrix product, which lower precisions would round.
            squares = (scales.float().square()[:, None] * weight.square().sum(dim=(2, 3))).sum(dim=2)
            x = x * (squares + SMALLEST).rsqrt()[:, :, None, None]
        return x


def activate(x: Tensor) -> Tensor:
    """LeakyReLU, times √2."""
    return F.leaky_relu(x, LEAK) * GAIN


def normalise(x: Tensor) -> Tensor:
    """Each row of [n, d] divided by the root of its second moment."""
    return x * (x.square().mean(dim=1, keepdim=True) + SMALLEST).rsqrt()


def smooth(x: Tensor, before: int, after: int, *, step: int = 1, gain: float = 1.0) -> Tensor:
    """[n, C, H, W] filtered along both sides, with zeros around: `before` above and left, `after` below and right.

    step : keep every second place where it is 2. gain : what a constant image is multiplied by.
    """
    channels = x.shape[1]
    taps = torch.tensor(FILTER, dtype=x.dtype, device=x.device)
    kernel = (taps[:, None] * taps * (gain / taps.sum() ** 2)).expand(channels, 1, -1, -1)
    if before != after:
        x, before = F.pad(x, (before, after, before, after)), 0
    return F.conv2d(x, kernel, padding=before, stride=step, groups=channels)


def double(x: Tensor) -> Tensor:
    """[n, C, 2H, 2W]: what the filter makes of the places with zeros between; edges are repeated."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
