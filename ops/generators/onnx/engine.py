"""Run an exported sampler with ONNX Runtime alone: no torch, no diffusers.

A sampler's inputs are read from its graph: some of noise, label and a seed image.

ONNX Runtime is known to fall back to the CPU silently on a GPU machine, so the requested provider is asserted. Batches
are padded to one fixed size, so that a kernel never sees another shape and an image does not depend on its neighbours.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from ops.errors import DamagedData, EnvironmentFault, UserError
from ops.files.storage import parse_json
from ops.generators.drawers import SamplerInfo, draw_in_parts
from ops.generators.feeds import IMAGE, LABEL, NOISE, Feeds, count_rows

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
# Type and rank of each input that a graph may declare: float32 [n, C, H, W], int64 [n], uint8 [n, H, W, C].
INPUTS = {NOISE: ("tensor(float)", 4), LABEL: ("tensor(int64)", 1), IMAGE: ("tensor(uint8)", 4)}
VARIANT = "variant"
OUTPUTS = (IMAGE, VARIANT)  # uint8 [n, H, W, C]; `variant` where `image` is the name of an input


@dataclass(frozen=True)
class OnnxFile:
    """An exported sampler as a `DrawerSpec`."""

    path: Path
    uses_torch: ClassVar[bool] = False

    def read_info(self) -> SamplerInfo:
        """The sampler's metadata; UserError for a graph without them, DamagedData for a file that is not a graph."""
        options = session_options()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            session = _open_session(self.path, options, "cpu", capture=False)
        except (ort_errors.InvalidProtobuf, ort_errors.InvalidGraph, ort_errors.NoSuchFile) as error:
            raise DamagedData(f"{self.path} cannot be loaded: {error}") from None
        return read_info(self.path, session)

    def choose_provider(self, wanted: str, *, allow_fallback: bool) -> str:
        return choose_provider(wanted, allow_fallback=allow_fallback)

    def open(self, provider: str, batch_size: int) -> Sampler:
        return Sampler(self.path, provider=provider, batch_size=batch_size)


def choose_provider(wanted: str, *, allow_fallback: bool = False) -> str:
    """Resolve `auto`, `cpu` or `cuda` to the provider that will run.

    `auto` means CUDA where this machine has a GPU driver. Raises EnvironmentFault if CUDA is chosen, by name or by
    `auto`, and the driver or ONNX Runtime's CUDA provider is missing, unless `allow_fallback`.
    """
    has_provider = PROVIDERS["cuda"] in ort.get_available_providers()
    if wanted == "auto":
        wanted = "cuda" if has_gpu() else "cpu"
    if wanted == "cuda" and not (has_provider and has_gpu()):
        if allow_fallback:
            return "cpu"
        reason = "ONNX Runtime has no CUDA provider" if has_gpu() else "this machine has no NVIDIA GPU driver"
        raise EnvironmentFault(f"provider 'cuda' cannot be used: {reason}; use --provider cpu or --allow-cpu-fallback")
    return wanted


def has_gpu() -> bool:
    """Whether an NVIDIA driver is loaded."""
    return Path("/proc/driver/nvidia/version").exists() if sys.platform == "linux" else False


