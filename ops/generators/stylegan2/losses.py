"""What the critic of StyleGAN2 learns from besides its scores: R1 regularisation (Mescheder et al. 2018, eq. 9).

It is applied lazily (Karras et al. 2020a, §3.1), as a term γ/2 · E |∇D(x)|² of some steps' L_D. The publication takes a
step of the optimizer for it alone; here it joins one of L_D, so that rates and betas are as they stand in a recipe.

Path length regularisation (2020a, §3.2) is left out. It smooths the way from styles to images for those who walk or
project among styles, which nobody does here, and costs a second derivative of the maker. Style mixing (2019, §3.1)
serves the same people, and is left out too.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def find_steepness(critic: nn.Module, images: Tensor, label: Tensor) -> Tensor:
    """|∇D(x)|² of each row, float32 [n]; its gradient reaches the critic's parameters. Always in float32."""
    with torch.autocast(images.device.type, enabled=False), torch.enable_grad():
        images = images.detach().requires_grad_()
        scores: Tensor = critic(images, label)
        (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
        return gradient.square().sum(dim=(1, 2, 3))
