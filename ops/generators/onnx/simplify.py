"""Make a sampler's graph cheaper to run at equal arithmetic; the exporter calls it before it writes.

ONNX Runtime folds constants, but it cannot know that the time of an evaluation is one, nor that a normal's
weight and bias could be applied in one pass. Both are known here: what depends on the label alone becomes a
table with one row per class, and GroupNorm's multiply and add become one operator. Nothing is approximated
and nothing is known about any network: what does not match stays as it is.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

from ops.generators.onnx.engine import session_options

# cuDNN refuses a BatchNormalization below 1e-5. 2^-16 and 1 - 2^-16 are exact and their sum is one, so that
# the operator only multiplies and adds.
EPSILON = 2.0**-16


def simplify(model: onnx.ModelProto) -> onnx.ModelProto:
    """A sampler that draws the same images faster; the argument is left alone.

    On one core 10 % more images per second (benchmarks/results/generation.json), at equal grey levels but for
    rounding ties. Simplifying twice changes nothing more.
    """
    return merge_affine(fold_labels(model))


def fold_labels(model: onnx.ModelProto) -> onnx.ModelProto:
    """Replace what depends on the label alone by a look-up in a table of one row per class.

    In an unrolled sampler the time is constant, so this swallows the time embedding, the class embedding and
    their projections in every residual block. Left undone if the tables would outweigh the weights, which
    takes hundreds of classes, and for a graph that has no input `label` or does not say how many labels there are.
    """
    model = _copy(model)
    graph = model.graph
    inputs, classes = {value.name for value in graph.input}, _count_classes(model)
    if "label" not in inputs or not classes:
        return model
    depends: dict[str, set[str]] = defaultdict(set, {name: {name} for name in inputs})
    for node in graph.node:
        for output in node.output:
            depends[output] = set().union(*(depends[name] for name in node.input))
    ends = {
        name: None  # a dict keeps the graph's order
        for node in graph.node
        if depends[node.output[0]] - {"label"}
        for name in node.input
        if depends[name] == {"label"}
    }
    gathered = {node.output[0] for node in graph.node if node.op_type == "Gather" and node.input[1] == "label"}
    rows = _evaluate_rows(model, [name for name in ends if name not in gathered], classes)
    weights = sum(len(tensor.raw_data) for tensor in graph.initializer)
    if not rows or sum(table.nbytes for table in rows.values()) > weights:
        return model

    lookups = []
    for name, table in rows.items():
        graph.initializer.append(numpy_helper.from_array(table, f"{name}/table"))
        lookups.append(helper.make_node("Gather", [f"{name}/table", "label"], [name], name=f"{name}/lookup"))
    _replace_nodes(graph, [*lookups, *(node for node in graph.node if node.output[0] not in rows)])
    return model


def merge_affine(model: onnx.ModelProto) -> onnx.ModelProto:
    """Apply GroupNorm's weight and bias in one pass over the image instead of two.

    The exporter writes GroupNorm as Reshape, InstanceNormalization, Reshape, Mul, Add. The last two become one
    BatchNormalization whose statistics are zero and one, and the second Reshape gets a constant shape.
    LayerNormalization could do all five in one, but its CPU kernel takes six times InstanceNormalization's time.
    """
    model = _copy(model)
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    users: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            users[name].append(node)
    shapes = _infer_shapes(model)
    added: dict[str, np.ndarray] = {}

    def use(name: str, value: np.ndarray) -> str:
        added[name] = value
        return name

    replaced: dict[str, list[onnx.NodeProto]] = {}  # by the output of the node that the list takes the place of
    for norm in graph.node:
        if norm.op_type != "InstanceNormalization":
            continue
        chain = _follow(norm, users, ["Reshape", "Mul", "Add"])
        before = makers.get(norm.input[0])
        if chain is None or before is None or before.op_type != "Reshape":
            continue
        reshape, multiply, add = chain
        shape = shapes.get(before.input[0], ())
        weight, bias = _constant_input(multiply, constants), _constant_input(add, constants)
        if len(shape) != 4 or not all(shape[1:]) or weight is None or bias is None:
            continue
        channels = shape[1]
        if any(int(np.prod(tensor.dims)) != channels or len(tensor.dims) < 3 for tensor in (weight, bias)):
            continue
        back = use(f"shape/{'x'.join(map(str, shape[1:]))}", np.array([0, *shape[1:]], np.int64))
        flat = [use(f"{t.name}/flat", numpy_helper.to_array(t).reshape(channels)) for t in (weight, bias)]
        zero = use(f"mean/{channels}", np.zeros(channels, np.float32))
        one = use(f"variance/{channels}", np.full(channels, 1 - EPSILON, np.float32))
        replaced[reshape.output[0]] = [
            helper.make_node("Reshape", [norm.output[0], back], [reshape.output[0]], name=reshape.name)
        ]
        replaced[multiply.output[0]] = []
        replaced[add.output[0]] = [
            helper.make_node(
                "BatchNormalization",
                [reshape.output[0], *flat, zero, one],
                [add.output[0]],
                name=f"{add.name}/affine",
                epsilon=EPSILON,
            )
        ]
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in added.items())
    _replace_nodes(graph, [new for node in graph.node for new in replaced.get(node.output[0], [node])])
    return model


def _count_classes(model: onnx.ModelProto) -> int:
    """How many labels the metadata name; 0 where they name none."""
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    return len(json.loads(metadata.get("labels", "[]")))


def _evaluate_rows(model: onnx.ModelProto, names: list[str], classes: int) -> dict[str, np.ndarray]:
    """Those of the named float tensors whose row i is a function of label i alone, with their rows for all classes."""
    if not names:
        return {}
    part = _copy(model)
    graph = part.graph
    del graph.output[:], graph.value_info[:]
    graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    _replace_nodes(graph, graph.node)
    label = next(value for value in model.graph.input if value.name == "label")
    del graph.input[:]
    graph.input.append(label)
    session = ort.InferenceSession(part.SerializeToString(), session_options(), providers=["CPUExecutionProvider"])
    # One row more than classes, once forwards and once backwards: a tensor that happens to have a row per class,
    # or whose rows depend on one another, gives itself away.
    forwards = np.append(np.arange(classes), 0)
    one, other = (session.run(names, {"label": order}) for order in (forwards, forwards[::-1].copy()))
    return {
        name: a[:classes].copy()
        for name, a, b in zip(names, one, other, strict=True)
        if a.dtype == np.float32
        and a.ndim
        and len(a) == classes + 1
        and np.allclose(a, b[::-1], rtol=1e-5, atol=1e-6)
        and np.allclose(a[-1], a[0], rtol=1e-5, atol=1e-6)
    }


def _infer_shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Sizes by tensor; zero where a size is not known."""
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    return {
        value.name: tuple(dimension.dim_value for dimension in value.type.tensor_type.shape.dim)
        for value in [*inferred.graph.value_info, *inferred.graph.input]
    }


