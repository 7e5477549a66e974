"""Draw variants in torch: the reference for the exported sampler, and the draws during training."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from ops.generators.denoising.sampling import PART_IMAGES
from ops.generators.feeds import IMAGE, NOISE
from ops.generators.instance.flow import InstanceFlow
from ops.generators.instance.hiding import take_hiding, tell
from ops.generators.instance.network import Encoder, FeatureUNet
from ops.generators.levels import to_float, to_pixels
from ops.machine.precision import compute_in
from ops.recipe.sampler import SamplerSettings


def draw_variants(
    maths: InstanceFlow, encoder: Encoder, flow: FeatureUNet, feeds: Mapping[str, Tensor], sampler: SamplerSettings
) -> Tensor:
    """uint8 [n, H, W, C] of the seed images and the noise in `feeds`; a strength of None hides nothing."""
    with torch.inference_mode():
        noise = feeds[NOISE]
        features = encoder.encode(to_float(feeds[IMAGE]))
        told = tell(features, take_hiding(noise, features.shape[1]), sampler.settled_strength or 0.0)
        return to_pixels(draw_told(maths, flow, told, noise, sampler).float())


def draw_told(maths: InstanceFlow, flow: FeatureUNet, told: Tensor, noise: Tensor, sampler: SamplerSettings) -> Tensor:
    """Images [n, C, H, W] in -1..1, not clamped, from what the flow is told; gradients pass through."""

    def evaluate(x: Tensor, time: float) -> Tensor:
        velocity: Tensor = flow(x, x.new_full((len(x),), time), told)
        return velocity

    assert sampler.solver is not None and sampler.steps is not None
    return maths.integrate(evaluate, noise, solver=sampler.solver, steps=sampler.steps)


def draw_in_threads(
    maths: InstanceFlow,
    encoder: Encoder,
    flow: FeatureUNet,
    feeds: Mapping[str, Tensor],
    sampler: SamplerSettings,
    device: str,
    precision: str,
    pool: ThreadPoolExecutor,
) -> Tensor:
    """`draw_variants`, PART_IMAGES at a time, so that no bit depends on the number of threads."""

    def draw_some(part: tuple[Tensor, Tensor]) -> Tensor:
        noise, image = (tensor.to(device) for tensor in part)
        with compute_in(precision, device):
            return draw_variants(maths, encoder, flow, {NOISE: noise, IMAGE: image}, sampler).cpu()

    parts = zip(feeds[NOISE].split(PART_IMAGES), feeds[IMAGE].split(PART_IMAGES), strict=True)
    return torch.cat(list(pool.map(draw_some, parts)))
