"""Images per second of one core: the exported sampler and its int8 variant against the usual alternatives.

All engines run the same network. A distilled flow costs two evaluations, an undistilled one five (Heun, 3 steps). The
networks are untrained; the loss of quality by int8 is measured elsewhere. The plain pipeline follows diffusers' own
training example: a full-resolution UNet2DModel of the same widths, sampled with 50 DDIM steps.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import torch
from diffusers import DDIMPipeline, DDIMScheduler, UNet2DModel

from benchmarks.parts.engines import (
    TORCH_BATCH,
    Engine,
    compile_torch,
    count_flops,
    find_absent,
    import_openvino,
    load_onnx,
    load_openvino,
    multiply_matrices,
    run_eager,
)
from benchmarks.parts.harness import Row, interleave, write_result
from benchmarks.parts.plain import build_plain_unet
from benchmarks.parts.untrained import CLASSES, SHAPE, build_untrained
from ops.generators.denoising.network import ConditionalUNet
from ops.generators.kinds.flow import Flow
from ops.generators.onnx.export import export_net, unroll_sampler
from ops.generators.onnx.simplify import simplify
from ops.generators.onnx.variants import quantise_sampler
from ops.recipe.sampler import SamplerSettings

IMAGES, PIPELINE_IMAGES = TORCH_BATCH, 16
PRODUCT = 512
TWO, FIVE = "2 evaluations", "5 evaluations"
FP32, INT8, EAGER = (f"{name}, {TWO}" for name in ("onnxruntime fp32", "onnxruntime int8", "eager torch fp32"))
FP32_HEUN = f"onnxruntime fp32, {FIVE}"
UNROLLED = f"onnxruntime fp32 before simplification, {TWO}"
PIPELINE, MATRICES = "diffusers pipeline, ddim 50", "matrix product"


def run() -> Path:
    """Measure, write results/generation.json."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = build_untrained().network
    with torch.no_grad():
        for parameter in model.parameters():
            if (
                parameter.ndim == 1
            ):  # an untrained norm multiplies by one and adds zero; OpenVINO would optimise it away
                parameter.add_(0.1 * torch.randn_like(parameter))
    noise = np.random.default_rng(0).standard_normal((IMAGES, *SHAPE)).astype(np.float32)
    label = np.arange(IMAGES) % len(CLASSES)
    absent = find_absent()
    with tempfile.TemporaryDirectory() as name:
        engines = _load_files(model, Path(name), openvino="openvino" not in absent)
    compiling = {}
    for precision in ("fp32", "bf16"):
        engines[f"eager torch {precision}, {TWO}"] = run_eager(model, precision, solver="euler", steps=2)
        if "torch.compile" not in absent:
            compiled, seconds = compile_torch(model, precision, (noise, label), solver="euler", steps=2)
            engines[f"torch.compile {precision}, {TWO}"] = compiled
            compiling[f"torch.compile {precision}, compiling one batch shape"] = seconds

    pipeline, plain = _build_pipeline()
    sides: dict[str, Callable[[], object]] = {
        name: lambda engine=engine: engine(noise, label)  # type: ignore[misc]
        for name, engine in engines.items()
    }
    sides[PIPELINE] = lambda: pipeline(batch_size=PIPELINE_IMAGES, num_inference_steps=50, output_type="np")
    sides[MATRICES] = multiply_matrices(PRODUCT)
    seconds_of = interleave(sides, repeats=9)  # another job on the core halves single rounds
    peak = 20 * 2 * PRODUCT**3 / seconds_of.pop(MATRICES)
    rates = {name: (PIPELINE_IMAGES if name == PIPELINE else IMAGES) / value for name, value in seconds_of.items()}
    flops = count_flops(model, SHAPE)
    best = max(rates[FP32], rates[INT8])
    ratios = {
        "generation_vs_ddim50_pipeline": rates[FP32] / rates[PIPELINE],
        "generation_undistilled_vs_ddim50_pipeline": rates[FP32_HEUN] / rates[PIPELINE],
        "onnx_fp32_vs_eager": rates[FP32] / rates[EAGER],
        "onnx_best_vs_eager": best / rates[EAGER],
        "onnx_int8_vs_fp32": rates[INT8] / rates[FP32],
        "simplified_vs_unrolled": rates[FP32] / rates[UNROLLED],
        "onnx_fp32_share_of_matrix_product": rates[FP32] * 2 * flops / peak,
    }
    # Two rivals that may be faster where they run: both need bf16 hardware, and torch.compile a compiler and a minute.
    for rival in ("torch.compile", "openvino"):
        if rival not in absent:
            ratios[f"onnx_best_vs_{rival.replace('.', '_')}_bf16"] = best / rates[f"{rival} bf16, {TWO}"]
    openvino = import_openvino()
    return write_result(
        "generation",
        [
            *(Row(name, round(rate, 1), "images/s on one core") for name, rate in rates.items()),
            *(Row(name, round(seconds, 1), "s") for name, seconds in compiling.items()),
            Row("onnxruntime fp32 matrix product", round(peak / 1e9, 1), "GFLOP/s on one core"),
            Row(
                "onnxruntime fp32, the sampler's arithmetic",
                round(rates[FP32] * 2 * flops / 1e9, 1),
                "GFLOP/s on one core",
            ),
        ],
        ratios,
        parameters={
            "flow": sum(p.numel() for p in model.parameters()),
            "plain": sum(p.numel() for p in plain.parameters()),
        },
        absent=absent,
        openvino=getattr(openvino, "__version__", None),
    )


def _load_files(model: ConditionalUNet, folder: Path, *, openvino: bool) -> dict[str, Engine]:
    """The exported samplers of two and of five evaluations, in the engines that read files."""
    engines: dict[str, Engine] = {}
    export_net(model, SHAPE, folder / "net.onnx")
    for evaluations, solver, steps in ((TWO, "euler", 2), (FIVE, "heun", 3)):
        path, int8 = folder / f"{solver}.onnx", folder / f"{solver}_int8.onnx"
        sampler = SamplerSettings(solver=solver, steps=steps)
        unrolled = unroll_sampler(Flow(), onnx.load(folder / "net.onnx"), sampler, shape=SHAPE, class_names=CLASSES)
        if evaluations == TWO:
            onnx.save(unrolled, str(path))
            engines[UNROLLED] = load_onnx(path)
        onnx.save(simplify(unrolled), str(path))
        quantise_sampler(path, int8)
        engines[f"onnxruntime fp32, {evaluations}"] = load_onnx(path)
        engines[f"onnxruntime int8, {evaluations}"] = load_onnx(int8)
        if openvino and evaluations == TWO:
            engines[f"openvino fp32, {evaluations}"] = load_openvino(path, "f32", SHAPE)
            engines[f"openvino bf16, {evaluations}"] = load_openvino(path, "bf16", SHAPE)
    return engines


def _build_pipeline() -> tuple[DDIMPipeline, UNet2DModel]:
    plain = build_plain_unet().eval()
    pipeline = DDIMPipeline(plain, DDIMScheduler())
    pipeline.set_progress_bar_config(disable=True)
    return pipeline, plain
