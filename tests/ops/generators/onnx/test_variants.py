"""int8 and fp16 samplers: the contract and nearly the images of the fp32 sampler, and the structure of their graphs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from ops.errors import UserError
from ops.generators.onnx.engine import Sampler
from ops.generators.onnx.gate import draw_pairs
from ops.generators.onnx.modules import OPSET
from ops.generators.onnx.simplify import merge_affine
from ops.generators.onnx.variants import SENSITIVE, Trajectories, halve_sampler, quantise_sampler, read_metadata
from tests.perturb import build_perturb, draw_seeds

MakeSampler = Callable[..., Path]
QUANTISED = 18  # of the network's 25 convolutions: all but the first, the last and five shortcuts


@pytest.fixture(scope="module")
def variants(make_unrolled: MakeSampler) -> dict[str, Path]:
    """The fp32 sampler of two Euler steps and its variants."""
    source = make_unrolled("euler", 2)
    paths = {"fp32": source, "int8": source.with_name("int8.onnx"), "fp16": source.with_name("fp16.onnx")}
    quantise_sampler(source, paths["int8"])
    halve_sampler(source, paths["fp16"])
    return paths


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_a_variant_has_the_contract_of_the_sampler_it_was_made_from(precision: str, variants: dict[str, Path]) -> None:
    source, variant = onnx.load(variants["fp32"]), onnx.load(variants[precision])
    for one, other in ((source.graph.input, variant.graph.input), (source.graph.output, variant.graph.output)):
        assert [value.SerializeToString() for value in one] == [value.SerializeToString() for value in other]
    assert read_metadata(variant) == {**read_metadata(source), "precision": precision}
    assert [(opset.domain, opset.version) for opset in variant.opset_import] == [("", OPSET)]
    assert {node.domain for node in variant.graph.node} == {""}
    assert Sampler(variants[precision]).info == replace(Sampler(variants["fp32"]).info, precision=precision)
    assert variants[precision].stat().st_size < variants["fp32"].stat().st_size
    onnx.checker.check_model(variant, full_check=True)


@pytest.mark.parametrize(("precision", "bound"), [("int8", 2.0), ("fp16", 0.2)])
def test_a_variant_draws_nearly_the_same_images(precision: str, bound: float, variants: dict[str, Path]) -> None:
    one, other, *_ = draw_pairs(variants["fp32"], variants[precision], np.arange(96) % 3, seed=11)
    difference = np.abs(one.astype(np.int16) - other.astype(np.int16))
    assert 0 < difference.mean() < bound
    assert difference.max() <= 20 * bound
    assert one.std() > 30  # images fill the range; otherwise the bound would test nothing


@pytest.mark.parametrize("labelled", [True, False])
def test_faster_samplers_of_a_strength_make_nearly_the_same_variants(labelled: bool, make_sampler: MakeSampler) -> None:
    source = make_sampler("euler", 1, strength=0.4, labelled=labelled)
    seeds = draw_seeds((3, 10, 13), [0, 1, 2])
    int8, fp16 = (source.with_name(f"{name}.onnx") for name in ("int8", "fp16"))
    quantise_sampler(source, int8, seeds=seeds)
    halve_sampler(source, fp16)
    for variant, bound in ((int8, 2.0), (fp16, 0.2)):
        one, other, *_ = draw_pairs(source, variant, np.arange(48) % 3, seed=11, seeds=seeds)
        difference = np.abs(one.astype(np.int16) - other.astype(np.int16))
        assert 0 < difference.mean() < bound
        assert difference.max() <= 20 * bound


def test_activations_are_unsigned_and_weights_signed_per_channel(variants: dict[str, Path]) -> None:
    graph = onnx.load(variants["int8"]).graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    quantised = [node for node in graph.node if node.op_type == "Conv" and node.input[1] not in constants]
    assert len(quantised) == 2 * QUANTISED  # in two evaluations
    for node in quantised:
        activation, weight = makers[node.input[0]], makers[node.input[1]]
        assert activation.op_type == "DequantizeLinear"
        assert constants[activation.input[2]].data_type == TensorProto.UINT8
        stored, scale = (constants[name] for name in weight.input[:2])
        assert stored.data_type == TensorProto.INT8
        assert list(scale.dims) == [stored.dims[0]]
        (reader,) = [other for other in graph.node if node.output[0] in other.input]
        assert reader.op_type == "QuantizeLinear"
        assert constants[reader.input[2]].data_type == TensorProto.UINT8


def test_the_ends_and_the_shortcuts_stay_fp32(variants: dict[str, Path]) -> None:
    graph = onnx.load(variants["int8"]).graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    plain = {node.input[1] for node in graph.node if node.op_type == "Conv" and node.input[1] in constants}
    assert all(any(part in name for part in SENSITIVE) for name in plain)
    assert all(any(part in name for name in plain) for part in SENSITIVE)
    assert all(constants[name].data_type == TensorProto.FLOAT for name in plain)


def test_the_weights_are_quantised_once_and_the_ranges_per_evaluation(variants: dict[str, Path]) -> None:
    graph = onnx.load(variants["int8"]).graph
    stored = [tensor for tensor in graph.initializer if tensor.data_type == TensorProto.INT8 and len(tensor.dims) == 4]
    assert len(stored) == QUANTISED
    scales = {
        tensor.name: float(numpy_helper.to_array(tensor))
        for tensor in graph.initializer
        if tensor.name.endswith("_scale") and not tensor.dims
    }
    first = {name.replace("/0", "/k"): value for name, value in scales.items() if "/0" in name}
    second = {name.replace("/1", "/k"): value for name, value in scales.items() if "/1" in name}
    assert len(first) > QUANTISED
    assert sum(first[name] != second[name] for name in first.keys() & second.keys()) > QUANTISED


def test_fp16_keeps_noise_solver_norms_and_rounding_in_fp32(variants: dict[str, Path]) -> None:
    model = onnx.shape_inference.infer_shapes(onnx.load(variants["fp16"]))
    types = {value.name: value.type.tensor_type.elem_type for value in [*model.graph.value_info, *model.graph.input]}
    types |= {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    half, full = TensorProto.FLOAT16, TensorProto.FLOAT
    for node in model.graph.node:
        if node.op_type == "Conv":
            assert [types[name] for name in node.input] == [half] * 3, node.name
        elif node.op_type in ("InstanceNormalization", "BatchNormalization", "Clip", "Round"):
            assert {types[name] for name in node.input} == {full}, node.name
    # The first step starts from the noise itself, not from a copy that was fp16 in between.
    readers = {node.op_type for node in model.graph.node if "noise" in node.input}
    assert readers == {"Cast", "Add"}


def test_a_time_embedding_that_was_not_folded_stays_fp32_in_fp16(
    variants: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As with hundreds of classes, whose tables would outweigh the weights. The sine of 1000 t is lost in fp16.
    monkeypatch.setattr("ops.generators.onnx.variants.simplify", merge_affine)
    halve_sampler(variants["fp32"], tmp_path / "fp16.onnx")
    graph = onnx.load(tmp_path / "fp16.onnx").graph
    assert sum(node.op_type == "Sin" for node in graph.node) == 2
    one, other, *_ = draw_pairs(variants["fp32"], tmp_path / "fp16.onnx", np.arange(32) % 3, seed=11)
    assert np.abs(one.astype(np.int16) - other.astype(np.int16)).mean() < 0.2


@pytest.mark.parametrize("make", [quantise_sampler, halve_sampler])
def test_equal_inputs_give_equal_files_in_another_process_too(
    make: Callable[[Path, Path], None], variants: dict[str, Path], tmp_path: Path
) -> None:
    precision = {quantise_sampler: "int8", halve_sampler: "fp16"}[make]
    source = tmp_path / "another name.onnx"
    source.write_bytes(variants["fp32"].read_bytes())
    target = tmp_path / "target.onnx"
    code = (
        "import sys; from pathlib import Path; from ops.generators.onnx import variants;"
        f"variants.{make.__name__}(*map(Path, sys.argv[1:]))"
    )
    root = Path(__file__).parents[4]
    subprocess.run([sys.executable, "-c", code, source, target], check=True, cwd=root)
    content = target.read_bytes()
    assert content == variants[precision].read_bytes()
    assert str(tmp_path).encode() not in content
    assert b"another name" not in content


def test_calibration_sees_every_class_equally_often(variants: dict[str, Path]) -> None:
    reader = Trajectories(onnx.load(variants["fp32"]), images=90, seed=1)
    batches = list(iter(reader.get_next, None))
    assert [len(batch["label"]) for batch in batches] == [32, 32, 26]
    assert np.bincount(np.concatenate([batch["label"] for batch in batches])).tolist() == [30, 30, 30]
    assert all(len(set(batch["label"])) == 3 for batch in batches)
    assert all(batch["noise"].shape[1:] == (3, 10, 13) and batch["noise"].dtype == np.float32 for batch in batches)


@pytest.mark.parametrize("make", [quantise_sampler, halve_sampler])
def test_a_variant_of_a_variant_and_a_bare_network_are_refused(
    make: Callable[[Path, Path], None], variants: dict[str, Path], generator_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="is already int8"):
        make(variants["int8"], tmp_path / "x.onnx")
    with pytest.raises(UserError, match="is not a sampler"):
        make(generator_folder / "net.onnx", tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("inputs", [("image", "noise", "label"), ("image", "noise")])
def test_a_sampler_of_variants_without_convolutions_is_halved_and_has_nothing_to_quantise(
    inputs: tuple[str, ...], tmp_path: Path
) -> None:
    """It is fed all inputs that its graph declares, seed images included."""
    shape, source, target = (3, 10, 13), tmp_path / "fp32.onnx", tmp_path / "fp16.onnx"
    onnx.save(build_perturb(shape, ("a", "b"), inputs=inputs), source)
    seeds = draw_seeds(shape, [0, 1, 1])
    halve_sampler(source, target)
    labels = np.repeat([1, 0], [30, 10])
    one, other, parents = draw_pairs(source, target, labels, seeds=seeds)
    assert parents is not None and (seeds.labels[parents] == labels).all()
    assert set(parents.tolist()) == {0, 1, 2}
    assert np.abs(one.astype(int) - other.astype(int)).max() <= 1
    batch = Trajectories(onnx.load(source), images=40, seed=0, seeds=seeds).get_next()
    assert batch is not None and set(batch) == set(inputs) and len(batch["image"]) == 32
    with pytest.raises(UserError, match="has no convolution"):
        quantise_sampler(source, target, seeds=seeds)
