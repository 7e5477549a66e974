"""Draw with a network in torch: the reference for the exported sampler, and what a generator is watched by."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from ops.generators.denoising.network import ConditionalUNet, to_pixels
from ops.generators.kinds.denoiser import Denoiser, guide
from ops.machine.precision import compute_in
from ops.recipe.generator import SamplerSettings

DRAWN = 50  # images that a thread draws at a time while a generator is watched


def draw(maths: Denoiser, network: ConditionalUNet, noise: Tensor, label: Tensor, sampler: SamplerSettings) -> Tensor:
    """Images in -1..1 [n, C, H, W]; guidance evaluates the network with the last label, which means none, as well."""
    nothing = torch.full_like(label, network.label.num_embeddings - 1)

    def evaluate(x: Tensor, time: float) -> Tensor:
        t = x.new_full((len(x),), time)
        output: Tensor = network(x, t, label)
        return output if sampler.guidance == 1.0 else guide(output, network(x, t, nothing), sampler.guidance)

    assert sampler.solver is not None and sampler.steps is not None
    return maths.integrate(evaluate, noise, solver=sampler.solver, steps=sampler.steps)


def sample_pixels(
    maths: Denoiser, network: ConditionalUNet, noise: Tensor, label: Tensor, sampler: SamplerSettings
) -> Tensor:
    """uint8 [n, H, W, C], all at once in fp32: the reference for what is exported."""
    with torch.inference_mode():
        return to_pixels(draw(maths, network, noise, label, sampler).float())


def sample_in_threads(
    maths: Denoiser,
    network: ConditionalUNet,
    noise: Tensor,
    label: Tensor,
    sampler: SamplerSettings,
    device: str,
    precision: str,
    pool: ThreadPoolExecutor,
) -> Tensor:
    """uint8 [n, H, W, C], DRAWN at a time whatever the number of threads: no bit depends on it."""

    def draw_some(part: tuple[Tensor, Tensor]) -> Tensor:
        with torch.inference_mode(), compute_in(precision, device):
            x, y = (tensor.to(device) for tensor in part)
            return to_pixels(draw(maths, network, x, y, sampler).float()).cpu()

    return torch.cat(list(pool.map(draw_some, zip(noise.split(DRAWN), label.split(DRAWN), strict=True))))
