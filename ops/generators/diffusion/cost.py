"""What an image costs a pipeline: products of its networks, counted on the folder's configuration without weights.

A multiplication and an addition count as two products. How many of them a GPU does in a second is not known here.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ops.generators.diffusion.folder import PipelineFolder
from ops.generators.protocol import Cost
from ops.recipe.diffusion import PipelineSettings, StableDiffusionSettings
from ops.recipe.sampler import SamplerSettings

TOKENS = 77  # of a text
SIDE, PROBES = 384, 30  # of the matrices whose product is timed
PASSES = 3  # of a training step: one forward, and two for the gradients


def guess_pipeline(
    settings: PipelineSettings, sampler: SamplerSettings, folder: PipelineFolder, rate: float, workers: int
) -> Cost:
    """The cost at `rate` products a second on each of `workers` cores; texts and the safety checker are left out.

    So is what fine-tuning draws before it trains, which depends on the classes (`PipelineSettings.count_first`).
    """
    once, drawing, decoding, encoding = _count_image(settings, sampler, folder)
    image = (drawing + decoding + encoding) / rate
    if not isinstance(settings, StableDiffusionSettings) or settings.lora is None:
        return Cost(0.0, 0.0, image)
    lora = settings.lora
    step = PASSES * once * lora.batch_size * (1 if lora.preservation is None else 2) / (rate * workers)
    return Cost(lora.steps * step, step, image)


def weigh_decoding(settings: PipelineSettings, sampler: SamplerSettings, folder: PipelineFolder) -> float:
    """The share of a variant's products that imagination repeats: of decoding, and with unclip of the diffusion."""
    _, drawing, decoding, encoding = _count_image(settings, sampler, folder)
    repeated = decoding + (drawing if settings.kind == "unclip" else 0.0)
    return repeated / (drawing + decoding + encoding)


def _count_image(
    settings: PipelineSettings, sampler: SamplerSettings, folder: PipelineFolder
) -> tuple[float, float, float, float]:
    """Products of an evaluation of the unet, and for an image of all of these, of decoding and of encoding it."""
    side = folder.side if settings.size is None else settings.size
    once, decoding, encoding = count_products(folder, side)
    seen = encoding if "image" in settings.list_inputs(sampler) else 0.0
    steps = sampler.steps or 0
    taken = steps if sampler.strength is None else int(steps * (sampler.settled_strength or 1.0))
    return once, taken * once * (2 if sampler.guidance > 1 else 1), decoding, seen


def count_products(folder: PipelineFolder, side: int) -> tuple[float, float, float]:
    """Products of one evaluation of the unet for one image, of decoding and of encoding it; on torch's meta device."""
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel

    unet, vae = folder.configs["unet"], folder.configs["vae"]
    places = side // folder.factor
    with torch.device("meta"):
        latent = torch.empty(1, unet.get("in_channels", 4), places, places)
        text = torch.empty(1, TOKENS, unet["cross_attention_dim"])
        seen = {}
        if folder.kind == "unclip":
            seen["class_labels"] = torch.empty(1, unet["projection_class_embeddings_input_dim"])
        network, autoencoder = UNet2DConditionModel.from_config(unet), AutoencoderKL.from_config(vae)
        once = _count(lambda: network(latent, torch.empty(1), encoder_hidden_states=text, **seen))
        decoding = _count(lambda: autoencoder.decode(latent))
        encoding = _count(lambda: autoencoder.encode(torch.empty(1, 3, side, side)))
    return once, decoding, encoding


def time_products() -> float:
    """Products a second of a matrix product on one core."""
    import torch

    left = torch.ones(SIDE, SIDE)
    left @ left
    started = time.perf_counter()
    for _ in range(PROBES):
        left @ left
    return PROBES * 2 * SIDE**3 / max(time.perf_counter() - started, 1e-9)


def _count(compute: Callable[[], object]) -> float:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        compute()
    return float(counter.get_total_flops())
