"""The engines that the generation benchmark compares: each turns noise and labels into uint8 images on one core.

An engine that this machine lacks is named in `absent` with the reason, never skipped silently.
"""

from __future__ import annotations

import importlib
import shutil
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import TensorProto, helper, numpy_helper

from ops.generators.denoising.network import ConditionalUNet
from ops.generators.denoising.sampling import draw
from ops.generators.kinds.flow import Flow
from ops.generators.levels import to_pixels
from ops.generators.onnx.engine import Sampler
from ops.recipe.sampler import SamplerSettings

Engine = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Noise float32 [n, C, H, W] and labels int64 [n] to images uint8 [n, H, W, C]."""

ONNX_BATCH, TORCH_BATCH = 16, 64  # the fastest for each; a call of torch costs more


def load_onnx(path: Path) -> Engine:
    """A sampler in ONNX Runtime, as `growset` runs it."""
    sampler = Sampler(path, provider="cpu", batch_size=ONNX_BATCH)
    return lambda noise, label: sampler.draw({"noise": noise, "label": label})


def run_eager(model: ConditionalUNet, precision: str, *, solver: str, steps: int) -> Engine:
    """The network in eager torch, in fp32 or under bf16 autocast."""

    sampler = SamplerSettings(solver=solver, steps=steps)

    @torch.inference_mode()
    def run(noise: np.ndarray, label: np.ndarray) -> np.ndarray:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            return to_pixels(draw(Flow(), model, torch.from_numpy(noise), torch.from_numpy(label), sampler)).numpy()

    return run


def compile_torch(
    model: ConditionalUNet, precision: str, example: tuple[np.ndarray, np.ndarray], *, solver: str, steps: int
) -> tuple[Engine, float]:
    """The whole sampler through torch.compile for one batch shape, and the seconds that the first call took."""
    import torch._inductor.config as inductor

    inductor.force_disable_caches = True  # the cost in a new process on a new machine
    inductor.compile_threads = 1

    def sample(noise: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        return to_pixels(draw(Flow(), model, noise, label, SamplerSettings(solver=solver, steps=steps)))

    compiled: Any = torch.compile(sample, dynamic=False)

    @torch.inference_mode()
    def run(noise: np.ndarray, label: np.ndarray) -> np.ndarray:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            images: torch.Tensor = compiled(torch.from_numpy(noise), torch.from_numpy(label))
            return images.numpy()

    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # diffusers' version checks are cached functions, which Dynamo remarks upon
        run(*example)
    return run, time.perf_counter() - started


def load_openvino(path: Path, precision: str, shape: tuple[int, int, int]) -> Engine:
    """The same file in OpenVINO, with `f32` or `bf16` as inference precision, for batches of TORCH_BATCH."""
    openvino = import_openvino()
    assert openvino is not None
    core = openvino.Core()
    model = core.read_model(str(path))
    # A variable batch size costs OpenVINO half of its speed, but does not slow ONNX Runtime.
    model.reshape({"noise": [TORCH_BATCH, *shape], "label": [TORCH_BATCH]})
    settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
    request = core.compile_model(model, "CPU", settings).create_infer_request()

    def run(noise: np.ndarray, label: np.ndarray) -> np.ndarray:
        request.infer({"noise": noise, "label": label})
        return np.array(request.get_output_tensor(0).data)

    return run


def import_openvino() -> ModuleType | None:
    """The module, which is not a dependency of Growset, or None."""
    try:
        return importlib.import_module("openvino")
    except ImportError:
        return None


def find_absent() -> dict[str, str]:
    """Engines that cannot run here, and why."""
    absent = {}
    if shutil.which("g++") is None:
        absent["torch.compile"] = "no g++ on this machine"
    if import_openvino() is None:
        absent["openvino"] = "the package openvino is not installed"
    return absent


def multiply_matrices(size: int = 512) -> Callable[[], object]:
    """ONNX Runtime's fp32 matrix product of `size`^3 multiply-adds, the yardstick of its convolutions."""
    a, b = (np.random.default_rng(seed).standard_normal((size, size)).astype(np.float32) for seed in (0, 1))
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["a", "b"], ["c"])],
        "product",
        [helper.make_tensor_value_info("a", TensorProto.FLOAT, [size, size])],
        [helper.make_tensor_value_info("c", TensorProto.FLOAT, [size, size])],
        [numpy_helper.from_array(b, "b")],
    )
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def multiply() -> None:
        for _ in range(20):
            session.run(None, {"a": a})

    return multiply


def count_flops(model: ConditionalUNet, shape: tuple[int, int, int]) -> int:
    """Floating-point operations of one network evaluation for one image, a multiply-add counted as two."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, *shape), torch.zeros(1), torch.zeros(1, dtype=torch.int64))
    return int(counter.get_total_flops())
