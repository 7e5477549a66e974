"""The losses in closed form, and the steps that a lazy penalty leaves."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ops.generators.stylegan2.critic import StyleCritic
from ops.generators.stylegan2.losses import find_steepness
from ops.recipe.stylegan2 import StyleGan2Settings


class Linear(nn.Module):
    """D(x) = a·x: its gradient is a, everywhere."""

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.randn(numbers))

    def forward(self, images: Tensor, label: Tensor) -> Tensor:
        return images.flatten(1) @ self.a * (1 + label)


def test_the_steepness_of_a_linear_critic_is_the_square_of_its_slope() -> None:
    torch.manual_seed(0)
    critic, images, label = Linear(12), torch.randn(5, 3, 2, 2), torch.tensor([0, 1, 0, 1, 2])
    found = find_steepness(critic, images, label)
    expected = critic.a.square().sum() * (1.0 + label) ** 2
    torch.testing.assert_close(found, expected)
    # d/da of the mean of |a|²(1 + l)² is 2a times the mean of (1 + l)².
    (gradient,) = torch.autograd.grad(found.mean(), critic.a)
    torch.testing.assert_close(gradient, 2 * critic.a * ((1.0 + label) ** 2).mean())


def test_the_steepness_of_the_critic_is_that_of_finite_differences() -> None:
    torch.manual_seed(0)
    critic = StyleCritic(1, 4, 5, base=8, classes=2)
    images, label = torch.randn(3, 1, 4, 5), torch.tensor([0, 1, 1])
    found = find_steepness(critic, images, label)
    step, slopes = 1e-3, torch.zeros(3, 20)
    with torch.no_grad():
        for row in range(3):
            for place in range(20):
                moved = [images.clone(), images.clone()]
                for sign, image in zip((1, -1), moved, strict=True):
                    image[row].view(-1)[place] += sign * step
                ends = [critic(image, label).sum() for image in moved]
                slopes[row, place] = (ends[0] - ends[1]) / (2 * step)
    torch.testing.assert_close(found.detach(), slopes.square().sum(dim=1), atol=1e-3, rtol=0.02)
    assert not images.requires_grad


def test_the_penalty_follows_from_pixels_and_batch() -> None:
    assert StyleGan2Settings(batch_size=64).find_penalty((3, 256, 256)) == pytest.approx(0.2048)
    assert StyleGan2Settings(batch_size=64).find_penalty((3, 64, 64)) == 0.1
    assert StyleGan2Settings(penalty=1.5).find_penalty((1, 8, 8)) == 1.5
