"""Floating-point operations of one image, counted from an ONNX graph's shapes: products only, no cheap operations.

A multiply-add of a convolution or matrix product counts as two, as torch's FlopCounterMode counts it; biases, norms,
activations and memory traffic count nothing. A graph with control flow cannot be counted.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TypeAlias

import onnx

Shape: TypeAlias = tuple[int, ...]


def count_flops(path: Path) -> int | None:
    """Operations for one image of a sampler or network file; None where a shape cannot be inferred."""
    model = onnx.load(str(path))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    del model.graph.value_info[:]
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes: dict[str, Shape] = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.value_info, *graph.input, *graph.output):
        shapes[value.name] = tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
    total = 0
    for node in graph.node:
        if any(attribute.type == onnx.AttributeProto.GRAPH for attribute in node.attribute):
            return None
        counted = _count(node, shapes)
        if counted is None:
            return None
        total += counted
    return total


def _count(node: onnx.NodeProto, shapes: dict[str, Shape]) -> int | None:
    """Operations of one node; 0 for a node that is not a product, None where its shapes are unknown."""
    if node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
        return 0
    names = (node.input[0], node.input[1], node.output[0])
    if any(0 in shapes.get(name, (0,)) for name in names):
        return None
    left, right, out = (shapes[name] for name in names)
    if node.op_type == "Conv":  # weights [out, in / groups, *kernel] at every place of the output
        return 2 * math.prod(out) * math.prod(right[1:])
    if node.op_type == "ConvTranspose":  # weights [in, out / groups, *kernel] at every place of the input
        return 2 * math.prod(left) * math.prod(right[1:])
    transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
    inner = left[0] if transposed else left[-1]
    return 2 * math.prod(out) * inner
