"""Export a torch module as an ONNX graph. What the module computes is the caller's business."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import onnx
import torch
import torch.fx.config
from torch import Tensor, nn

from ops.files.storage import replace_file

OPSET = 20  # from 21 on, GroupNorm becomes an operator without a kernel in ONNX Runtime's CPU provider


def export_module(
    module: nn.Module, example: Sequence[Tensor], *, inputs: Sequence[str], outputs: Sequence[str], path: Path
) -> None:
    """Write the module in evaluation mode. `example` has three rows of each input; the graph takes any number."""
    batch = torch.export.Dim("n", min=1, max=1 << 20)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it would report that torchvision is not installed
    with warnings.catch_warnings(), without_stack_traces():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module.eval(),
            tuple(example),
            dynamo=True,
            opset_version=OPSET,
            dynamic_shapes=tuple({0: batch} for _ in example),
            input_names=list(inputs),
            output_names=list(outputs),
            verbose=False,
        )
    assert program is not None
    model = strip_notes(program.model_proto)
    with replace_file(path) as temporary:
        onnx.save(model, str(temporary))


@contextmanager
def without_stack_traces() -> Iterator[None]:
    """Inside, torch notes for no node where it came from: that takes a tenth of an export, and nothing reads it."""
    before = torch.fx.config.do_not_emit_stack_traces
    torch.fx.config.do_not_emit_stack_traces = True
    try:
        yield
    finally:
        torch.fx.config.do_not_emit_stack_traces = before


def strip_notes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Remove the exporter's stack traces, which name this machine's paths and are larger than the network."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        del part.metadata_props[:]
    del graph.value_info[:]
    return model
