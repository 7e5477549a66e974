"""A simplified sampler against its original: the same images, fewer operators, and nodes that must stay."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from ops.generators.noise import draw_noise
from ops.generators.onnx.simplify import fold_labels, merge_affine, simplify
from tests.perturb import build_perturb

MakeSampler = Callable[[str, int], Path]
SHAPE = (3, 10, 13)


def count_operators(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def run(model: onnx.ModelProto, count: int, output: str = "image") -> np.ndarray:
    """Any tensor of a sampler, for `count` draws."""
    probe = onnx.ModelProto.FromString(model.SerializeToString())
    if output != "image":
        probe.graph.output.append(helper.make_empty_tensor_value_info(output))
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(probe.SerializeToString(), options, providers=["CPUExecutionProvider"])
    noise = draw_noise(SHAPE, seed=1, round_=0, unit="test", start=0, count=count)
    return np.asarray(session.run([output], {"noise": noise, "label": np.arange(count) % 3})[0])


@pytest.fixture(scope="module")
def pair(make_unrolled: MakeSampler) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    model = onnx.load(make_unrolled("heun", 2))
    return model, simplify(model)


@pytest.mark.parametrize("count", [1, 2, 50])
def test_the_simplified_sampler_draws_the_same_images(
    count: int, pair: tuple[onnx.ModelProto, onnx.ModelProto]
) -> None:
    before, after = pair
    state = next(node.input[0] for node in before.graph.node if node.op_type == "Clip")
    assert state == next(node.input[0] for node in after.graph.node if node.op_type == "Clip")
    np.testing.assert_allclose(run(after, count, state), run(before, count, state), atol=2e-6)
    assert (run(after, count) == run(before, count)).mean() > 0.9999


def test_the_embeddings_become_tables_and_the_affine_part_one_operator(
    pair: tuple[onnx.ModelProto, onnx.ModelProto],
) -> None:
    before, after = (count_operators(model) for model in pair)
    assert after["Gemm"] == after["Sin"] == after["Cos"] == after["ConstantOfShape"] == after["Shape"] == 0
    assert after["InstanceNormalization"] == before["InstanceNormalization"] == after["BatchNormalization"]
    assert after["Conv"] == before["Conv"]
    assert sum(after.values()) < 0.75 * sum(before.values())
    onnx.checker.check_model(pair[1], full_check=True)


def test_contract_and_argument_survive(pair: tuple[onnx.ModelProto, onnx.ModelProto]) -> None:
    before, after = pair
    content = before.SerializeToString(deterministic=True)
    again = simplify(before)
    assert before.SerializeToString(deterministic=True) == content
    assert again.SerializeToString(deterministic=True) == after.SerializeToString(deterministic=True)
    for one, other in ((before.graph.input, after.graph.input), (before.graph.output, after.graph.output)):
        assert [value.SerializeToString() for value in one] == [value.SerializeToString() for value in other]
    assert {p.key: p.value for p in before.metadata_props} == {p.key: p.value for p in after.metadata_props}
    assert [(o.domain, o.version) for o in after.opset_import] == [(o.domain, o.version) for o in before.opset_import]
    assert after.ByteSize() < before.ByteSize() * 1.05


def test_simplifying_twice_equals_simplifying_once(pair: tuple[onnx.ModelProto, onnx.ModelProto]) -> None:
    twice = simplify(pair[1])
    assert twice.SerializeToString(deterministic=True) == pair[1].SerializeToString(deterministic=True)


def build_labelled(mixer: str, *, classes: int = 3, width: int = 4) -> onnx.ModelProto:
    """image = noise + a function of the label, written by hand: row by row, or mixing the rows of a batch."""
    table = numpy_helper.from_array(np.arange(classes * width, dtype=np.float32).reshape(classes, width), "table")
    nodes = [helper.make_node("Gather", ["table", "label"], ["row"])]
    constants = [table]
    if mixer == "row":
        nodes.append(helper.make_node("Tanh", ["row"], ["bias"]))
    elif mixer == "cumulative":
        constants.append(numpy_helper.from_array(np.array(0, np.int64), "axis"))
        nodes.append(helper.make_node("CumSum", ["row", "axis"], ["bias"]))
    else:  # one number for the whole batch
        nodes.append(helper.make_node("ReduceMax", ["row"], ["bias"], keepdims=0))
    nodes.append(helper.make_node("Add", ["noise", "bias"], ["image"]))
    graph = helper.make_graph(
        nodes, mixer,
        [helper.make_tensor_value_info("noise", TensorProto.FLOAT, ["n", width]),
         helper.make_tensor_value_info("label", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", width])],
        constants,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(model, {"labels": json.dumps([str(label) for label in range(classes)])})
    return model


@pytest.mark.parametrize(("mixer", "folded"), [("row", True), ("cumulative", False), ("whole", False)])
def test_only_functions_of_each_rows_own_label_are_folded(mixer: str, folded: bool) -> None:
    model = build_labelled(mixer)
    after = fold_labels(model)
    assert ("bias/table" in {tensor.name for tensor in after.graph.initializer}) == folded
    noise = np.zeros((5, 4), np.float32)
    for label in (np.array([2, 0, 1, 1, 2]), np.array([0, 0, 0, 0, 0])):
        results = [
            ort.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"]).run(
                None, {"noise": noise, "label": label}
            )[0]
            for m in (model, after)
        ]
        np.testing.assert_allclose(results[0], results[1], atol=1e-6)


def test_tables_larger_than_the_weights_are_not_made() -> None:
    model = build_labelled("row")
    wide = helper.make_node("Concat", ["bias"] * 3, ["wide"], axis=1)
    del model.graph.node[-1:]
    # The noise is added to the wide tensor, which is three times as large as the only weight.
    model.graph.node.extend(
        [
            wide,
            helper.make_node("Concat", ["noise"] * 3, ["noises"], axis=1),
            helper.make_node("Add", ["noises", "wide"], ["image"]),
        ]
    )
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 12
    assert count_operators(fold_labels(model)) == count_operators(model)


def test_a_norm_whose_result_has_another_reader_is_left_alone(
    pair: tuple[onnx.ModelProto, onnx.ModelProto],
) -> None:
    model = onnx.ModelProto.FromString(pair[0].SerializeToString())
    norm = next(node for node in model.graph.node if node.op_type == "InstanceNormalization")
    users = [node for node in model.graph.node if norm.output[0] in node.input]
    multiply = next(node for node in model.graph.node if users[0].output[0] in node.input)
    model.graph.output.append(helper.make_empty_tensor_value_info("seen"))
    model.graph.node.append(helper.make_node("Identity", [users[0].output[0]], ["seen"]))
    after = merge_affine(model)
    assert multiply.output[0] in {node.output[0] for node in after.graph.node if node.op_type == "Mul"}
    norms = count_operators(model)["InstanceNormalization"]
    assert count_operators(after)["BatchNormalization"] == norms - 1


def test_a_graph_without_labels_keeps_its_nodes() -> None:
    silent = build_labelled("row")
    del silent.metadata_props[:]
    unlabelled = build_perturb(SHAPE, ("a", "b"), inputs=("image", "noise"))
    for model in (silent, unlabelled):
        assert [node.op_type for node in simplify(model).graph.node] == [node.op_type for node in model.graph.node]
