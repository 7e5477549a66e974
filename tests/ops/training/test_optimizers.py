"""Optimizers: every parameter once, kernels seen as matrices on the same memory, and steps of the size asked for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ops.generators.denoising.learning import OPTIMIZERS
from ops.generators.denoising.network import ConditionalUNet
from ops.training.muon import ORTHOGONALISATION_STEPS, A, B, C, KernelMuon, orthogonalise
from ops.training.optimizers import PER_MUON, held_by


def build_network() -> nn.Module:
    torch.manual_seed(0)
    return ConditionalUNet(channels=1, height=8, width=8, labels=3, widths=(8, 16))


def give_gradients(network: nn.Module) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    return {name: parameter.detach().clone() for name, parameter in network.named_parameters()}


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_one_step_moves_every_parameter_by_about_the_rate(name: str) -> None:
    network = build_network()
    before = give_gradients(network)
    for optimizer in OPTIMIZERS[name](network, 1e-3, 0.0):
        optimizer.step()
    for key, parameter in network.named_parameters():
        moved = float((parameter.detach() - before[key]).square().mean().sqrt())
        assert 1e-4 < moved < 3e-3, key


def test_every_parameter_is_held_once_and_only_kernels_and_matrices_by_muon() -> None:
    network = build_network()
    *muons, adamw = OPTIMIZERS["muon"](network, 0.01, 0.0)
    held = [id(parameter) for optimizer in (*muons, adamw) for parameter in held_by(optimizer)]
    assert sorted(held) == sorted(id(parameter) for parameter in network.parameters())
    kernels = [kernel for muon in muons for kernel in held_by(muon)]
    assert all(isinstance(muon, KernelMuon) and len(held_by(muon)) <= PER_MUON for muon in muons)
    assert all(kernel.ndim in (2, 4) for kernel in kernels)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    assert "label.weight" not in {names[id(kernel)] for kernel in kernels}


def test_a_muon_none_of_whose_kernels_has_a_gradient_leaves_them() -> None:
    kernel = nn.Parameter(torch.ones(4, 4))
    KernelMuon([kernel], 0.1, 0.01).step()
    assert torch.equal(kernel, torch.ones(4, 4))


@pytest.mark.parametrize("shape", [(6, 2, 3, 3), (32, 16, 3, 3), (24, 2, 1, 1), (16, 8)])
def test_a_kernels_update_is_that_of_torchs_muon_on_the_matrix(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    kernel, other = nn.Parameter(torch.randn(shape)), nn.Parameter(torch.randn(shape))
    matrix = nn.Parameter(kernel.data.flatten(1).clone())
    before = kernel.data.clone()
    ours = KernelMuon([other, kernel], 0.1, 0.01)
    theirs = torch.optim.Muon([matrix], 0.1, 0.01, momentum=0.95, ns_steps=3, adjust_lr_fn="match_rms_adamw")
    for seed in range(3):
        kernel.grad = torch.randn(kernel.shape, generator=torch.Generator().manual_seed(seed))
        other.grad = 7 * torch.ones(shape)
        matrix.grad = kernel.grad.flatten(1).clone()
        ours.step()
        theirs.step()
    moved, expected = (new.flatten(1) - before.flatten(1) for new in (kernel.data, matrix.data))
    assert float((moved - expected).norm() / expected.norm()) < 0.02  # torch's products are rounded to bf16


def test_orthogonalised_matrices_keep_their_singular_vectors_and_lose_their_singular_values() -> None:
    generator = torch.Generator().manual_seed(0)
    matrices = [1e-4 * torch.randn(shape, generator=generator) for shape in ((8, 40), (40, 8), (8, 8), (5, 70))]
    for matrix, result in zip(matrices, orthogonalise(matrices), strict=True):
        left, values, right = torch.linalg.svd(matrix, full_matrices=False)
        shares = values / values.norm()
        for _ in range(ORTHOGONALISATION_STEPS):
            shares = A * shares + B * shares**3 + C * shares**5
        torch.testing.assert_close(result, left @ torch.diag(shares) @ right, atol=0.02, rtol=0.05)
    assert torch.equal(orthogonalise([torch.zeros(3, 4)])[0], torch.zeros(3, 4))


def test_a_network_without_kernels_learns_with_adamw_alone() -> None:
    (only,) = OPTIMIZERS["muon"](nn.LayerNorm(4), 0.01, 0.0)
    assert isinstance(only, torch.optim.AdamW)
