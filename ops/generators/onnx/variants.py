"""Faster variants of an exported fp32 sampler, with the same inputs and output: int8 for CPUs, fp16 for GPUs.

This module does not judge the quality of a variant; `gate` does. There is no bf16 variant, because ONNX Runtime's CPU
provider has no bf16 arithmetic (onnxruntime#28768) and does not load such a graph.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.calibrate import CalibraterBase
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from ops.errors import UserError
from ops.files.storage import write_bytes
from ops.generators.feeds import SeedImages, cut_feeds, make_feeds, spread_draws
from ops.generators.onnx.engine import INPUTS, session_options
from ops.generators.onnx.simplify import simplify

# Spread evenly over the classes; 32 to 256 give the same error. The activation ranges are those of the sampler's own
# trajectories.
CALIBRATION_DRAWS = 64
# diffusers' names of the convolutions that stay fp32: the first and the last, which touch the image itself, and the
# shortcuts around the blocks. Together they are 5 % of the arithmetic, and would be 40 % of the error if quantised.
SENSITIVE = ("conv_in.", "conv_out.", "conv_shortcut.")
# Operators of the solver's steps and of scaling and rounding to grey levels.
ELEMENTWISE = frozenset({"Add", "Mul", "Clip", "Round", "Cast", "Transpose"})
# Reshape is included so that a GroupNorm stays one block of fp32 instead of three.
NORMS = ("InstanceNormalization", "BatchNormalization", "LayerNormalization", "Reshape")


def quantise_sampler(source: Path, target: Path, *, seeds: SeedImages | None = None) -> None:
    """Write the int8 variant of the fp32 sampler at `source`.

    Static QDQ with unsigned 8-bit activations and signed 8-bit weights per channel, the only pair that x86 multiplies
    fast (signed activations are six times slower than fp32). Each evaluation has its own activation ranges; the weights
    are quantised once. Equal input files give equal output files.

    Parameters
    ----------
    seeds : the seed images of a sampler that takes them.

    Raises
    ------
    UserError : if `source` is not an fp32 sampler or has no convolution to quantise.
    """
    model = _load_sampler(source)
    weights = {node.name: node.input[1] for node in model.graph.node if node.op_type == "Conv"}
    chosen = [name for name, weight in weights.items() if not any(part in weight for part in SENSITIVE)]
    if not chosen:
        raise UserError(f"{source} has no convolution that could be quantised")
    with tempfile.TemporaryDirectory() as folder, _quiet(), _calibrate_on_one_thread():
        plain, quantised = Path(folder) / "plain.onnx", Path(folder) / "quantised.onnx"
        onnx.save(model, str(plain))
        quantize_static(
            plain,
            quantised,
            Trajectories(model, images=CALIBRATION_DRAWS, seed=0, seeds=seeds),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_quantize=chosen,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        result = onnx.load(quantised)
    _write_variant(result, model, "int8", target)


def halve_sampler(source: Path, target: Path) -> None:
    """Write the fp16 variant of the fp32 sampler at `source`.

    Weights and convolutions are fp16. The noise, the solver's state, the norms, nodes that depend on the label alone
    and the rounding to grey levels stay fp32. It is meant for GPUs; a CPU draws the same images with it, slowly.

    Raises
    ------
    UserError : if `source` is not an fp32 sampler.
    """
    model = _load_sampler(source)
    converted = onnx.ModelProto()
    converted.CopyFrom(model)  # the converter works in place
    with _quiet():
        converted = convert_float_to_float16(
            converted,
            keep_io_types=True,
            op_block_list=[*DEFAULT_OP_BLOCK_LIST, *NORMS],
            node_block_list=sorted(_find_solver(model.graph) | _find_label_branch(model.graph)),
        )
    _drop_detours(converted.graph)
    _write_variant(converted, model, "fp16", target)


class Trajectories(CalibrationDataReader):
    """Feeds of a sampler for calibration, in batches of 32."""

    def __init__(self, model: onnx.ModelProto, *, images: int, seed: int, seeds: SeedImages | None = None) -> None:
        metadata = read_metadata(model)
        shape, classes = tuple(json.loads(metadata["shape"])), len(json.loads(metadata["labels"]))
        label = np.arange(images) * classes // images
        # Shuffled, so that every batch has all classes.
        order = np.random.default_rng(seed).permutation(images)
        inputs = [value.name for value in model.graph.input]
        feeds = make_feeds(inputs, shape, spread_draws("calibration", label[order], seeds), seed=seed, seeds=seeds)
        self._batches: Iterator[dict[str, np.ndarray]] = iter(
            cut_feeds(feeds, slice(i, i + 32)) for i in range(0, images, 32)
        )

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next batch, None at the end."""
        return next(self._batches, None)


