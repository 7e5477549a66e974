"""Write ONNX graphs: nodes with unique names, copies of a network that share its weights, arithmetic on symbols.

A `Symbol` represents a tensor of the graph. Given tensors, a solver's code draws images; given symbols, the same code
writes the nodes of the same arithmetic.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper


class GraphBuilder:
    """Collects the nodes and constants of one ONNX graph, each with a unique name."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._count = 0

    def name(self, hint: str) -> str:
        self._count += 1
        return f"{hint}_{self._count}"

    def constant(self, value: float) -> str:
        name = self.name("constant")
        self.initializers.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name

    def integers(self, values: Sequence[int]) -> str:
        name = self.name("integers")
        self.initializers.append(numpy_helper.from_array(np.asarray(values, np.int64), name))
        return name

    def add(self, operator: str, inputs: Sequence[str], output: str | None = None, **attributes: object) -> str:
        output = output or self.name(operator.lower())
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def inline(self, graph: onnx.GraphProto, inputs: dict[str, str], suffix: str) -> dict[str, str]:
        """Append a copy of `graph`'s nodes; its initializers keep their names and are shared by all copies."""
        shared = {tensor.name for tensor in graph.initializer}
        renamed = dict(inputs)

        def rename(name: str) -> str:
            if not name or name in shared:
                return name
            return renamed.setdefault(name, f"{name}{suffix}")

        for node in graph.node:
            if any(attribute.type == onnx.AttributeProto.GRAPH for attribute in node.attribute):
                raise ValueError(f"cannot unroll a network with control flow ({node.op_type})")
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.name = f"{node.name or node.output[0]}{suffix}"
            del copy.input[:], copy.output[:]
            copy.input.extend(rename(name) for name in node.input)
            copy.output.extend(rename(name) for name in node.output)
            self.nodes.append(copy)
        return {output.name: rename(output.name) for output in graph.output}


@dataclass(frozen=True)
class Symbol:
    """A tensor of a graph that is being written; arithmetic on it appends nodes."""

    builder: GraphBuilder
    name: str

    def __add__(self, other: Symbol) -> Symbol:
        return self._apply("Add", other.name)

    def __sub__(self, other: Symbol) -> Symbol:
        return self._apply("Sub", other.name)

    def __mul__(self, other: float) -> Symbol:
        return self._apply("Mul", self.builder.constant(other))

    def clamp(self, low: float, high: float) -> Symbol:
        return self._apply("Clip", self.builder.constant(low), self.builder.constant(high))

    def _apply(self, operator: str, *others: str) -> Symbol:
        return Symbol(self.builder, self.builder.add(operator, [self.name, *others]))


def append(graph: onnx.GraphProto, prefix: str, value: Symbol) -> Symbol:
    """A graph of one input and one output, with its weights, behind `value`; once for each prefix."""
    builder, apart = value.builder, name_apart(graph, prefix, ())
    builder.initializers.extend(apart.initializer)
    (output,) = builder.inline(apart, {apart.input[0].name: value.name}, "").values()
    return Symbol(builder, output)


def name_apart(graph: onnx.GraphProto, prefix: str, kept: Collection[str]) -> onnx.GraphProto:
    """A copy in which every node, and every tensor whose name is not kept, begins with the prefix."""
    copy = onnx.GraphProto()
    copy.CopyFrom(graph)

    def rename(name: str) -> str:
        return name if not name or name in kept else prefix + name

    for node in copy.node:
        node.name = prefix + node.name
        inputs, outputs = [rename(name) for name in node.input], [rename(name) for name in node.output]
        del node.input[:], node.output[:]
        node.input.extend(inputs)
        node.output.extend(outputs)
    for value in (*copy.initializer, *copy.input, *copy.output):
        value.name = rename(value.name)
    return copy
