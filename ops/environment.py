"""What a result may depend on besides its recipe: processor and library versions, recorded in every manifest."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = ("torch", "diffusers", "kornia", "numpy", "polars", "pyarrow", "onnx", "onnxruntime-gpu", "onnxruntime")


@cache
def describe_environment() -> dict[str, object]:
    """Processor model and the versions of the libraries that results depend on."""
    return {"cpu": processor_name(), "python": platform.python_version(), "libraries": installed_versions()}


def installed_versions() -> dict[str, str]:
    """Version by distribution name, for those of LIBRARIES that are installed."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue  # onnxruntime and onnxruntime-gpu exclude each other
    return found


def processor_name() -> str:
    """The processor's model name as the operating system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
