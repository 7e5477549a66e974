"""Draw with a network in torch: the reference for the exported sampler, and the draws during training."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from ops.generators.denoising.network import ConditionalUNet
from ops.generators.denoising.space import PIXELS, Space
from ops.generators.kinds.denoiser import Denoiser, Evaluate, guide
from ops.generators.levels import to_float, to_pixels
from ops.machine.precision import compute_in
from ops.recipe.sampler import SamplerSettings

PART_IMAGES = 50  # images that a thread draws at a time during training


def draw(
    maths: Denoiser,
    network: ConditionalUNet,
    noise: Tensor,
    label: Tensor,
    sampler: SamplerSettings,
    image: Tensor | None = None,
    space: Space[Tensor] = PIXELS,
) -> Tensor:
    """Images in -1..1 [n, C, H, W]; guidance also evaluates the network with its last label, which means no label.

    `image` uint8 [n, H, W, C] are the seed images of a sampler with a strength; the network denoises in `space`.
    """
    noise, evaluate = space.take_noise(noise), make_evaluate(network, label, sampler)
    assert sampler.solver is not None and sampler.steps is not None
    if sampler.settled_strength is None:
        return space.decode(maths.integrate(evaluate, noise, solver=sampler.solver, steps=sampler.steps))
    assert image is not None
    seeds, strength = space.encode(to_float(image)), sampler.settled_strength
    return space.decode(maths.vary(evaluate, seeds, noise, strength, solver=sampler.solver, steps=sampler.steps))


def make_evaluate(network: ConditionalUNet, label: Tensor, sampler: SamplerSettings) -> Evaluate[Tensor]:
    """The network's prediction at x_t for labels int64 [n], guided where the sampler asks for it."""
    no_label = torch.full_like(label, network.label.num_embeddings - 1)

    def evaluate(x: Tensor, time: float) -> Tensor:
        t = x.new_full((len(x),), time)
        output: Tensor = network(x, t, label)
        return output if sampler.guidance == 1.0 else guide(output, network(x, t, no_label), sampler.guidance)

    return evaluate


def sample_pixels(
    maths: Denoiser,
    network: ConditionalUNet,
    feeds: Mapping[str, Tensor],
    sampler: SamplerSettings,
    space: Space[Tensor] = PIXELS,
) -> Tensor:
    """uint8 [n, H, W, C], all at once in fp32: the reference for the exported sampler.

    A network without classes is fed no label; its only one is 0.
    """
    with torch.inference_mode():
        noise = feeds["noise"]
        label = feeds["label"] if "label" in feeds else torch.zeros(len(noise), dtype=torch.int64)
        drawn = draw(maths, network, noise, label, sampler, feeds.get("image"), space)
        return to_pixels(drawn.float())


def sample_in_threads(
    maths: Denoiser,
    network: ConditionalUNet,
    noise: Tensor,
    label: Tensor,
    sampler: SamplerSettings,
    device: str,
    precision: str,
    pool: ThreadPoolExecutor,
    space: Space[Tensor] = PIXELS,
) -> Tensor:
    """uint8 [n, H, W, C], PART_IMAGES at a time, so that no bit depends on the number of threads."""

    def draw_some(part: tuple[Tensor, Tensor]) -> Tensor:
        with torch.inference_mode(), compute_in(precision, device):
            x, y = (tensor.to(device) for tensor in part)
            return to_pixels(draw(maths, network, x, y, sampler, space=space).float()).cpu()

    return torch.cat(list(pool.map(draw_some, zip(noise.split(PART_IMAGES), label.split(PART_IMAGES), strict=True))))
