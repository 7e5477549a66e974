"""Muon (Jordan et al. 2024) for all kernels and matrices of a network at once: momentum, orthogonalised.

Every direction of a matrix moves equally far, however large its gradient is. The size of an update is scaled to that
of AdamW's (Liu et al. 2025, §2.2), so that both take the same learning rate and weight decay.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

ORTHOGONALISATION_STEPS = 3  # Newton-Schulz iterations; 5 cost more and were no better
A, B, C = 3.4445, -4.7750, 2.0315  # coefficients of their quintic, as in torch.optim.Muon
MOMENTUM = 0.95
SIZE = 0.2  # root mean square of an update, AdamW's (Liu et al. 2025, eq. 4)
SMALLEST = 1e-14  # squared norm below which a matrix counts as zero


class KernelMuon(Optimizer):
    """Muon for kernels, [o, i, h, w] seen as matrices of o rows on the same memory, and for matrices.

    torch.optim.Muon takes matrices only, and one after another: for a small network that is a tenth of a step.
    `kernels` are those parameters as the network has them, on the device where it computes.
    """

    def __init__(self, kernels: list[nn.Parameter], learning_rate: float, weight_decay: float) -> None:
        self.kernels = kernels
        self.views = [nn.Parameter(kernel.data.view(len(kernel), -1)) for kernel in kernels]
        super().__init__(self.views, {"lr": learning_rate, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step along the kernels' gradients, with Nesterov's momentum."""
        (group,) = self.param_groups
        rate, decay = group["lr"], group["weight_decay"]
        pairs = [(view, kernel.grad) for view, kernel in zip(self.views, self.kernels, strict=True)]
        views: list[Tensor] = [view for view, gradient in pairs if gradient is not None]
        gradients = [gradient.reshape(view.shape) for view, gradient in pairs if gradient is not None]
        if not views:
            return
        for view in views:
            if not self.state[view]:
                self.state[view]["momentum_buffer"] = torch.zeros_like(view)
        averages = [self.state[view]["momentum_buffer"] for view in views]
        torch._foreach_lerp_(averages, gradients, 1 - MOMENTUM)  # M ← μ·M + (1 - μ)·G
        updates = orthogonalise(list(torch._foreach_lerp(gradients, averages, MOMENTUM)))
        torch._foreach_mul_(views, 1 - rate * decay)
        for view, update in zip(views, updates, strict=True):
            view.add_(update, alpha=-rate * SIZE * max(view.shape) ** 0.5)


def orthogonalise(matrices: list[Tensor]) -> list[Tensor]:
    """Each matrix [r, c] with its singular values brought near to 1, between about 0.7 and 1.2; float32.

    Newton-Schulz steps X ← (a + b·G + c·G²)·X with G = X·Xᵀ of the shorter side do not need X until the end: the
    polynomials of G commute, so it is enough to follow G ← p(G)·G·p(G) and the product P of the polynomials, for all
    matrices of the same shorter side at once. At the end X is multiplied by P.
    """
    wide = [(matrix.T if len(matrix) > matrix.shape[1] else matrix).bfloat16() for matrix in matrices]
    results: list[Tensor] = list(matrices)
    for rows in sorted({len(matrix) for matrix in wide}):
        members = [i for i, matrix in enumerate(wide) if len(matrix) == rows]
        g = torch.stack([wide[i] @ wide[i].T for i in members]).float()
        squared = g.diagonal(dim1=1, dim2=2).sum(1).clamp(min=SMALLEST)[:, None, None]  # Frobenius norms of X
        g = g / squared  # so that no singular value is above 1
        product = squared.rsqrt() * torch.eye(rows, device=g.device)
        for step in range(ORTHOGONALISATION_STEPS):
            p = torch.baddbmm(g, g, g, beta=B, alpha=C)  # b·G + c·G²
            p.diagonal(dim1=1, dim2=2).add_(A)
            product = p @ product
            if step < ORTHOGONALISATION_STEPS - 1:
                g = p @ g @ p
        for i, own in zip(members, product.bfloat16(), strict=True):
            result = (own @ wide[i]).float()
            results[i] = result.T if len(matrices[i]) > matrices[i].shape[1] else result
    return results
