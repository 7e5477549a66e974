"""The regulariser between classes against a loop, what its gradient does, and which noise counts most."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ops.generators.denoising.steps import DenoisingSteps
from ops.generators.denoising.transfer import Heard, find_transfer
from ops.generators.kinds.ddpm import Ddpm
from ops.generators.kinds.flow import Flow
from ops.recipe.denoisers import FlowSettings


class Table(torch.nn.Module):
    """Predicts a constant for each class, whatever it sees; the last one stands for no label."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.values = torch.nn.Parameter(torch.arange(classes + 1.0))

    def forward(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        return self.values[label][:, None, None, None].expand_as(x)


def test_the_term_equals_a_loop_over_images() -> None:
    table, x = Table(3), torch.zeros(4, 1, 2, 2)
    heard, own = Heard(table), torch.tensor([0, 1, 2, 2])
    heard(x, torch.zeros(4), own)
    others, share = torch.tensor([2, 1, 0, 1]), torch.tensor([1.0, 0.5, 0.25, 0.0])
    term = find_transfer(heard, table, others, share)
    expected = sum(float(w * 1.25 * (a - b) ** 2) for w, a, b in zip(share, own, others, strict=True)) / 4
    assert term.item() == pytest.approx(expected)
    term.backward()
    # Image 0: 2·(0 - 2)/4 on class 0 and a quarter of it, with the other sign, on class 2; image 2 the reverse.
    assert table.values.grad is not None
    assert table.values.grad.tolist() == pytest.approx([-1 - 0.25 / 4, 0.0, 1 / 4 + 0.25, 0.0])


def test_the_most_noise_counts_most() -> None:
    level = torch.tensor([-2.0, 0.0, 2.0])
    assert Flow().noise_share(level).tolist() == pytest.approx([0.880797, 0.5, 0.119203], abs=1e-5)  # 1 - t
    assert Ddpm().noise_share(level).tolist() == pytest.approx([0.02275, 0.5, 0.97725], abs=1e-5)  # t / T


def test_a_step_adds_the_term_and_draws_everything_else_as_without_it() -> None:
    images, labels = torch.randint(0, 256, (12, 1, 4, 4), dtype=torch.uint8), torch.arange(12) % 3
    losses = []
    for strength in (0.0, 1.0, 2.0):
        settings = FlowSettings(batch_size=8, class_transfer=strength, couple_noise=False)
        steps = DenoisingSteps(
            Table(3), Flow().loss, images, labels, settings, seed=3, precision="fp32", noise_share=Flow().noise_share
        )
        losses.append(float(steps(5)))
    assert losses[0] < losses[1]
    assert losses[2] - losses[1] == pytest.approx(losses[1] - losses[0], rel=1e-4)
