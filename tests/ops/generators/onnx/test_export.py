"""Exported networks and samplers against torch and a closed-form velocity; files that are not samplers are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import load_file, save_file

from ops.errors import EnvironmentFault, UserError
from ops.generators.denoiser_kind import DenoiserGenerator
from ops.generators.denoising.network import build_network
from ops.generators.folder import NET, WEIGHTS, find_sampler
from ops.generators.kinds.flow import Flow
from ops.generators.noise import draw_noise
from ops.generators.onnx import engine
from ops.generators.onnx.engine import Sampler, choose_provider, has_gpu
from ops.generators.onnx.export import unroll_sampler
from ops.generators.onnx.graph import GraphBuilder
from ops.generators.onnx.modules import OPSET
from ops.generators.onnx.parity import Parity, measure_parity
from ops.generators.onnx.simplify import simplify
from ops.generators.stored_network import load_network
from ops.recipe.sampler import SamplerSettings
from tests.exported import find_maths
from tests.perturb import draw_seeds

MakeSampler = Callable[..., Path]
SHAPE = (3, 10, 13)


def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
    return draw_noise(SHAPE, seed=1, round_=0, unit="test", start=0, count=count), np.arange(count) % 3


def build_linear_net(slope: float, drift: float) -> onnx.ModelProto:
    """The velocity slope · x + drift · label + t as an ONNX graph written by hand."""
    builder = GraphBuilder()
    column = numpy_helper.from_array(np.array([-1, 1, 1, 1], np.int64), "column")
    factor = numpy_helper.from_array(np.array(slope, np.float32), "slope")
    weight = numpy_helper.from_array(np.array(drift, np.float32), "drift")
    label = builder.add("Cast", ["label"], to=TensorProto.FLOAT)
    row = builder.add("Add", [builder.add("Mul", [label, "drift"]), "t"])
    builder.add(
        "Add",
        [builder.add("Mul", ["x", "slope"]), builder.add("Reshape", [row, "column"])],
        output="output",
    )
    for number, node in enumerate(builder.nodes):
        node.name = f"node_{number}"
    images = ["n", *SHAPE]
    graph = helper.make_graph(
        builder.nodes, "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, images),
         helper.make_tensor_value_info("t", TensorProto.FLOAT, ["n"]),
         helper.make_tensor_value_info("label", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, images)],
        [column, factor, weight],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)


def build_linear_sampler(net: onnx.ModelProto, solver: str, steps: int) -> onnx.ModelProto:
    settings = SamplerSettings(solver=solver, steps=steps)
    return simplify(unroll_sampler(Flow(), net, settings, shape=SHAPE, class_names="abc"))


def test_the_exported_network_equals_torch(generator_folder: Path) -> None:
    model, _ = load_network(generator_folder, build_network)
    session = ort.InferenceSession(generator_folder / NET, providers=["CPUExecutionProvider"])
    for count in (1, 3, 70):
        x, label = draw(count)
        t = np.linspace(0, 1, count, dtype=np.float32)
        (exported,) = session.run(["output"], {"x": x, "t": t, "label": label})
        with torch.inference_mode():
            eager = model(torch.from_numpy(x), torch.from_numpy(t), torch.from_numpy(label)).numpy()
        assert exported.shape == (count, *SHAPE)
        np.testing.assert_allclose(exported, eager, atol=1e-4)


def compare(folder: Path, path: Path, solver: str, steps: int, *, kind: str = "flow", guidance: float = 1.0) -> Parity:
    network, config = load_network(folder, build_network)
    settings = SamplerSettings(solver=solver, steps=steps, guidance=guidance)
    return measure_parity(DenoiserGenerator(find_maths(kind), network, config), Sampler(path), settings, images=60)


@pytest.mark.parametrize(
    ("kind", "solver", "steps", "guidance"),
    [
        ("flow", "heun", 3, 1.0),
        ("flow", "euler", 2, 1.0),
        ("flow", "heun", 1, 1.0),
        ("flow", "euler", 2, 2.5),
        ("edm", "heun", 4, 1.0),
        ("edm", "euler", 3, 0.0),
        ("ddpm", "dpmpp", 4, 1.0),
        ("ddpm", "ddim", 3, 1.5),
    ],
)
def test_the_exported_sampler_draws_what_the_eager_one_draws(
    kind: str, solver: str, steps: int, guidance: float, generator_folder: Path, make_sampler: MakeSampler
) -> None:
    path = make_sampler(solver, steps, kind, guidance)
    parity = compare(generator_folder, path, solver, steps, kind=kind, guidance=guidance)
    assert parity.passed
    assert parity.images == 60
    assert parity.share_equal > 0.999
    assert parity.to_dict()["passed"] is True
    evaluations = Sampler(path).info.evaluations
    assert evaluations == find_maths(kind).count_evaluations(solver, steps) * (1 if guidance == 1.0 else 2)


@pytest.mark.parametrize(
    ("solver", "steps", "guidance", "strength"),
    [("heun", 3, 1.0, 0.35), ("euler", 2, 2.5, 0.2), ("heun", 2, 1.0, 1.0), ("euler", 1, 1.0, 0.1)],
)
def test_the_exported_sampler_of_a_strength_makes_the_variants_that_the_eager_one_makes(
    solver: str, steps: int, guidance: float, strength: float, generator_folder: Path, make_sampler: MakeSampler
) -> None:
    sampler = Sampler(make_sampler(solver, steps, guidance=guidance, strength=strength))
    assert sampler.info.inputs == ("noise", "label", "image")
    network, config = load_network(generator_folder, build_network)
    settings = SamplerSettings(solver=solver, steps=steps, guidance=guidance, strength=strength)
    generator, seeds = DenoiserGenerator(Flow(), network, config), draw_seeds(SHAPE, [0, 1, 2, 0])
    parity = measure_parity(generator, sampler, settings, images=30, seeds=seeds)
    assert parity.passed
    assert parity.share_equal > 0.999
    weaker = settings.model_copy(update={"strength": strength / 2})
    assert not measure_parity(generator, sampler, weaker, images=30, seeds=seeds).passed


def test_a_sampler_without_labels_is_the_one_with_label_0_for_every_image(make_sampler: MakeSampler) -> None:
    labelled, free = (Sampler(make_sampler("heun", 2, strength=0.4, labelled=each)) for each in (True, False))
    assert free.info.inputs == ("noise", "image") and free.info.class_names == labelled.info.class_names
    (noise, _), seeds = draw(17), draw_seeds(SHAPE, [0] * 17).images
    drawn = free.with_batch_size(5).draw({"noise": noise, "image": seeds})
    told = labelled.with_batch_size(5).draw({"noise": noise, "label": np.zeros(17, np.int64), "image": seeds})
    assert np.abs(drawn.astype(int) - told).max() <= 1 and (drawn == told).mean() > 0.999
    others = labelled.draw({"noise": noise, "label": np.ones(17, np.int64), "image": seeds})
    assert (drawn != others).any()


def test_the_unrolled_graph_starts_from_its_noised_seed_image(tmp_path: Path) -> None:
    """The velocity t on the way from 0.6 to 1 adds (1 - 0.6²) / 2, which Euler's two steps see from the left."""
    settings = SamplerSettings(solver="euler", steps=2, strength=0.4)
    model = simplify(unroll_sampler(Flow(), build_linear_net(0, 0), settings, shape=SHAPE, class_names="abc"))
    onnx.save(model, tmp_path / "sampler.onnx")
    assert {prop.key: prop.value for prop in model.metadata_props}["strength"] == "0.4"
    (noise, labels), seeds = draw(20), draw_seeds(SHAPE, [0] * 20).images
    x = 0.4 * noise.transpose(0, 2, 3, 1) + 0.6 * (seeds / 127.5 - 1) + 0.2 * 0.6 + 0.2 * 0.8
    expected = np.rint((np.clip(x, -1, 1) + 1) * 127.5)
    drawn = Sampler(tmp_path / "sampler.onnx", batch_size=7).draw({"noise": noise, "label": labels, "image": seeds})
    assert np.abs(drawn - expected).max() <= 1
    assert (drawn == expected).mean() > 0.999


