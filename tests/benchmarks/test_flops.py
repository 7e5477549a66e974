"""Operations per image: closed forms for single nodes, torch's own counter for a whole network and its samplers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.parts.flops import count_flops
from ops.generators.denoising.network import build_network
from ops.generators.folder import NET
from ops.generators.kinds.flow import Flow
from ops.generators.onnx.modules import OPSET
from ops.generators.stored_network import load_network


def save(
    folder: Path, operator: str, x: list[int | str], weight: tuple[int, ...], rank: int, **attributes: object
) -> Path:
    """One node that multiplies `x` [n, ...] by a constant."""
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", "weight"], ["y"], **attributes)],
        "one node",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", *[None] * (rank - 1)])],
        [numpy_helper.from_array(np.zeros(weight, np.float32), "weight")],
    )
    path = folder / "node.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10), str(path))
    return path


def test_products_have_their_closed_forms(tmp_path: Path) -> None:
    image: list[int | str] = ["n", 6, 9, 7]
    pads = {"pads": [1, 1, 1, 1]}
    assert count_flops(save(tmp_path, "Conv", image, (8, 6, 3, 3), 4, **pads)) == 2 * 8 * 6 * 9 * (9 * 7)
    assert count_flops(save(tmp_path, "Conv", image, (8, 6, 3, 3), 4)) == 2 * 8 * 6 * 9 * (7 * 5)
    strided = save(tmp_path, "Conv", image, (8, 6, 3, 3), 4, strides=[2, 2], **pads)
    assert count_flops(strided) == 2 * 8 * 6 * 9 * (5 * 4)
    grouped = save(tmp_path, "Conv", image, (6, 2, 1, 1), 4, group=3)
    assert count_flops(grouped) == 2 * 6 * 2 * (9 * 7)
    raised = save(tmp_path, "ConvTranspose", image, (6, 5, 2, 2), 4, strides=[2, 2])
    assert count_flops(raised) == 2 * 6 * 5 * 4 * (9 * 7)
    assert count_flops(save(tmp_path, "MatMul", ["n", 11, 4], (4, 5), 3)) == 2 * 11 * 4 * 5
    assert count_flops(save(tmp_path, "Gemm", ["n", 4], (5, 4), 2, transB=1)) == 2 * 4 * 5


def test_operations_other_than_products_count_nothing(tmp_path: Path) -> None:
    assert count_flops(save(tmp_path, "Add", ["n", 3], (3,), 2)) == 0


def test_an_unknown_shape_gives_no_figure(tmp_path: Path) -> None:
    assert count_flops(save(tmp_path, "Conv", ["n", 6, "h", "w"], (8, 6, 3, 3), 4)) is None


def test_a_network_costs_what_torch_counts(generator_folder: Path) -> None:
    model, config = load_network(generator_folder, build_network)
    shape = (config["channels"], config["height"], config["width"])
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, *shape), torch.zeros(1), torch.zeros(1, dtype=torch.int64))
    assert count_flops(generator_folder / NET) == counter.get_total_flops()


@pytest.mark.parametrize(("solver", "steps"), [("heun", 3), ("euler", 2)])
def test_a_sampler_costs_its_evaluations(
    solver: str, steps: int, generator_folder: Path, make_unrolled: Callable[[str, int], Path]
) -> None:
    single = count_flops(generator_folder / NET)
    assert single is not None
    assert count_flops(make_unrolled(solver, steps)) == Flow().count_evaluations(solver, steps) * single
