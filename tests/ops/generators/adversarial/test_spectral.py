"""Divided kernels have a largest singular value of one, of rectangles and single pixels too."""

from __future__ import annotations

import pytest
import torch

from ops.generators.adversarial.spectral import SpectralKernel, advance


@pytest.mark.parametrize("kernel", [1, 4, (3, 7)])
def test_the_divided_kernel_has_a_largest_singular_value_of_one(kernel: int | tuple[int, int]) -> None:
    torch.manual_seed(0)
    layer = SpectralKernel(6, 9, kernel)
    with torch.no_grad():
        layer.weight.mul_(7)
    advance(layer, 200)
    found = torch.linalg.matrix_norm(layer.find_kernel().flatten(1), ord=2)
    torch.testing.assert_close(found, torch.tensor(1.0), rtol=1e-3, atol=1e-3)
