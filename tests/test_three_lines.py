"""The README's Python: it runs where there is nothing but onnxruntime and numpy, and imports nothing else."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.workspaces import ROOT

PACKAGES = ("numpy", "onnxruntime")
# -I and -S leave the standard library alone on the path; what is imported from elsewhere is told.
RUN = """
import sys
sys.path.append(sys.argv[1])
names = {}
exec(sys.argv[2], names)
own = {name.partition(".")[0] for name, module in sys.modules.items() if getattr(module, "__file__", None)}
own -= set(sys.stdlib_module_names)
import json
images = names["images"]
print(json.dumps([sorted(own), str(images.dtype), list(images.shape), images[:, 0, 0, 0].tolist()]))
"""


def snippet() -> str:
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    return block


@pytest.fixture
def only_two_packages(tmp_path: Path) -> Path:
    """A folder with links to the two packages and to the libraries that lie beside them."""
    folder = tmp_path / "packages"
    folder.mkdir()
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.origin is not None
        place = Path(spec.origin).parent
        for path in (place, place.with_name(f"{name}.libs")):
            if path.exists():
                (folder / path.name).symlink_to(path)
    return folder


def save_sampler(path: Path) -> None:
    """A sampler of 2x3 grey images by hand: 7 wherever the label is 0."""
    value = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Mul", ["noise", "nothing"], ["flat"]),
        helper.make_node("Add", ["flat", "seven"], ["grey"]),
        helper.make_node("Cast", ["grey"], ["bytes"], to=TensorProto.UINT8),
        helper.make_node("Transpose", ["bytes"], ["image"], perm=[0, 2, 3, 1]),
    ]
    constants = [onnx.numpy_helper.from_array(np.float32(v), name) for name, v in (("nothing", 0), ("seven", 7))]
    inputs = [value("noise", TensorProto.FLOAT, ["n", 1, 2, 3]), value("label", TensorProto.INT64, ["n"])]
    graph = helper.make_graph(nodes, "sevens", inputs, [value("image", TensorProto.UINT8, ["n", 2, 3, 1])], constants)
    path.parent.mkdir(parents=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), str(path))


def test_three_lines_draw_with_two_packages(tmp_path: Path, only_two_packages: Path) -> None:
    (name,) = re.findall(r'InferenceSession\("(.*?)"\)', snippet())
    save_sampler(tmp_path / name)
    command = [sys.executable, "-I", "-S", "-c", RUN, str(only_two_packages), snippet()]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    own, dtype, shape, corner = json.loads(done.stdout.splitlines()[-1])
    assert own == list(PACKAGES)
    assert (dtype, shape, corner) == ("uint8", [16, 2, 3, 1], [7] * 16)


def test_it_is_three_lines_after_the_import() -> None:
    lines = [line for line in snippet().splitlines() if line]
    assert len(lines) == 4
    assert lines[0] == "import numpy, onnxruntime"
