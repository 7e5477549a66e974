"""The engine on the CPU, and CUDA's options without a GPU: padding, buffers, files that are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from ops.errors import DamagedData, UserError
from ops.generators.feeds import make_feeds, spread_draws
from ops.generators.folder import find_sampler
from ops.generators.noise import draw_noise
from ops.generators.onnx.engine import Sampler, provider_options, session_options
from tests.perturb import build_perturb, draw_seeds, perturb

SHAPE = (3, 10, 13)
Edit = Callable[[onnx.ModelProto], object]


@pytest.fixture
def sampler(generator_folder: Path) -> Sampler:
    return Sampler(find_sampler(generator_folder), batch_size=8)


def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
    return draw_noise(SHAPE, seed=1, round_=0, unit="test", start=0, count=count), np.arange(count) % 3


def test_a_batch_that_is_not_full_is_padded_and_the_padding_is_not_returned(sampler: Sampler) -> None:
    noise, label = draw(8)
    full = sampler.draw({"noise": noise, "label": label})
    for count in (1, 3, 7):
        part = sampler.draw({"noise": noise[:count], "label": label[:count]})
        assert part.shape == (count, 10, 13, 3)
        np.testing.assert_array_equal(part, full[:count])


def test_the_next_call_does_not_overwrite_returned_images(sampler: Sampler) -> None:
    noise, label = draw(16)
    first = sampler.draw({"noise": noise[:8], "label": label[:8]})
    before = first.copy()
    sampler.draw({"noise": noise[8:], "label": label[8:]})
    np.testing.assert_array_equal(first, before)


def test_noise_of_any_memory_layout_is_accepted(sampler: Sampler) -> None:
    noise, label = draw(8)
    expected = sampler.draw({"noise": noise, "label": label})
    np.testing.assert_array_equal(
        sampler.draw({"noise": np.asfortranarray(noise), "label": label.astype(np.int32)}), expected
    )


def test_no_memory_is_allocated_per_call(sampler: Sampler) -> None:
    noise, label = draw(8)
    places = {sampler._output.data_ptr() for _ in range(3) if len(sampler.draw({"noise": noise, "label": label}))}
    assert len(places) == 1
    assert sampler._output.data_ptr() == sampler._output.numpy().ctypes.data


def test_the_cpu_has_no_options_and_cuda_has_those_of_fixed_batches() -> None:
    assert provider_options("cpu") == {}
    options = provider_options("cuda", capture=True)
    assert options["enable_cuda_graph"] == "1" and options["prefer_nhwc"] == "1"
    assert options["use_tf32"] == "0"  # fp32, as the manifest records
    assert options["cudnn_conv_algo_search"] != "EXHAUSTIVE"  # the fastest kernel may differ from run to run
    assert provider_options("cuda")["enable_cuda_graph"] == "0"


def test_a_fixed_batch_leaves_no_free_dimension(generator_folder: Path) -> None:
    """A CUDA session's options, tried on the CPU: the same pixels, and other sizes are refused."""
    import onnxruntime as ort

    path, (noise, label) = find_sampler(generator_folder), draw(8)
    fixed = ort.InferenceSession(path, session_options(8), providers=["CPUExecutionProvider"])
    assert [node.shape[0] for node in fixed.get_inputs()] == [8, 8]
    (images,) = fixed.run(["image"], {"noise": noise, "label": label})
    np.testing.assert_array_equal(images, Sampler(path, batch_size=8).draw({"noise": noise, "label": label}))
    with pytest.raises(Exception, match="invalid dimensions"):
        fixed.run(["image"], {"noise": noise[:3], "label": label[:3]})


def test_the_batch_size_of_a_cuda_session_is_fixed(sampler: Sampler) -> None:
    sampler.provider = "cuda"
    with pytest.raises(ValueError, match="fixed when it is opened"):
        sampler.with_batch_size(4)


def set_metadata(**entries: str) -> Edit:
    def edit(model: onnx.ModelProto) -> None:
        helper.set_model_props(model, {**{p.key: p.value for p in model.metadata_props}, **entries})

    return edit


def drop_metadata(*names: str) -> Edit:
    def edit(model: onnx.ModelProto) -> None:
        helper.set_model_props(model, {p.key: p.value for p in model.metadata_props if p.key not in names})

    return edit


