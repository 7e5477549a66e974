"""Utilisation of the machine by generation: achieved operations against two upper bounds.

One bound is a matrix product measured in the same process and minute, which reflects sharing, throttling and the
available instructions; the other is the maker's nominal peak of the device. A small network stays far below both
because it mostly moves bytes and starts kernels; a low figure is not a fault.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper

from benchmarks.parts.flops import count_flops
from ops.generators.onnx.engine import PROVIDERS, session_options

SIDE = 512  # of the matrices: they just fit a core's caches, and are far larger than those of a small network
REPEATS = 8
# fp32 without tensor cores, in GFLOP/s, by a part of the device's name: the first that fits.
NOMINAL = {
    "H200": 67_000, "H100 PCIe": 51_000, "H100": 67_000, "A100": 19_500, "V100": 15_700, "L40": 90_500, "L4": 30_300,
    "T4": 8_100, "RTX 4090": 82_600, "RTX 3090": 35_600,
}  # fmt: skip


@dataclass(frozen=True)
class Utilisation:
    """Billions of operations per second: achieved, of a measured matrix product, and nominal (None: not known)."""

    achieved: float
    matmul: float
    nominal: float | None = None

    @property
    def of_matmul(self) -> float:
        """Share of the measured product, 0 to about 1."""
        return self.achieved / self.matmul

    @property
    def of_nominal(self) -> float | None:
        """Share of the nominal peak."""
        return None if self.nominal is None else self.achieved / self.nominal

    def sentence(self) -> str:
        """`81 GFLOP/s, 65 % of a matrix product here` and, where it is known, the share of the nominal peak."""
        text = f"{self.achieved:.0f} GFLOP/s, {self.of_matmul:.0%} of a matrix product here"
        return text if self.of_nominal is None else f"{text}, {self.of_nominal:.0%} of the device's nominal peak"


def measure_matmul(*, provider: str = "CPUExecutionProvider", clock: Callable[[], float] = time.perf_counter) -> float:
    """GFLOP/s of ONNX Runtime's fp32 matrix product: the best of a few, since other processes only slow it down."""
    square = [SIDE, SIDE]
    names = [helper.make_tensor_value_info(name, TensorProto.FLOAT, square) for name in "abc"]
    graph = helper.make_graph([helper.make_node("MatMul", ["a", "b"], ["c"])], "product", names[:2], names[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    session = ort.InferenceSession(model.SerializeToString(), session_options(), providers=[provider])
    matrix = np.random.default_rng(0).standard_normal(square).astype(np.float32)
    seconds = []
    for _ in range(REPEATS):
        started = clock()
        session.run(["c"], {"a": matrix, "b": matrix})
        seconds.append(clock() - started)
    return 2 * SIDE**3 / max(min(seconds), 1e-9) / 1e9


def nominal_peak(device: str | None) -> float | None:
    """fp32 GFLOP/s that the maker states for a device of this name; None for a CPU or an unlisted device."""
    return next((float(peak) for name, peak in NOMINAL.items() if name in (device or "")), None)


def gpu_name(drivers: Path = Path("/proc/driver/nvidia/gpus")) -> str | None:
    """The first NVIDIA device's name from its driver, or None."""
    for path in sorted(drivers.glob("*/information")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("Model:"):
                return line.partition(":")[2].strip()
    return None


def measure_utilisation(sampler: Path, *, images: int, seconds: float, provider: str, processes: int) -> str | None:
    """A sentence on a finished generation; None if the sampler's operations cannot be counted."""
    flops = count_flops(sampler)
    if flops is None:
        return None
    processes = 1 if provider == "cuda" else processes
    matmul = measure_matmul(provider=PROVIDERS[provider])
    device = gpu_name() if provider == "cuda" else None
    return describe_utilisation(flops, images, seconds, processes=processes, matmul=matmul, device=device).sentence()


def describe_utilisation(
    flops: int, images: int, seconds: float, *, processes: int, matmul: float, device: str | None = None
) -> Utilisation:
    """Utilisation by `images` of `flops` operations each in `seconds`, with `processes` of `matmul` GFLOP/s each."""
    return Utilisation(flops * images / max(seconds, 1e-9) / 1e9, matmul * processes, nominal_peak(device))
