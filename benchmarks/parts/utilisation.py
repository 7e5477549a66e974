"""Utilisation of the machine by generation: achieved operations against an upper bound.

The bound is a matrix product measured in the same process and minute, which reflects sharing, throttling and the
available instructions. A small network stays far below it because it mostly moves bytes; a low figure is not a fault.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper

from ops.generators.onnx.engine import session_options

SIDE = 512  # of the matrices: they just fit a core's caches, and are far larger than those of a small network
REPEATS = 8


@dataclass(frozen=True)
class Utilisation:
    """Billions of operations per second: achieved, and of a measured matrix product."""

    achieved: float
    matmul: float

    @property
    def of_matmul(self) -> float:
        """Share of the measured product, 0 to about 1."""
        return self.achieved / self.matmul


def measure_matmul(clock: Callable[[], float] = time.perf_counter) -> float:
    """GFLOP/s of ONNX Runtime's fp32 matrix product: the best of a few, since other processes only slow it down."""
    square = [SIDE, SIDE]
    names = [helper.make_tensor_value_info(name, TensorProto.FLOAT, square) for name in "abc"]
    graph = helper.make_graph([helper.make_node("MatMul", ["a", "b"], ["c"])], "product", names[:2], names[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    session = ort.InferenceSession(model.SerializeToString(), session_options(), providers=["CPUExecutionProvider"])
    matrix = np.random.default_rng(0).standard_normal(square).astype(np.float32)
    seconds = []
    for _ in range(REPEATS):
        started = clock()
        session.run(["c"], {"a": matrix, "b": matrix})
        seconds.append(clock() - started)
    return 2 * SIDE**3 / max(min(seconds), 1e-9) / 1e9


def describe_utilisation(flops: int, images: int, seconds: float, *, processes: int, matmul: float) -> Utilisation:
    """Utilisation by `images` of `flops` operations each in `seconds`, with `processes` of `matmul` GFLOP/s each."""
    return Utilisation(flops * images / max(seconds, 1e-9) / 1e9, matmul * processes)