def rename_input(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        node.input[:] = ["z" if name == "noise" else name for name in node.input]
    model.graph.input[0].name = "z"


def return_floats(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Cast", ["image"], ["picture"], to=TensorProto.FLOAT))
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["n", 10, 13, 3]))


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (rename_input, "it takes label int64 .1-d., z float .4-d. and gives image uint8 .4-d.; allowed: some of image"),
        (return_floats, "it takes label int64 .1-d., noise float .4-d. and gives picture float .4-d.; allowed"),
        (drop_metadata("labels"), "its metadata lack 'labels'"),
        (drop_metadata("shape"), "its metadata lack 'shape'"),
        (set_metadata(labels="cat, dog"), "its metadata cannot be read"),
        (set_metadata(shape="[3, 10]"), "its metadata cannot be read"),
        (set_metadata(shape="[3, 10, 12]"), r"noise is \[3, 10, 13\], but its metadata have \[3, 10, 12\]"),
    ],
)  # fmt: skip
def test_a_graph_that_is_not_a_sampler_is_refused_in_one_sentence(
    edit: Edit, said: str, generator_folder: Path, tmp_path: Path
) -> None:
    model = onnx.load(find_sampler(generator_folder))
    edit(model)
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(UserError, match=said) as caught:
        Sampler(tmp_path / "other.onnx")
    assert "\n" not in str(caught.value)


def test_solver_steps_and_evaluations_may_be_unknown(generator_folder: Path, tmp_path: Path) -> None:
    model = onnx.load(find_sampler(generator_folder))
    drop_metadata("solver", "steps", "evaluations", "kind", "range")(model)
    onnx.save(model, tmp_path / "other.onnx")
    info = Sampler(tmp_path / "other.onnx").info
    assert (info.solver, info.steps, info.evaluations, info.precision) == (None, None, None, "fp32")
    set_metadata(precision="fp16")(model)
    onnx.save(model, tmp_path / "other.onnx")
    assert Sampler(tmp_path / "other.onnx").info.precision == "fp16"
    assert json.loads({p.key: p.value for p in model.metadata_props}["shape"]) == [3, 10, 13]


@pytest.mark.parametrize("inputs", [("image", "noise", "label"), ("noise", "image"), ("noise", "label"), ("noise",)])
def test_the_inputs_are_read_from_the_graph(inputs: tuple[str, ...], tmp_path: Path) -> None:
    onnx.save(build_perturb(SHAPE, ("a", "b"), inputs=inputs), tmp_path / "sampler.onnx")
    sampler = Sampler(tmp_path / "sampler.onnx", batch_size=4)
    assert set(sampler.info.inputs) == set(inputs)
    seeds = draw_seeds(SHAPE, [0, 1, 0])
    runs = spread_draws("test", np.arange(11) % 2, seeds)
    feeds = make_feeds(("image", "noise", "label"), SHAPE, runs, seed=2, seeds=seeds)
    nothing = {name: np.zeros_like(array) for name, array in feeds.items() if name not in inputs}
    drawn = sampler.draw({name: feeds[name] for name in inputs})
    np.testing.assert_array_equal(drawn, perturb({**feeds, **nothing}))
    with pytest.raises(ValueError, match="the sampler takes .*; it is fed time"):
        sampler.draw({"time": feeds["label"]})


def test_a_graph_of_labels_alone_and_one_whose_images_contradict_it_are_refused(tmp_path: Path) -> None:
    for inputs, shape, said in (
        (("label",), SHAPE, "it takes label int64 .1-d. and gives image .*; allowed: some of .*, noise or image among"),
        (("image", "noise"), (3, 10, 12), r"noise is \[3, 10, 12\], but its metadata have \[3, 10, 13\]"),
        (("image",), (3, 10, 12), r"image is \[10, 12, 3\], but its metadata have \[10, 13, 3\]"),
    ):
        model = build_perturb(shape, ("a", "b"), inputs=inputs)
        set_metadata(shape=json.dumps(SHAPE))(model)
        onnx.save(model, tmp_path / "sampler.onnx")
        with pytest.raises(UserError, match=said):
            Sampler(tmp_path / "sampler.onnx")


def test_a_file_that_is_not_onnx_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "sampler_1.onnx").write_bytes(b"not a model")
    with pytest.raises(DamagedData, match="sampler_1.onnx cannot be loaded"):
        Sampler(tmp_path / "sampler_1.onnx")
