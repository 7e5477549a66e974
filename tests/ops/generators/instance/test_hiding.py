"""How features are hidden: what the flow is told, and that the noise that hides them is independent and normal."""

from __future__ import annotations

import math

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto, helper

from ops.generators.instance.hiding import hide, take_hiding, tell, tell_symbols
from ops.generators.noise import draw_noise
from ops.generators.onnx.graph import GraphBuilder, Symbol
from ops.generators.onnx.modules import OPSET


def draw(count: int, shape: tuple[int, int, int]) -> torch.Tensor:
    return torch.from_numpy(draw_noise(shape, seed=3, round_=0, unit="test", start=0, count=count))


def test_nothing_is_hidden_at_0_everything_at_1_and_the_strength_is_told() -> None:
    f, g = torch.randn(2, 5, 4)
    assert torch.equal(tell(f, g, 0.0), torch.cat([f, torch.zeros(5, 1)], dim=1))
    assert torch.equal(tell(f, g, 1.0), torch.cat([g, torch.ones(5, 1)], dim=1))
    each = torch.tensor([0.0, 0.6, 0.6, 1.0, 0.8])
    assert torch.allclose(tell(f, g, each)[1, :4], 0.8 * f[1] + 0.6 * g[1])
    assert torch.equal(tell(f, g, each)[:, 4], each)


@pytest.mark.parametrize("strength", [0.3, 0.7, 1.0])
def test_hidden_features_are_spread_as_before(strength: float) -> None:
    f = torch.randn(4000, 6, generator=torch.Generator().manual_seed(1))
    hidden = hide(f, take_hiding(draw(4000, (1, 8, 8)), 6), strength)
    assert torch.allclose(hidden.T @ hidden / 4000, torch.eye(6), atol=0.08) and hidden.mean(0).abs().max() < 0.06


@pytest.mark.parametrize(("shape", "count"), [((1, 8, 8), 32), ((3, 10, 13), 32), ((1, 28, 28), 7)])
def test_what_hides_is_standard_normal_and_uncorrelated_with_any_smooth_part_of_the_noise(
    shape: tuple[int, int, int], count: int
) -> None:
    noise = draw(4000, shape)
    g = take_hiding(noise, count)
    error = 5 / math.sqrt(4000)
    assert g.shape == (4000, count) and g.mean(0).abs().max() < error
    assert (g.T @ g / 4000 - torch.eye(count)).abs().max() < 2 * error
    kurtosis = (g**4).mean() / (g**2).mean() ** 2
    assert abs(float(kurtosis) - 3) < 0.1
    if math.prod(shape) % (2 * count) == 0:  # runs of an even length: their means tell nothing of g
        runs = noise.flatten(1).unflatten(1, (count, -1)).mean(dim=2)
        assert (torch.corrcoef(torch.cat([g, runs], dim=1).T)[:count, count:]).abs().max() < error


def test_what_hides_knows_nothing_of_a_constant_also_where_runs_would_be_odd() -> None:
    for shape, count in (((1, 9, 8), 8), ((1, 9, 9), 9), ((3, 7, 7), 49)):
        assert take_hiding(torch.ones(1, *shape), count).abs().max() < 1e-6


@pytest.mark.parametrize(("shape", "count"), [((1, 8, 8), 32), ((3, 10, 13), 32), ((1, 9, 8), 5), ((1, 9, 8), 8)])
@pytest.mark.parametrize("strength", [0.0, 0.4, 1.0])
def test_the_exported_graph_tells_the_same(shape: tuple[int, int, int], count: int, strength: float) -> None:
    noise, features = draw(6, shape), torch.randn(6, count)
    builder = GraphBuilder()
    told = tell_symbols(Symbol(builder, "f"), Symbol(builder, "noise"), count, math.prod(shape), strength)
    graph = helper.make_graph(
        builder.nodes,
        "tell",
        [
            helper.make_tensor_value_info("f", TensorProto.FLOAT, ["n", count]),
            helper.make_tensor_value_info("noise", TensorProto.FLOAT, ["n", *shape]),
        ],
        [helper.make_tensor_value_info(told.name, TensorProto.FLOAT, ["n", count + 1])],
        builder.initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(model)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"f": features.numpy(), "noise": noise.numpy()})
    expected = tell(features, take_hiding(noise, count), strength)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-6)
