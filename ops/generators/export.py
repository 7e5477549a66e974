"""Export a flow to ONNX: `net.onnx` (the velocity) and `sampler_k.onnx` (noise and label in, uint8 out).

The sampler is unrolled by composing k copies of the exported network's nodes around shared weights:
tracing the unrolled loop gives the same graph, but takes minutes where this takes milliseconds.
Whether the result is right is `parity`'s question, not this module's.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from ops.generators.flow import FlowUNet, count_evaluations, time_grid
from ops.storage import replace_file

OPSET = 20  # from 21 on GroupNorm becomes an op that ONNX Runtime's CPU provider has no kernel for


def export_net(model: FlowUNet, shape: tuple[int, int, int], path: Path) -> None:
    """Write the velocity network: `x` [n, C, H, W], `t` [n], `label` [n] to `velocity` [n, C, H, W]."""
    batch = torch.export.Dim("n", min=1, max=1 << 20)
    example = (torch.zeros(3, *shape), torch.zeros(3), torch.zeros(3, dtype=torch.int64))
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it reports that torchvision is not installed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            model.eval(),
            example,
            dynamo=True,
            opset_version=OPSET,
            dynamic_shapes=({0: batch}, {0: batch}, {0: batch}),
            input_names=["x", "t", "label"],
            output_names=["velocity"],
            verbose=False,
        )
    assert program is not None
    model = strip_notes(program.model_proto)
    with replace_file(path) as temporary:
        onnx.save(model, str(temporary))


def strip_notes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Without the exporter's stack traces: they name this machine's paths and are larger than the network."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        del part.metadata_props[:]
    del graph.value_info[:]
    return model


class GraphBuilder:
    """Collects nodes and constants of one ONNX graph under unique names."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._count = 0

    def name(self, hint: str) -> str:
        self._count += 1
        return f"{hint}_{self._count}"

    def constant(self, value: np.ndarray | float, dtype: type = np.float32) -> str:
        name = self.name("constant")
        self.initializers.append(numpy_helper.from_array(np.asarray(value, dtype), name))
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


def build_sampler(
    net: onnx.ModelProto, *, solver: str, steps: int, shape: tuple[int, int, int], class_names: Sequence[str]
) -> onnx.ModelProto:
    """The few-step sampler as one graph: `noise` [n, C, H, W] and `label` int64 [n] to `image` uint8 [n, H, W, C].

    The same arithmetic as `flow.integrate` followed by `flow.to_pixels`.
    """
    builder, times = GraphBuilder(), time_grid(steps)
    builder.initializers.extend(net.graph.initializer)
    batch = builder.add("Shape", ["label"])

    def velocity(x: str, time: float, evaluation: int) -> str:
        # The time of every row, as a float tensor of the label's length.
        value = numpy_helper.from_array(np.array([time], np.float32))
        t = builder.add("ConstantOfShape", [batch], value=value)
        outputs = builder.inline(net.graph, {"x": x, "t": t, "label": "label"}, f"/{evaluation}")
        return outputs["velocity"]

    def advance(x: str, v: str, width: float) -> str:
        return builder.add("Add", [x, builder.add("Mul", [v, builder.constant(width)])])

    x, evaluation = "noise", 0
    for now, then in pairwise(times):
        v = velocity(x, now, evaluation)
        evaluation += 1
        euler = advance(x, v, then - now)
        if solver == "heun" and then < 1:
            v_next = velocity(euler, then, evaluation)
            evaluation += 1
            x = advance(x, builder.add("Add", [v, v_next]), (then - now) / 2)
        else:
            x = euler
    clamped = builder.add("Clip", [x, builder.constant(-1.0), builder.constant(1.0)])
    scaled = builder.add("Mul", [builder.add("Add", [clamped, builder.constant(1.0)]), builder.constant(127.5)])
    grey = builder.add("Cast", [builder.add("Round", [scaled])], to=TensorProto.UINT8)
    builder.add("Transpose", [grey], output="image", perm=[0, 2, 3, 1])

    channels, height, width = shape
    graph = helper.make_graph(
        builder.nodes,
        f"flow sampler, {solver}, {steps} steps",
        [
            helper.make_tensor_value_info("noise", TensorProto.FLOAT, ["n", channels, height, width]),
            helper.make_tensor_value_info("label", TensorProto.INT64, ["n"]),
        ],
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", height, width, channels])],
        builder.initializers,
    )
    model = helper.make_model(
        graph,
        opset_imports=list(net.opset_import),
        functions=list(net.functions),
        producer_name="growset",
        ir_version=net.ir_version,
    )
    helper.set_model_props(
        model,
        {
            "kind": "flow",
            "labels": json.dumps(list(class_names), ensure_ascii=False),
            "range": "0..255",
            "solver": solver,
            "steps": str(steps),
            "evaluations": str(count_evaluations(solver, steps)),
            "shape": json.dumps(list(shape)),
        },
    )
    onnx.checker.check_model(model)
    return model


def export_sampler(
    net_path: Path, path: Path, *, solver: str, steps: int, shape: tuple[int, int, int], class_names: Sequence[str]
) -> None:
    """Compose the sampler from an exported network and write it."""
    model = build_sampler(onnx.load(net_path), solver=solver, steps=steps, shape=shape, class_names=class_names)
    with replace_file(path) as temporary:
        onnx.save(model, str(temporary))