class Sampler:
    """A loaded sampler, a `Drawer`, with buffers for one batch that every call reuses.

    On CUDA the buffers lie on the device, the batch size is fixed in the graph, and the kernels are recorded once and
    replayed as one CUDA graph. Where that is not possible (`is_captured` is False), they are launched one by one.

    A session computes in the calling thread and starts no others. Several threads may share a session if each has its
    own sampler (`with_batch_size`).

    Parameters
    ----------
    path : the `sampler_k.onnx`.
    provider : "cpu" or "cuda", asserted.
    batch_size : rows per call; the last batch is padded to it.
    """

    def __init__(self, path: Path, *, provider: str = "cpu", batch_size: int = 64) -> None:
        self.provider, self.batch_size, self.is_captured = provider, batch_size, provider == "cuda"
        fixed = batch_size if provider == "cuda" else None
        try:
            self.session = load_session(path, provider, batch_size=fixed, capture=self.is_captured)
        except ort_errors.Fail:  # a node that has no CUDA kernel cannot be part of a CUDA graph
            if not self.is_captured:
                raise
            self.is_captured = False
            self.session = load_session(path, provider, batch_size=fixed)
        self.info = read_info(path, self.session)
        self._bind()

    def with_batch_size(self, batch_size: int) -> Sampler:
        """The same session with buffers of another size; ValueError on CUDA, where the size is part of the session."""
        if self.provider != "cpu":
            raise ValueError("the batch size of a CUDA session is fixed when it is opened")
        other = copy.copy(self)
        other.batch_size = batch_size
        other._bind()
        return other

    def draw(self, feeds: Feeds) -> np.ndarray:
        """Images uint8 [n, H, W, C] from n rows of each input that the sampler has.

        ValueError for other inputs, UserError for a label without a class.
        """
        return draw_in_parts(self.info, feeds, self.batch_size, self._run)

    def _bind(self) -> None:
        """Allocate and bind the batch: host arrays, and their counterparts on the session's device."""
        channels, height, width = self.info.shape
        empty: dict[str, np.ndarray] = {
            NOISE: np.zeros((self.batch_size, channels, height, width), np.float32),
            LABEL: np.zeros(self.batch_size, np.int64),
            IMAGE: np.zeros((self.batch_size, height, width, channels), np.uint8),
        }
        self._buffers = {name: empty[name] for name in self.info.inputs}
        self._inputs = {name: _place(array, self.provider) for name, array in self._buffers.items()}
        self._output = _place(np.empty((self.batch_size, height, width, channels), np.uint8), self.provider)
        self._binding = self.session.io_binding()
        for name, value in self._inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        self._binding.bind_ortvalue_output(self.session.get_outputs()[0].name, self._output)

    def _run(self, feeds: Feeds) -> np.ndarray:
        """Up to one batch; the next call overwrites the result."""
        count = count_rows(feeds)
        for name, buffer in self._buffers.items():
            buffer[:count], buffer[count:] = feeds[name], 0
            if self.provider != "cpu":  # on the CPU the session reads the arrays directly
                self._inputs[name].update_inplace(buffer)
        self.session.run_with_iobinding(self._binding)
        images: np.ndarray = self._output.numpy()
        return images[:count]


def load_session(
    path: Path, provider: str, *, batch_size: int | None = None, capture: bool = False
) -> ort.InferenceSession:
    """A session on exactly this provider; `batch_size`, if any, is fixed in it, and `capture` asks for a CUDA graph.

    DamagedData for a file that is not a graph, EnvironmentFault if ONNX Runtime chose another provider.
    """
    try:
        session = _open_session(path, session_options(batch_size), provider, capture=capture)
    except (ort_errors.InvalidProtobuf, ort_errors.InvalidGraph, ort_errors.NoSuchFile) as error:
        raise DamagedData(f"{path} cannot be loaded: {error}") from None
    used = session.get_providers()[0]
    if used != PROVIDERS[provider]:
        raise EnvironmentFault(f"{path} was to run on {PROVIDERS[provider]} but runs on {used}")
    return session


def session_options(batch_size: int | None = None) -> ort.SessionOptions:
    """Options of a session without threads of its own; `batch_size`, if any, replaces the free dimension n."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    for pool in ("intra_op", "inter_op"):
        options.add_session_config_entry(f"session.{pool}.allow_spinning", "0")
    options.log_severity_level = 3
    if batch_size is not None:  # shapes become constants, so that no node computes them on the CPU
        options.add_free_dimension_override_by_name("n", batch_size)
    return options


def provider_options(provider: str, *, capture: bool = False) -> dict[str, str]:
    """ONNX Runtime's options of a provider; `capture` asks for a CUDA graph."""
    if provider == "cpu":
        return {}
    return {
        "enable_cuda_graph": str(int(capture)),
        "prefer_nhwc": "1",
        # EXHAUSTIVE picks the kernel that won a timed trial. Another run may pick another one, and pixels could differ.
        "cudnn_conv_algo_search": "HEURISTIC",
        "use_tf32": "0",  # with ten bits of mantissa, pixels differ from the CPU's by more than a grey level
    }