def _follow(
    node: onnx.NodeProto, users: dict[str, list[onnx.NodeProto]], operators: list[str]
) -> list[onnx.NodeProto] | None:
    """The nodes after `node` if they are these operators and each is the only reader of the one before."""
    chain = []
    for operator in operators:
        readers = users[node.output[0]]
        if len(readers) != 1 or readers[0].op_type != operator:
            return None
        node = readers[0]
        chain.append(node)
    return chain


def _constant_input(node: onnx.NodeProto, constants: dict[str, onnx.TensorProto]) -> onnx.TensorProto | None:
    found = [constants[name] for name in node.input if name in constants]
    return found[0] if len(found) == 1 else None


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def _replace_nodes(graph: onnx.GraphProto, nodes: Iterable[onnx.NodeProto]) -> None:
    """Set the graph's nodes, then drop those, and the constants, that no output needs any more."""
    kept: list[onnx.NodeProto] = []
    needed = {output.name for output in graph.output}
    for node in reversed(list(nodes)):  # in topological order, so every reader comes before its maker here
        if needed.intersection(node.output):
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            kept.append(copy)
            needed.update(node.input)
    tensors = [onnx.TensorProto.FromString(t.SerializeToString()) for t in graph.initializer if t.name in needed]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(kept))
    graph.initializer.extend(tensors)
