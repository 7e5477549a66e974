"""The losses of a row against logarithms of odds, and the gradient of a maker that is seen through."""

from __future__ import annotations

import pytest
import torch

from ops.generators.adversarial.losses import criticise, deceive


def test_losses_are_those_of_logistic_regression_and_do_not_saturate() -> None:
    real, made = torch.tensor([0.0, 3.0, -2.0]), torch.tensor([0.0, -1.0, 5.0])
    sigmoid = torch.sigmoid
    torch.testing.assert_close(criticise(real, made), -sigmoid(real).log() - (1 - sigmoid(made)).log())
    torch.testing.assert_close(deceive(made), -sigmoid(made).log())
    seen_through = torch.tensor([-20.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(deceive(seen_through).sum(), seen_through)
    assert float(gradient) == pytest.approx(-1, abs=1e-6)  # where log(1 - σ(D)) would give none