def read_info(path: Path, session: ort.InferenceSession) -> SamplerInfo:
    """The sampler's metadata; UserError, with the allowed signature, for a graph that is not a Growset sampler."""
    nodes = {node.name: node for node in session.get_inputs()}
    inputs, outputs = (
        {node.name: (node.type, len(node.shape)) for node in side}
        for side in (session.get_inputs(), session.get_outputs())
    )
    if fault := find_fault(inputs, outputs):
        raise UserError(f"{path} is not a Growset sampler: {fault}")
    metadata = session.get_modelmeta().custom_metadata_map
    if missing := [key for key in ("labels", "shape") if key not in metadata]:
        raise UserError(f"{path} is not a Growset sampler: its metadata lack '{missing[0]}'")
    try:
        channels, height, width = map(int, parse_json(metadata["shape"]))
        class_names = tuple(map(str, parse_json(metadata["labels"])))
        numbers = {key: int(metadata[key]) if key in metadata else None for key in ("steps", "evaluations")}
    except (TypeError, ValueError) as error:
        raise UserError(f"{path} is not a Growset sampler: its metadata cannot be read ({error})") from None
    expected = {NOISE: [channels, height, width], IMAGE: [height, width, channels]}
    for name, shape in expected.items():
        declared = nodes[name].shape[1:] if name in nodes else shape
        if any(isinstance(size, int) and size != other for size, other in zip(declared, shape, strict=True)):
            raise UserError(f"{path} contradicts itself: {name} is {declared}, but its metadata have {shape}")
    return SamplerInfo(
        class_names=class_names,
        shape=(channels, height, width),
        solver=metadata.get("solver"),
        precision=metadata.get("precision", "fp32"),
        inputs=tuple(name for name in INPUTS if name in inputs),
        steps=numbers["steps"],
        evaluations=numbers["evaluations"],
    )


Signature = Mapping[str, tuple[str, int]]
"""ONNX Runtime's type and the rank of tensors, by name."""


def find_fault(inputs: Signature, outputs: Signature) -> str | None:
    """The fault in a graph's inputs or outputs, with the allowed signature; None for a sampler."""
    expected = {OUTPUTS[IMAGE in inputs]: ("tensor(uint8)", 4)}
    known = all(INPUTS.get(name) == kind for name, kind in inputs.items())
    if known and {NOISE, IMAGE} & set(inputs) and outputs == expected:
        return None
    return (
        f"it takes {_describe(inputs) or 'nothing'} and gives {_describe(outputs) or 'nothing'}; allowed: some of"
        f" {_describe(INPUTS)}, noise or image among them, to {_describe(expected)}"
    )


def _open_session(path: Path, options: ort.SessionOptions, provider: str, *, capture: bool) -> ort.InferenceSession:
    return ort.InferenceSession(
        path, options, providers=[(PROVIDERS[provider], provider_options(provider, capture=capture))]
    )


def _place(array: np.ndarray, provider: str) -> ort.OrtValue:
    """The array itself on the CPU; on CUDA, device memory of its size."""
    if provider == "cpu":
        return ort.OrtValue.ortvalue_from_numpy(array)
    return ort.OrtValue.ortvalue_from_shape_and_type(array.shape, array.dtype.type, provider, 0)


def _describe(signature: Signature) -> str:
    return ", ".join(f"{name} {kind[7:-1]} [{rank}-d]" for name, (kind, rank) in sorted(signature.items()))