@pytest.mark.parametrize("fault", ["bias", "labels", "solver", "one channel", "guidance"])
def test_parity_fails_for_a_network_that_is_not_the_exported_one(
    fault: str, generator_folder: Path, copied_folder: Path, make_sampler: MakeSampler
) -> None:
    path = find_sampler(generator_folder)
    if fault == "solver":
        assert not compare(generator_folder, make_sampler("euler", 3), "heun", 3).passed
        return
    if fault == "guidance":
        assert not compare(generator_folder, path, "heun", 3, guidance=3.0).passed
        return
    weights = load_file(copied_folder / WEIGHTS)
    if fault == "bias":
        weights["unet.conv_out.bias"] += 0.03
    elif fault == "labels":
        weights["label.weight"] = weights["label.weight"].roll(1, 0)
    else:
        weights["unet.conv_in.weight"][0] *= 1.5
    save_file(weights, copied_folder / WEIGHTS)
    assert not compare(copied_folder, path, "heun", 3).passed


@pytest.mark.parametrize(("solver", "steps"), [("euler", 1), ("euler", 4), ("heun", 1), ("heun", 4)])
def test_the_unrolled_graph_solves_a_hand_written_velocity_like_its_closed_form(
    solver: str, steps: int, tmp_path: Path
) -> None:
    slope, drift = 0.25, -0.75
    onnx.save(
        build_linear_sampler(build_linear_net(slope, drift), solver, steps),
        tmp_path / "sampler.onnx",
    )
    noise, labels = draw(20)
    x = noise.astype(np.float64)
    whole = 2 / (2 * steps - 1) if solver == "heun" else 1 / steps
    for step in range(steps):
        t, last = step * whole, step == steps - 1
        h = 1 - t if last else whole
        v = slope * x + drift * labels[:, None, None, None] + t
        # Heun adds h²/2 · dv/dt, which is slope · v + 1 here; its last step is Euler's.
        bend = h**2 / 2 * (slope * v + 1) if solver == "heun" and not last else 0.0
        x = x + h * v + bend
    expected = np.rint((np.clip(x, -1, 1) + 1) * 127.5).transpose(0, 2, 3, 1)
    drawn = Sampler(tmp_path / "sampler.onnx", batch_size=7).draw({"noise": noise, "label": labels})
    assert np.abs(drawn - expected).max() <= 1
    assert (drawn == expected).mean() > 0.999
    assert {0, 255} <= set(np.unique(drawn))


