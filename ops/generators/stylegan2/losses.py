"""What maker and critic of StyleGAN2 learn from.

The non-saturating logistic loss (Goodfellow et al. 2014) with R1 regularisation (Mescheder et al. 2018, eq. 9), applied
lazily (Karras et al. 2020a, §3.1):

    L_D = E softplus(D(G(z))) + E softplus(-D(x)) + γ/2 · E |∇D(x)|²,    L_G = E softplus(-D(G(z)))

Path length regularisation (2020a, §3.2) is left out. It smooths the way from styles to images for those who walk or
project among styles, which nobody does here, and costs a second derivative of the maker. Style mixing (2019, §3.1)
serves the same people, and is left out too.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def criticise(real: Tensor, made: Tensor) -> Tensor:
    """L_D of each row without its penalty, from scores [n] of real and of made images."""
    return F.softplus(made) + F.softplus(-real)


def deceive(made: Tensor) -> Tensor:
    """L_G of each row, from scores [n] of made images."""
    return F.softplus(-made)


def find_steepness(critic: nn.Module, images: Tensor, label: Tensor) -> Tensor:
    """|∇D(x)|² of each row, float32 [n]; its gradient reaches the critic's parameters. Always in float32."""
    with torch.autocast(images.device.type, enabled=False), torch.enable_grad():
        images = images.detach().requires_grad_()
        scores: Tensor = critic(images, label)
        (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
        return gradient.square().sum(dim=(1, 2, 3))


def slow_betas(betas: tuple[float, float], every: int) -> tuple[float, float]:
    """Adam's betas where one more loss joins each `every` steps (2020a, appendix B); the rate is k/(k + 1) of its own.

    So k steps go as far as k + 1 would with one loss each: k of the loss, one of the penalty.
    """
    share = every / (every + 1)
    return betas[0] ** share, betas[1] ** share