def read_metadata(model: onnx.ModelProto) -> dict[str, str]:
    """A model's metadata as a dictionary."""
    return {entry.key: entry.value for entry in model.metadata_props}


def _load_sampler(path: Path) -> onnx.ModelProto:
    """A simplified fp32 sampler in which every node has a name."""
    model = onnx.load(path)
    precision = read_metadata(model).get("precision", "fp32")
    if precision != "fp32":
        raise UserError(f"{path} is already {precision}; variants are made from the fp32 sampler")
    inputs, metadata = {value.name for value in model.graph.input}, read_metadata(model)
    if not inputs <= set(INPUTS) or not {"labels", "shape"} <= set(metadata):
        raise UserError(
            f"{path} is not a sampler: it must take some of {', '.join(INPUTS)} and have 'labels' and 'shape' in its"
            " metadata"
        )
    model = simplify(model)
    for node in model.graph.node:
        node.name = node.name or node.output[0]
    return model


def _find_solver(graph: onnx.GraphProto) -> set[str]:
    """Names of the nodes of the solver and of the grey levels: those with only elementwise nodes up to the output."""
    makers = {output: node for node in graph.node for output in node.output}
    found: set[str] = set()
    todo = [output.name for output in graph.output]
    while todo:
        node = makers.get(todo.pop())
        if node is not None and node.op_type in ELEMENTWISE and node.name not in found:
            found.add(node.name)
            todo.extend(node.input)
    return found


def _find_label_branch(graph: onnx.GraphProto) -> set[str]:
    """Names of the nodes that depend on neither noise nor seed image, such as a time embedding that was too large for
    a table."""
    reached = {"noise", "image"}
    found = set()
    for node in graph.node:
        if reached.intersection(node.input):
            reached.update(node.output)
        elif node.op_type != "Gather":  # a look-up is as accurate in fp16, and its table is half as large
            found.add(node.name)
    return found


def _drop_detours(graph: onnx.GraphProto) -> None:
    """Let fp32 nodes read fp32 tensors, such as the noise, directly. The converter casts them to fp16 and back.

    It also repeats a cast for a node with two such inputs, and appends casts after the nodes that need them; this
    removes the repeats and sorts the nodes.
    """
    casts = {node.output[0]: node for node in graph.node if node.op_type == "Cast"}
    width = {name: node.attribute[0].i for name, node in casts.items()}
    direct = {
        name: casts[node.input[0]].input[0]
        for name, node in casts.items()
        if width[name] == TensorProto.FLOAT and width.get(node.input[0]) == TensorProto.FLOAT16
    }
    kept: dict[str, onnx.NodeProto] = {}
    for node in graph.node:
        if node.output[0] not in direct:
            copy = onnx.NodeProto.FromString(node.SerializeToString())
            for position, name in enumerate(copy.input):
                copy.input[position] = direct.get(name, name)
            kept.setdefault(copy.output[0], copy)
    read = {name for node in kept.values() for name in node.input} | {output.name for output in graph.output}
    del graph.node[:]
    graph.node.extend(node for node in kept.values() if node.op_type != "Cast" or node.output[0] in read)
    OnnxModel.graph_topological_sort(graph, is_deterministic=True)


def _write_variant(model: onnx.ModelProto, source: onnx.ModelProto, precision: str, target: Path) -> None:
    """Write the model with the source's signature and metadata, without the tools' annotations."""
    del model.metadata_props[:], model.graph.value_info[:]
    for part in (model.graph, *model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output):
        del part.metadata_props[:]
    model.producer_name, model.producer_version, model.doc_string = source.producer_name, "", ""
    model.ir_version = source.ir_version
    del model.opset_import[:]
    model.opset_import.extend(source.opset_import)
    model.graph.name = source.graph.name
    onnx.helper.set_model_props(model, {**read_metadata(source), "precision": precision})
    onnx.checker.check_model(model)
    write_bytes(target, model.SerializeToString(deterministic=True))


@contextmanager
def _calibrate_on_one_thread() -> Iterator[None]:
    """Make calibration single-threaded: by default it opens a session with one thread per core, without an option."""

    def open_session(calibrator: CalibraterBase) -> None:
        options = session_options()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        calibrator.infer_session = ort.InferenceSession(
            calibrator.augmented_model_path, options, providers=calibrator.execution_providers
        )

    before, CalibraterBase.create_inference_session = CalibraterBase.create_inference_session, open_session
    try:
        yield
    finally:
        CalibraterBase.create_inference_session = before


class _quiet:
    """Silence the root logger's advice on preprocessing, which `simplify` has done."""

    def __enter__(self) -> None:
        self._level = logging.getLogger().level
        logging.getLogger().setLevel(logging.ERROR)

    def __exit__(self, *exception: object) -> None:
        logging.getLogger().setLevel(self._level)
