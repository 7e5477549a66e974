"""Kind `onnx`: a foreign sampler's copy takes the dataset's labels, and other files are refused in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from ops.errors import DamagedData, UserError
from ops.files.hashing import hash_file
from ops.generators.folder import find_sampler
from ops.generators.foreign import Onnx
from ops.generators.onnx.engine import Sampler
from ops.generators.onnx.parity import measure_parity
from ops.generators.protocol import Fitting
from ops.recipe.generator import OnnxSettings
from ops.recipe.sampler import SamplerSettings

SHAPE = (1, 2, 3)
NAMES = ("ant", "bee", "cow")


def build_foreign(**changes: Any) -> onnx.ModelProto:
    """Image = 40 · label + noise, rounded, written by hand with the inputs, outputs and metadata of the contract."""
    facts: dict[str, Any] = {"noise": "noise", "domain": "", "height": SHAPE[1], "labels": NAMES, **changes}
    noise = helper.make_tensor_value_info(facts["noise"], TensorProto.FLOAT, ["n", 1, facts["height"], SHAPE[2]])
    label = helper.make_tensor_value_info("label", TensorProto.INT64, ["n"])
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", facts["height"], SHAPE[2], 1])
    column = helper.make_tensor("column", TensorProto.INT64, [4], [-1, 1, 1, 1])
    forty = helper.make_tensor("forty", TensorProto.FLOAT, [], [40.0])
    nodes = [
        helper.make_node("Cast", ["label"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["f", "forty"], ["m"]),
        helper.make_node("Reshape", ["m", "column"], ["r"]),
        helper.make_node("Abs", [facts["noise"]], ["a"], domain=facts["domain"]),
        helper.make_node("Add", ["r", "a"], ["s"]),
        helper.make_node("Cast", ["s"], ["u"], to=TensorProto.UINT8),
        helper.make_node("Transpose", ["u"], ["image"], perm=[0, 2, 3, 1]),
    ]
    graph = helper.make_graph(nodes, "foreign", [noise, label], [image], [column, forty])
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("evil.ops", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    if facts["labels"]:
        helper.set_model_props(model, {"labels": json.dumps(facts["labels"])})
    return model


def save_foreign(root: Path, **changes: Any) -> OnnxSettings:
    onnx.save(build_foreign(**changes), root / "foreign.onnx")
    return OnnxSettings(path="foreign.onnx", sha256=hash_file(root / "foreign.onnx"))


def fit(settings: OnnxSettings, root: Path, names: tuple[str, ...] = ("cow", "ant")) -> Path:
    out = root / "out"
    images, labels = torch.zeros(len(names), *SHAPE, dtype=torch.uint8), torch.arange(len(names))
    Onnx().fit(settings, Fitting(images, labels, names, seed=0, root=root, out=out, scratch=root / "scratch"))
    return out


def check(settings: OnnxSettings, root: Path) -> None:
    Onnx().check(settings, root, ("ant",), SHAPE)


def test_the_copy_takes_the_datasets_labels_and_equals_the_original_one_by_one(tmp_path: Path) -> None:
    out = fit(save_foreign(tmp_path), tmp_path)
    generator = Onnx().load(out)
    (tmp_path / "onnx").mkdir()
    path = generator.export(tmp_path / "onnx", SamplerSettings(), tmp_path / "scratch")
    assert find_sampler(tmp_path / "onnx") == path
    sampler = Sampler(path, batch_size=8)
    assert sampler.info.class_names == ("cow", "ant")
    images = sampler.draw({"noise": np.zeros((2, *SHAPE), np.float32), "label": np.array([0, 1])})
    assert [image.max() for image in images] == [80, 0]  # cow is label 2 of the foreign file, ant its label 0
    assert measure_parity(generator, sampler, SamplerSettings(), images=20).share_equal == 1.0


def test_a_file_whose_images_depend_on_their_neighbours_fails_parity(tmp_path: Path) -> None:
    model = build_foreign()
    abs_node = model.graph.node[3]
    abs_node.CopyFrom(helper.make_node("Softmax", ["noise"], ["x"], axis=0))
    model.graph.node.insert(4, helper.make_node("Mul", ["x", "forty"], ["a"]))
    onnx.save(model, tmp_path / "foreign.onnx")
    settings = OnnxSettings(path="foreign.onnx", sha256=hash_file(tmp_path / "foreign.onnx"))
    generator = Onnx().load(fit(settings, tmp_path))
    (tmp_path / "onnx").mkdir()
    sampler = Sampler(generator.export(tmp_path / "onnx", SamplerSettings(), tmp_path), batch_size=8)
    assert not measure_parity(generator, sampler, SamplerSettings(), images=20).passed


def test_class_names_in_the_recipe_replace_those_that_the_file_lacks(tmp_path: Path) -> None:
    settings = save_foreign(tmp_path, labels=())
    with pytest.raises(
        UserError, match=r"foreign\.onnx does not name the classes of its labels; add generator\.class_names"
    ):
        check(settings, tmp_path)
    fit(settings.model_copy(update={"class_names": NAMES}), tmp_path)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"noise": "z"}, UserError, r"is not a sampler: it has z, label, image; it must take noise \(float32"),
        ({"domain": "evil.ops"}, UserError, "uses operators of 'evil.ops', which ONNX Runtime does not have"),
    ],
)
def test_a_file_that_is_not_a_sampler_is_refused(
    changes: dict[str, Any], error: type[Exception], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=sentence):
        check(save_foreign(tmp_path, **changes), tmp_path)


@pytest.mark.parametrize("damage", [cut_short, lambda path: path.write_bytes(b"no onnx at all" * 9)])
def test_a_damaged_file_is_refused(damage: Callable[[Path], object], tmp_path: Path) -> None:
    save_foreign(tmp_path)
    damage(tmp_path / "foreign.onnx")
    settings = OnnxSettings(path="foreign.onnx", sha256=hash_file(tmp_path / "foreign.onnx"))
    with pytest.raises(DamagedData, match="is not a valid ONNX file"):
        check(settings, tmp_path)


def test_another_file_under_the_same_name_is_refused_with_its_hash(tmp_path: Path) -> None:
    settings = save_foreign(tmp_path)
    save_foreign(tmp_path, labels=("x", "y", "z"))
    found = hash_file(tmp_path / "foreign.onnx")
    with pytest.raises(UserError, match=rf"generator\.sha256 does not fit .*foreign\.onnx: its content has {found}"):
        check(settings, tmp_path)
    (tmp_path / "foreign.onnx").unlink()
    with pytest.raises(UserError, match="does not exist"):
        check(settings, tmp_path)


def test_weights_in_another_file_are_refused(tmp_path: Path) -> None:
    model = build_foreign()
    model.graph.initializer.append(numpy_helper.from_array(np.full(2000, 0.5, np.float32), "big"))
    onnx.save(model, tmp_path / "foreign.onnx", save_as_external_data=True, location="weights", size_threshold=0)
    settings = OnnxSettings(path="foreign.onnx", sha256=hash_file(tmp_path / "foreign.onnx"))
    with pytest.raises(UserError, match="keeps weights in other files"):
        check(settings, tmp_path)


def test_another_size_or_a_class_it_cannot_draw_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    for attempt in (check, fit):
        with pytest.raises(UserError, match="draws images of 5 x 3 x 1, while the real images are 2 x 3 x 1"):
            attempt(save_foreign(tmp_path, height=5), tmp_path)
    with pytest.raises(UserError, match="cannot draw class 'dog'; its classes are ant, bee, cow"):
        fit(save_foreign(tmp_path), tmp_path, ("ant", "dog"))
    assert not (tmp_path / "out").exists()