def test_all_evaluations_share_one_copy_of_the_weights(generator_folder: Path, make_sampler: MakeSampler) -> None:
    net = onnx.load(generator_folder / NET)
    kernels = {node.input[1] for node in net.graph.node if node.op_type == "Conv"}
    weights = sum(len(tensor.raw_data) for tensor in net.graph.initializer)
    for path in (find_sampler(generator_folder), make_sampler("euler", 8)):
        sampler = onnx.load(path)
        tensors = [tensor.name for tensor in sampler.graph.initializer]
        assert len(tensors) == len(set(tensors))
        assert kernels <= set(tensors)
        # Besides the weights there are small tables per class, which replace the embeddings.
        assert sum(len(t.raw_data) for t in sampler.graph.initializer) < 1.6 * weights
        evaluations = int({prop.key: prop.value for prop in sampler.metadata_props}["evaluations"])
        convolutions = sum(node.op_type == "Conv" for node in sampler.graph.node)
        assert convolutions == evaluations * sum(node.op_type == "Conv" for node in net.graph.node)


def test_the_sampler_is_hardly_larger_than_its_network(generator_folder: Path) -> None:
    net = onnx.load(generator_folder / NET)
    weights = sum(len(tensor.raw_data) for tensor in net.graph.initializer)
    # 42,000 weights are tiny: the five copies of the nodes may weigh as much again, no more.
    assert find_sampler(generator_folder).stat().st_size < 3 * weights


def test_no_exported_file_names_a_folder_of_the_machine_that_exported_it(generator_folder: Path) -> None:
    root = Path(engine.__file__).parents[3]
    for path in (generator_folder / NET, find_sampler(generator_folder)):
        content = path.read_bytes()
        assert str(root).encode() not in content, path.name
        assert b"site-packages" not in content, path.name


def test_the_metadata_hold_what_a_caller_needs(generator_folder: Path) -> None:
    path = find_sampler(generator_folder)
    properties = {prop.key: prop.value for prop in onnx.load(path).metadata_props}
    assert json.loads(properties["labels"]) == ["cat", "dog", "Ölbaum"]
    assert properties["range"] == "0..255"
    assert (properties["solver"], properties["steps"]) == ("heun", "3")
    assert "strength" not in properties
    info = Sampler(path).info
    assert info.class_names == ("cat", "dog", "Ölbaum")
    assert info.shape == SHAPE
    assert info.evaluations == Flow().count_evaluations("heun", 3) == 5


