"""The environment that a result's bits may depend on besides its recipe: processor, instructions, library versions.

Every manifest records it. Cores, threads and load are not recorded, because no result depends on them
(`ops.machine.parallel`).
"""

from __future__ import annotations

import os
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = (
    "torch",
    "diffusers",
    "numpy",
    "polars",
    "pyarrow",
    "scipy",
    "onnx",
    "onnxruntime-gpu",
    "onnxruntime",
)
# Vector and matrix instructions that decide the choice of kernels, as Linux names them on x86 and ARM.
INSTRUCTIONS = (
    "sse4_2", "avx", "avx2", "fma", "avx_vnni", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16",
    "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8", "amx_fp16", "asimd", "asimddp", "bf16", "i8mm", "sve", "sve2",
)  # fmt: skip
# Variables that forbid some of them to torch, oneDNN, MKL, OpenBLAS, NumPy and Arrow.
LIMIT_VARIABLES = (
    "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR",
    "OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES", "ARROW_USER_SIMD_LEVEL",
)  # fmt: skip


def describe_environment() -> dict[str, object]:
    """This machine's environment. It decides which kernels libraries choose and what `precision: auto` means.

    cpu: the processor's model. instructions: those of INSTRUCTIONS that it has. limits: the variables that forbid
    some. python, libraries: versions.
    """
    return {
        "cpu": processor_name(),
        "instructions": list(processor_instructions()),
        "limits": {name: os.environ[name] for name in LIMIT_VARIABLES if name in os.environ},
        "python": platform.python_version(),
        "libraries": installed_versions(),
    }


@cache
def installed_versions() -> dict[str, str]:
    """Versions by distribution name, for the installed ones of LIBRARIES."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue  # onnxruntime and onnxruntime-gpu exclude each other
    return found


def processor_name() -> str:
    """The processor's model name, from the operating system."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def processor_instructions() -> tuple[str, ...]:
    """Those of INSTRUCTIONS that the processor has, in their order; empty if the system does not list them."""
    found = set((_cpuinfo("flags") or _cpuinfo("Features")).split())
    return tuple(name for name in INSTRUCTIONS if name in found)


@cache
def _cpuinfo(key: str) -> str:
    """The value of `key` for the first processor in Linux's /proc/cpuinfo; empty if there is none."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith(key):
                return line.split(":", 1)[1].strip()
    return ""
