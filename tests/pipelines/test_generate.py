"""`growset generate`: exact counts, the same pixels for any workers and batches, every format, plain errors."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import TensorProto, helper, numpy_helper

import ops.machine.parallel
from ops.datasets.pixels import PixelDataset, read_split
from ops.drawing import pieces as generation
from ops.drawing.drawn_dataset import DRAWN_FORMATS, share_out
from ops.files.storage import read_json, write_json
from ops.generators.noise import draw_noise
from ops.generators.onnx.engine import Sampler
from pipelines.cli.main import main
from tests.perturb import build_perturb
from tests.workspaces import growset

NAMES = ("cat", "dog", "Ölbaum")


def build_sampler() -> onnx.ModelProto:
    """A sampler of 4x5 RGB images by hand: a mix of the channels, brighter for each class, as uint8."""
    weights = np.random.default_rng(0).standard_normal((3, 3, 3, 3)).astype(np.float32)
    constants = {"weights": weights, "column": np.array([-1, 1, 1, 1], np.int64), "scale": np.float32(20)}
    constants |= {"low": np.float32(0), "high": np.float32(255), "middle": np.float32(100)}
    make = helper.make_node
    nodes = [
        make("Conv", ["noise", "weights"], ["mixed"], pads=[1, 1, 1, 1]),
        make("Cast", ["label"], ["number"], to=TensorProto.FLOAT),
        make("Reshape", ["number", "column"], ["per_image"]),
        make("Add", ["mixed", "per_image"], ["sum"]),
        make("Mul", ["sum", "scale"], ["scaled"]),
        make("Add", ["scaled", "middle"], ["raised"]),
        make("Clip", ["raised", "low", "high"], ["clipped"]),
        make("Cast", ["clipped"], ["grey"], to=TensorProto.UINT8),
        make("Transpose", ["grey"], ["image"], perm=[0, 2, 3, 1]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "by hand",
        [value("noise", TensorProto.FLOAT, ["n", 3, 4, 5]), value("label", TensorProto.INT64, ["n"])],
        [value("image", TensorProto.UINT8, ["n", 4, 5, 3])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    names = json.dumps(NAMES, ensure_ascii=False)
    helper.set_model_props(model, {"kind": "onnx", "labels": names, "range": "0..255", "shape": "[3, 4, 5]"})
    return model


@pytest.fixture
def sampler(tmp_path: Path) -> Path:
    onnx.save(build_sampler(), str(tmp_path / "sampler_1.onnx"))
    return tmp_path / "sampler_1.onnx"


@pytest.fixture
def generator(tmp_path: Path) -> Path:
    """A generator's folder of kind onnx, which holds no weights of ours."""
    folder = tmp_path / "generator"
    folder.mkdir()
    onnx.save(build_sampler(), str(folder / "sampler.onnx"))
    config = {"kind": "onnx", "channels": 3, "height": 4, "width": 5, "class_names": list(NAMES)}
    write_json(folder / "config.json", config)
    return folder


