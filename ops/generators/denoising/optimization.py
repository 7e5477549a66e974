"""The optimizers that a network may learn to denoise with.

Muon (Jordan et al. 2024) orthogonalises the momentum of every kernel and matrix. On a thousand Fashion-MNIST images a
flow is as good after 350 steps with it as after 700 with AdamW, at 8 % more per step. What is neither, biases, norms
and embeddings, learns with AdamW; Muon's update is scaled to AdamW's size (Liu et al. 2025, §2.2).

There are several optimizers for one network, each with parameters of its own, so that several threads may take a step
together. How the parameters are divided depends on the network alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

ORTHOGONALISATION_STEPS = 3  # Newton-Schulz iterations; 5 cost more and were no better
A, B, C = 3.4445, -4.7750, 2.0315  # of their quintic, as in torch.optim.Muon
MOMENTUM = 0.95
TOGETHER = 9  # matrices of one Muon: the fewer, the evener is the threads' work, and the more calls it takes
SMALLEST = 1e-14  # of a squared norm: below it a matrix is nothing


class KernelMuon(Optimizer):
    """Muon for kernels, [o, i, h, w] seen as o rows on the same memory, and for all of them at once.

    torch.optim.Muon takes matrices, and one after another: with a small network a tenth of a step is spent on that.
    `kernels` are those parameters as the network has them.
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
        torch._foreach_lerp_(averages, gradients, 1 - MOMENTUM)
        updates = orthogonalise(list(torch._foreach_lerp(gradients, averages, MOMENTUM)))
        torch._foreach_mul_(views, 1 - rate * decay)
        for view, update in zip(views, updates, strict=True):
            # Its root mean square is 0.2, as AdamW's update has it (Liu et al. 2025, eq. 4).
            view.add_(update, alpha=-rate * 0.2 * max(view.shape) ** 0.5)


def orthogonalise(matrices: list[Tensor]) -> list[Tensor]:
    """Each matrix [r, c] with its singular values brought near to 1, between about 0.7 and 1.2; float32.

    Newton-Schulz steps X ← (a + b·G + c·G²)·X with G = X·Xᵀ of the shorter side need no X until the end: the
    polynomials of G commute, so that G ← p(G)·G·p(G) and their product P are followed alone, for all matrices of the
    same shorter side at once, and X is multiplied by P.
    """
    wide = [(matrix.T if len(matrix) > matrix.shape[1] else matrix).bfloat16() for matrix in matrices]
    results: list[Tensor] = list(matrices)
    for rows in sorted({len(matrix) for matrix in wide}):
        members = [i for i, matrix in enumerate(wide) if len(matrix) == rows]
        gram = torch.stack([wide[i] @ wide[i].T for i in members]).float()
        squared = gram.diagonal(dim1=1, dim2=2).sum(1).clamp(min=SMALLEST)[:, None, None]  # Frobenius norms
        gram = gram / squared  # so that no singular value is above 1
        product = squared.rsqrt() * torch.eye(rows, device=gram.device)
        for step in range(ORTHOGONALISATION_STEPS):
            polynomial = torch.baddbmm(gram, gram, gram, beta=B, alpha=C)
            polynomial.diagonal(dim1=1, dim2=2).add_(A)
            product = polynomial @ product
            if step < ORTHOGONALISATION_STEPS - 1:
                gram = polynomial @ gram @ polynomial
        for i, own in zip(members, product.bfloat16(), strict=True):
            result = (own @ wide[i]).float()
            results[i] = result.T if len(matrices[i]) > matrices[i].shape[1] else result
    return results


def build_optimizers(name: str, network: nn.Module, learning_rate: float, weight_decay: float) -> list[Optimizer]:
    """Optimizers that together hold every parameter once; to be built where the network computes, on its device."""
    return OPTIMIZERS[name](network, learning_rate, weight_decay)


def held_by(optimizer: Optimizer) -> list[Tensor]:
    """The parameters that it moves, as the network has them."""
    if isinstance(optimizer, KernelMuon):
        return list(optimizer.kernels)
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def divide(matrices: list[nn.Parameter]) -> list[list[nn.Parameter]]:
    """Matrices and kernels by their shorter side, the longest first, at most TOGETHER in a list."""
    by_side: dict[int, list[nn.Parameter]] = {}
    for matrix in matrices:
        by_side.setdefault(min(len(matrix), matrix.numel() // len(matrix)), []).append(matrix)
    return [
        alike[begin : begin + TOGETHER]
        for _, alike in sorted(by_side.items(), reverse=True)
        for begin in range(0, len(alike), TOGETHER)
    ]


def set_rate(optimizers: list[Optimizer], rate: float) -> None:
    """Give all of them one learning rate."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate


def _muon(network: nn.Module, learning_rate: float, weight_decay: float) -> list[Optimizer]:
    layers = [module for module in network.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    matrices = [cast(nn.Parameter, layer.weight) for layer in layers]
    taken = {id(matrix) for matrix in matrices}
    others = [parameter for parameter in network.parameters() if id(parameter) not in taken]
    optimizers: list[Optimizer] = [KernelMuon(alike, learning_rate, weight_decay) for alike in divide(matrices)]
    if others:
        optimizers.append(torch.optim.AdamW(others, learning_rate, weight_decay=weight_decay, foreach=True))
    return optimizers


def _adamw(network: nn.Module, learning_rate: float, weight_decay: float) -> list[Optimizer]:
    return [torch.optim.AdamW(network.parameters(), learning_rate, weight_decay=weight_decay, foreach=True)]


OPTIMIZERS: dict[str, Callable[[nn.Module, float, float], list[Optimizer]]] = {"muon": _muon, "adamw": _adamw}
