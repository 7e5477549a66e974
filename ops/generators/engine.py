"""Run an exported sampler with ONNX Runtime and nothing else: no torch, no diffusers.

A session that silently falls back to the CPU on a GPU machine is a standing complaint about ONNX
Runtime; here the provider that was asked for is asserted. Batches are padded to one fixed size, so that
a kernel never sees another shape and an image does not depend on its neighbours.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidGraph, InvalidProtobuf, NoSuchFile

from ops.errors import DamagedData, EnvironmentFault, UserError

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


@dataclass(frozen=True)
class SamplerInfo:
    """What a sampler's metadata says: class names, image shape (C, H, W), solver, steps, evaluations."""

    class_names: tuple[str, ...]
    shape: tuple[int, int, int]
    solver: str
    steps: int
    evaluations: int


def choose_provider(wanted: str, *, allow_fallback: bool = False) -> str:
    """`auto`, `cpu` or `cuda` to what will run.

    `auto` takes CUDA where this machine has a GPU driver. Raises EnvironmentFault when CUDA is wanted, or
    the machine has a GPU, and ONNX Runtime has no CUDA provider, unless `allow_fallback`.
    """
    has_provider = PROVIDERS["cuda"] in ort.get_available_providers()
    if wanted == "auto":
        wanted = "cuda" if has_gpu() else "cpu"
    if wanted == "cuda" and not (has_provider and has_gpu()):
        if allow_fallback:
            return "cpu"
        lack = "ONNX Runtime has no CUDA provider" if has_gpu() else "this machine has no NVIDIA GPU driver"
        raise EnvironmentFault(f"provider 'cuda' cannot be used: {lack}; use --provider cpu or --allow-cpu-fallback")
    return wanted


def has_gpu() -> bool:
    """Whether an NVIDIA driver is loaded."""
    return Path("/proc/driver/nvidia/version").exists() if sys.platform == "linux" else False


class Sampler:
    """An exported sampler, loaded.

    Parameters
    ----------
    path : the `sampler_k.onnx`.
    provider : "cpu" or "cuda", asserted.
    threads : CPU threads of the session.
    batch_size : rows per call; the last batch is padded to it.
    """

    def __init__(self, path: Path, *, provider: str = "cpu", threads: int = 1, batch_size: int = 64) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self.session = ort.InferenceSession(path, options, providers=[PROVIDERS[provider]])
        except (InvalidProtobuf, InvalidGraph, NoSuchFile) as error:
            raise DamagedData(f"{path} cannot be loaded: {error}") from None
        used = self.session.get_providers()[0]
        if used != PROVIDERS[provider]:
            raise EnvironmentFault(f"{path} was to run on {PROVIDERS[provider]} but runs on {used}")
        self.provider, self.batch_size = provider, batch_size
        self.info = _read_info(path, self.session)

    def __call__(self, noise: np.ndarray, label: np.ndarray) -> np.ndarray:
        """Noise float32 [n, C, H, W] and labels int64 [n] to images uint8 [n, H, W, C]."""
        classes = len(self.info.class_names)
        if len(label) and (label.min() < 0 or label.max() >= classes):
            raise UserError(f"labels must lie in 0..{classes - 1}; got {label.min()}..{label.max()}")
        images = [
            self._run(noise[i : i + self.batch_size], label[i : i + self.batch_size])
            for i in range(0, len(label), self.batch_size)
        ]
        channels, height, width = self.info.shape
        return np.concatenate(images) if images else np.empty((0, height, width, channels), np.uint8)

    def _run(self, noise: np.ndarray, label: np.ndarray) -> np.ndarray:
        missing = self.batch_size - len(label)
        if missing:
            noise = np.concatenate([noise, np.zeros((missing, *noise.shape[1:]), noise.dtype)])
            label = np.concatenate([label, np.zeros(missing, label.dtype)])
        (images,) = self.session.run(["image"], {"noise": noise, "label": label})
        return np.asarray(images)[: len(images) - missing]


def _read_info(path: Path, session: ort.InferenceSession) -> SamplerInfo:
    inputs: Sequence[str] = [node.name for node in session.get_inputs()]
    metadata = session.get_modelmeta().custom_metadata_map
    if sorted(inputs) != ["label", "noise"] or "labels" not in metadata:
        raise UserError(f"{path} is not a Growset sampler: it needs inputs 'noise' and 'label' and its metadata")
    channels, height, width = json.loads(metadata["shape"])
    return SamplerInfo(
        class_names=tuple(json.loads(metadata["labels"])),
        shape=(channels, height, width),
        solver=metadata["solver"],
        steps=int(metadata["steps"]),
        evaluations=int(metadata["evaluations"]),
    )
