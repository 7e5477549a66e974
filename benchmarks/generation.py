"""Images per second of one core: the exported sampler, the same network in eager torch, a plain DDIM pipeline.

The networks are untrained: speed does not depend on the weights. The plain pipeline is what diffusers' own
training example leads to, a full-resolution UNet2DModel of the same widths sampled with 50 DDIM steps.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMPipeline, DDIMScheduler, UNet2DModel

from benchmarks.harness import Row, interleave, write_result
from benchmarks.untrained import CLASSES, SHAPE, build_untrained
from ops.generators.engine import Sampler
from ops.generators.kinds.protocol import SamplerSettings

IMAGES = 64
SETTINGS = SamplerSettings(solver="heun", steps=3)


def run() -> Path:
    """Measure, write results/generation.json."""
    torch.set_num_threads(1)
    generator = build_untrained()
    plain = UNet2DModel(
        sample_size=28,
        in_channels=1,
        out_channels=1,
        block_out_channels=(32, 64),
        layers_per_block=2,
        down_block_types=("DownBlock2D",) * 2,
        up_block_types=("UpBlock2D",) * 2,
        norm_num_groups=8,
    ).eval()
    pipeline = DDIMPipeline(plain, DDIMScheduler())
    pipeline.set_progress_bar_config(disable=True)
    noise = np.random.default_rng(0).standard_normal((IMAGES, *SHAPE)).astype(np.float32)
    label = np.arange(IMAGES) % len(CLASSES)

    with tempfile.TemporaryDirectory() as name:
        path = generator.export(Path(name), SETTINGS, Path(name) / "scratch")
        sampler = Sampler(path, provider="cpu", threads=1, batch_size=16)

    @torch.inference_mode()
    def eager(precision: str) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            generator.sample(torch.from_numpy(noise), torch.from_numpy(label), SETTINGS)

    seconds = interleave(
        {
            "onnxruntime fp32, heun 3": lambda: sampler(noise, label),
            "eager torch fp32, heun 3": lambda: eager("fp32"),
            "eager torch bf16, heun 3": lambda: eager("bf16"),
            "diffusers pipeline, ddim 50": lambda: pipeline(
                batch_size=IMAGES, num_inference_steps=50, output_type="np"
            ),
        },
        repeats=5,
    )
    rates = {name: IMAGES / value for name, value in seconds.items()}
    onnx = rates["onnxruntime fp32, heun 3"]
    return write_result(
        "generation",
        [Row(name, round(rate, 1), "images/s on one core") for name, rate in rates.items()],
        {
            "generation_vs_ddim50_pipeline": onnx / rates["diffusers pipeline, ddim 50"],
            "onnx_fp32_vs_eager": onnx / rates["eager torch fp32, heun 3"],
        },
        parameters={
            "flow": sum(p.numel() for p in generator.network.parameters()),
            "plain": sum(p.numel() for p in plain.parameters()),
        },
    )