def test_the_cpu_provider_has_a_kernel_for_every_node(generator_folder: Path) -> None:
    for path in (generator_folder / NET, find_sampler(generator_folder)):
        model = onnx.load(path)
        versions = {entry.domain: entry.version for entry in model.opset_import}
        assert versions[""] == OPSET == 20
        nodes = [*model.graph.node, *(node for function in model.functions for node in function.node)]
        assert "GroupNormalization" not in {node.op_type for node in nodes}
        assert {node.domain for node in nodes} <= {""}


def test_a_network_with_control_flow_is_refused() -> None:
    net = build_linear_net(1, 1)
    branch = helper.make_graph([], "branch", [], [helper.make_tensor_value_info("output", TensorProto.FLOAT, None)])
    net.graph.node.append(helper.make_node("If", ["c"], ["velocity2"], then_branch=branch, else_branch=branch))
    with pytest.raises(ValueError, match="control flow"):
        build_linear_sampler(net, "euler", 1)


def test_an_image_does_not_depend_on_batch_size_order_or_neighbours(generator_folder: Path) -> None:
    path, (noise, labels) = find_sampler(generator_folder), draw(70)
    expected = Sampler(path, batch_size=64).draw({"noise": noise, "label": labels})
    assert expected.shape == (70, 10, 13, 3)
    assert expected.dtype == np.uint8
    for batch_size in (1, 3, 64):
        sampler = Sampler(path, batch_size=batch_size)
        np.testing.assert_array_equal(sampler.draw({"noise": noise, "label": labels}), expected)
        np.testing.assert_array_equal(
            sampler.draw({"noise": noise[::-1].copy(), "label": labels[::-1].copy()})[::-1], expected
        )
        np.testing.assert_array_equal(sampler.draw({"noise": noise[5:9], "label": labels[5:9]}), expected[5:9])


def test_the_label_matters(generator_folder: Path) -> None:
    noise, labels = draw(6)
    sampler = Sampler(find_sampler(generator_folder))
    one, other = (sampler.draw({"noise": noise, "label": label}) for label in (labels, (labels + 1) % 3))
    assert (one != other).mean() > 0.1


def test_drawing_nothing_gives_no_images(generator_folder: Path) -> None:
    noise, labels = draw(1)
    images = Sampler(find_sampler(generator_folder)).draw({"noise": noise[:0], "label": labels[:0]})
    assert images.shape == (0, 10, 13, 3)


@pytest.mark.parametrize("labels", [[0, 3], [-1, 0]])
def test_a_label_out_of_range_is_a_users_mistake(labels: list[int], generator_folder: Path) -> None:
    noise, _ = draw(2)
    with pytest.raises(UserError, match=r"labels must lie in 0\.\.2; got"):
        Sampler(find_sampler(generator_folder)).draw({"noise": noise, "label": np.array(labels)})


def test_an_onnx_file_that_is_not_a_sampler_is_a_users_mistake(generator_folder: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.onnx"
    model = onnx.load(find_sampler(generator_folder))
    del model.metadata_props[:]
    onnx.save(model, foreign)
    for path in (foreign, generator_folder / NET):
        with pytest.raises(UserError, match="is not a Growset sampler"):
            Sampler(path)


def test_cuda_without_a_gpu_is_a_fault_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "has_gpu", lambda: False)
    with pytest.raises(EnvironmentFault, match="no NVIDIA GPU driver; use --provider cpu or --allow-cpu-fallback"):
        choose_provider("cuda")
    assert choose_provider("cuda", allow_fallback=True) == "cpu"
    assert choose_provider("auto") == "cpu"
    assert choose_provider("cpu") == "cpu"


def test_a_gpu_that_onnx_runtime_cannot_use_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "has_gpu", lambda: True)
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    for wanted in ("auto", "cuda"):
        with pytest.raises(EnvironmentFault, match="ONNX Runtime has no CUDA provider"):
            choose_provider(wanted)
        assert choose_provider(wanted, allow_fallback=True) == "cpu"
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    assert choose_provider("auto") == "cuda"
    assert choose_provider("cpu") == "cpu"


@pytest.mark.skipif(has_gpu(), reason="needs a machine on which CUDA cannot run")
def test_a_session_that_fell_back_to_the_cpu_is_noticed(generator_folder: Path) -> None:
    with pytest.raises(EnvironmentFault, match="was to run on CUDAExecutionProvider but runs on CPUExecutionProvider"):
        Sampler(find_sampler(generator_folder), provider="cuda")