def generate(path: Path, *arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, ["generate", str(path), *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def refuse(path: Path, *arguments: object, code: int = 2) -> str:
    """The one sentence of a refusal; nothing has been made."""
    out = path.parent / "refused"
    said = generate(path, "--count", 5, "--out", out, *arguments, code=code).output
    assert said.startswith("growset: ") and said.count("\n") == 1, said
    assert not out.exists()
    assert not list(path.parent.glob(".*growset-unfinished"))
    return said.removeprefix("growset: ").rstrip("\n")


def draw(path: Path, out: Path, count: int, *arguments: object) -> PixelDataset:
    generate(path, "--count", count, "--out", out, *arguments)
    return read_split(out / "data", "train")


def test_the_images_are_those_of_plain_calls_of_the_sampler(sampler: Path, tmp_path: Path) -> None:
    drawn = draw(sampler, tmp_path / "out", 7, "--seed", 5)
    assert np.bincount(drawn.labels).tolist() == [3, 2, 2]
    assert drawn.class_names == NAMES
    assert drawn.rows["k"].to_list() == [0, 1, 2, 0, 1, 0, 1]
    assert drawn.rows["is_generated"].all()
    assert drawn.rows["image_id"].n_unique() == 7
    for label, name in enumerate(NAMES):
        mine = drawn.select(drawn.labels == label)
        noise = draw_noise((3, 4, 5), seed=5, round_=0, unit=name, start=0, count=len(mine))
        np.testing.assert_array_equal(mine.images, Sampler(sampler).draw({"noise": noise, "label": mine.labels}))
    assert sorted(path.name for path in (tmp_path / "out").rglob("*")) == [
        "README.md", "data", "train-00000-of-00001.parquet",
    ]  # fmt: skip
    assert not list(tmp_path.glob(".*"))


def test_the_same_seed_gives_the_same_bytes_however_it_is_computed(
    generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "WORKER_SHARE", 1)
    monkeypatch.setattr(ops.machine.parallel, "available_cores", lambda: 2)  # more than there are are not used
    ways: list[tuple[object, ...]] = [
        ("--workers", 1), ("--workers", 2, "--batch-size", 7), ("--batch-size", "auto", "--json"),
    ]  # fmt: skip
    contents = []
    for number, way in enumerate(ways):
        draw(generator, tmp_path / str(number), 600, *way)
        files = sorted(path for path in (tmp_path / str(number)).rglob("*") if path.is_file())
        contents.append({path.name: path.read_bytes() for path in files})
    assert contents[0] == contents[1] == contents[2]
    other = draw(generator, tmp_path / "other", 600, "--seed", 1)
    first = read_split(tmp_path / "0" / "data", "train")
    assert (other.images != first.images).mean() > 0.5
    assert not set(other.rows["image_id"]) & set(first.rows["image_id"])


def test_more_images_begin_with_the_fewer(sampler: Path, tmp_path: Path) -> None:
    few, many = draw(sampler, tmp_path / "few", 6), draw(sampler, tmp_path / "many", 30)
    ids = set(few.rows["image_id"])
    same = many.select(np.array([name in ids for name in many.rows["image_id"]]))
    np.testing.assert_array_equal(same.images, few.images)


def test_labels_choose_classes_and_counts_are_exact(generator: Path, tmp_path: Path) -> None:
    drawn = draw(generator, tmp_path / "out", 5, "--label", "Ölbaum", "--label", "cat")
    assert np.bincount(drawn.labels, minlength=3).tolist() == [3, 0, 2]


@pytest.mark.parametrize(
    ("count", "labels", "expected"),
    [
        (7, (), (3, 2, 2)),
        (2, (), (1, 1, 0)),
        (9, (), (3, 3, 3)),
        (5, ("dog",), (0, 5, 0)),
        (1, ("dog", "cat"), (1, 0, 0)),
    ],
)
def test_shares_are_even_and_the_first_classes_get_what_is_left(
    count: int, labels: tuple[str, ...], expected: tuple[int, ...]
) -> None:
    assert share_out(count, labels, NAMES) == expected


@pytest.mark.parametrize("form", [name for name in DRAWN_FORMATS if name not in ("parquet", "zip")])
def test_other_formats_hold_the_same_images(form: str, sampler: Path, tmp_path: Path) -> None:
    said = json.loads(
        generate(sampler, "--count", 8, "--out", tmp_path / form, "--format", form, "--json").stdout.splitlines()[-1]
    )
    assert said["classes"] == {"cat": 3, "dog": 3, "Ölbaum": 2}
    files = [path for path in (tmp_path / form).rglob("*") if path.is_file()]
    assert (said["files"], said["bytes"]) == (len(files), sum(path.stat().st_size for path in files))
    assert (tmp_path / form / "README.md").read_text().startswith("# Generated images")
    if form == "npz":
        with np.load(tmp_path / form / "dataset.npz") as arrays:
            np.testing.assert_array_equal(arrays["train_images"], draw(sampler, tmp_path / "parquet", 8).images)


def test_an_expansion_is_named_like_in_any_command(finished_workspace: Path, tmp_path: Path) -> None:
    result = growset(finished_workspace, "generate", "digits", "--count", "4", "--out", str(tmp_path / "out"))
    assert result.exit_code == 0, result.output
    generated = read_split_of(finished_workspace / "data" / "digits" / "generated_images")
    drawn = read_split(tmp_path / "out" / "data", "train")
    for label in (0, 1):  # the recipe's seed is 0 as well
        mine, theirs = (part.images[part.labels == label][:2] for part in (drawn, generated))
        np.testing.assert_array_equal(mine, theirs)
    said = growset(finished_workspace, "generate", "digit", "--count", "4", "--out", str(tmp_path / "no"))
    assert said.exit_code == 2 and "did you mean 'digits'?" in said.output


def read_split_of(folder: Path) -> PixelDataset:
    from ops.datasets.pixels import read_shards
    from ops.datasets.shards import find_shards

    return read_shards(find_shards(folder, "generated"))


def test_invalid_numbers_labels_formats_and_folders_are_refused(sampler: Path, tmp_path: Path) -> None:
    for count in (0, -3):
        assert refuse(sampler, "--count", count) == f"--count must be at least 1; got {count}"
    assert refuse(sampler, "--label", "dogg") == "'dogg' is not a class of this generator; did you mean 'dog'?"
    assert (
        refuse(sampler, "--label", "cat", "--label", "cat")
        == "--label cat is given more than once; name each class once"
    )
    assert refuse(sampler, "--format", "tfrecord").startswith("there is no format 'tfrecord'; there are: parquet, ")
    assert "format zip allows only square images" in refuse(sampler, "--format", "zip")
    assert refuse(sampler, "--seed", -1) == "--seed must be at least 0; got -1"
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep")
    said = generate(sampler, "--count", 5, "--out", tmp_path / "full", code=2).output
    assert said == f"growset: {tmp_path / 'full'} is not empty; name a new or an empty folder\n"
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]
    assert "does not exist; name a generator's folder" in refuse(tmp_path / "nowhere.onnx")


def test_a_missing_provider_is_exit_code_3(sampler: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.generators.onnx.engine.has_gpu", lambda: False)
    assert "provider 'cuda' cannot be used" in refuse(sampler, "--provider", "cuda", code=3)


Fault = Callable[[Path], object]
FOLDER_FAULTS: dict[str, tuple[Fault, str]] = {
    "no sampler": (lambda folder: (folder / "sampler.onnx").unlink(), "it holds 0"),
    "renamed sampler": (lambda folder: (folder / "sampler.onnx").rename(folder / "model.onnx"), "it holds 0"),
    "two samplers": (lambda folder: shutil.copy(folder / "sampler.onnx", folder / "sampler_2.onnx"), "it holds 2"),
    "truncated sampler": (lambda folder: truncate(folder / "sampler.onnx"), "is not a valid ONNX file"),
    "no config": (lambda folder: (folder / "config.json").unlink(), "it holds no config.json"),
    "truncated config": (lambda folder: truncate(folder / "config.json"), "config.json is not JSON"),
    "other classes": (lambda folder: edit_config(folder, class_names=["a", "b", "c"]), "belongs to another generator"),
    "other shape": (lambda folder: edit_config(folder, width=6), "belongs to another generator"),
    "strange file": (
        lambda folder: (folder / "weights.pkl").write_bytes(b"x"),
        "weights.pkl is not part of a generator",
    ),
    "no weights": (
        lambda folder: edit_config(folder, kind="flow"),
        "holds no model.safetensors; a generator of kind flow",
    ),
}


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def edit_config(folder: Path, **entries: object) -> None:
    write_json(folder / "config.json", {**read_json(folder / "config.json"), **entries})


@pytest.mark.parametrize("name", FOLDER_FAULTS)
def test_a_folder_with_a_fault_is_refused(name: str, generator: Path) -> None:
    fault, said = FOLDER_FAULTS[name]
    fault(generator)
    assert said in refuse(generator)


def test_a_folder_with_a_manifest_is_compared_with_it(finished_workspace: Path, tmp_path: Path) -> None:
    source = finished_workspace / "data" / "digits" / "generator_onnx"
    faults: dict[str, Fault] = {
        "holds no model.safetensors, which manifest.json lists": lambda folder: (folder / "model.safetensors").unlink(),
        "net.onnx is not what was exported": lambda folder: truncate(folder / "net.onnx"),
        "extra.safetensors is not part of this generator": lambda folder: (folder / "extra.safetensors").write_bytes(
            b""
        ),
    }
    for said, fault in faults.items():
        folder = tmp_path / "generator"
        shutil.copytree(source, folder)
        fault(folder)
        assert said in refuse(folder)
        shutil.rmtree(folder)


def rename_input(model: onnx.ModelProto) -> None:
    model.graph.node[0].input[0] = model.graph.input[0].name = "latent"


def half_precision(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT16


def custom_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].domain = "my.company"
    model.opset_import.append(helper.make_opsetid("my.company", 1))


def external_weights(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.data")


def no_metadata(model: onnx.ModelProto) -> None:
    del model.metadata_props[:]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (rename_input, "is not a Growset sampler: it takes label int64 [1-d], latent float [4-d]"),
        (half_precision, "cannot be loaded: "),
        (custom_operator, "uses operators of 'my.company'"),
        (external_weights, "keeps weights in other files"),
        (no_metadata, "its metadata lack 'labels'"),
    ],
)
def test_a_file_that_cannot_draw_alone_is_refused(
    edit: Callable[[onnx.ModelProto], None], said: str, tmp_path: Path
) -> None:
    model = build_sampler()
    edit(model)
    path = tmp_path / "sampler_1.onnx"
    path.write_bytes(model.SerializeToString())
    assert said in refuse(path)


def test_a_sampler_of_variants_is_refused_because_the_command_has_no_seed_images(tmp_path: Path) -> None:
    path = tmp_path / "sampler_1.onnx"
    onnx.save(build_perturb((1, 4, 5), ("a", "b")), path)
    assert "makes variants of seed images, and this command takes no seed images" in refuse(path)


def test_a_file_that_is_not_onnx_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no model")
    assert "notes.txt is not a sampler; allowed: " in refuse(tmp_path / "notes.txt")
    (tmp_path / "sampler_1.onnx").write_bytes(b"no model")
    assert "sampler_1.onnx is not a valid ONNX file" in refuse(tmp_path / "sampler_1.onnx")
