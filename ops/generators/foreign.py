"""Kind `onnx`: a sampler that was exported elsewhere, checked, pinned by hash and adapted to the dataset's labels.

It takes noise and a label and gives uint8 images, as every exported sampler does (design, contract 6). The recipe pins
its sha256, because a model file is code and must not be replaced unnoticed. It may have more classes than the dataset,
in another order; the stored copy takes the dataset's labels.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ops.errors import DamagedData, UserError
from ops.files.hashing import hash_file
from ops.files.storage import parse_json, replace_file, write_json
from ops.generators.folder import CONFIG, SAMPLER, find_fastest, read_config
from ops.generators.protocol import Cost, Fitting, Generator
from ops.recipe.generator import OnnxSettings
from ops.recipe.sampler import SamplerSettings

if TYPE_CHECKING:
    import onnx
    import onnxruntime
    from torch import Tensor

    from ops.generators.drawers import DrawerSpec

FOREIGN = "foreign.onnx"


class Onnx:
    """Nothing is trained and nothing is exported: the file is checked and copied."""

    name: ClassVar[str] = "onnx"

    def check(
        self, settings: OnnxSettings, root: Path, class_names: Sequence[str], shape: tuple[int, int, int]
    ) -> None:
        """UserError if the file is missing, has another hash, is not a sampler, or draws other shapes or classes."""
        path = find_file(settings, root)
        require_fit(settings, load_model(path), path, class_names, shape)

    def fit(self, settings: OnnxSettings, fitting: Fitting) -> dict[str, Any]:
        import onnx

        path = find_file(settings, fitting.root)
        model = load_model(path)
        shape = tuple(fitting.images.shape[1:])
        names = require_fit(settings, model, path, fitting.class_names, shape)
        config = {**fitting.describe(self.name), "labels": [names.index(name) for name in fitting.class_names]}
        translate_labels(model, config["labels"])
        kept = {entry.key: entry.value for entry in model.metadata_props}
        known = {key: kept[key] for key in ("solver", "steps", "evaluations") if key in kept}
        onnx.helper.set_model_props(
            model,
            {
                "kind": self.name,
                "labels": json.dumps(list(fitting.class_names), ensure_ascii=False),
                "range": "0..255",
                "shape": json.dumps(list(shape)),
                **known,
            },
        )
        with replace_file(fitting.out / SAMPLER) as temporary:
            onnx.save(model, str(temporary))
        with replace_file(fitting.out / FOREIGN) as temporary:
            temporary.write_bytes(path.read_bytes())
        write_json(fitting.out / CONFIG, config)
        return {"sha256": settings.sha256, "training_images": None, "precision": None}

    def load(self, folder: Path) -> Generator:
        return OnnxGenerator(folder, read_config(folder))

    def find_drawer(self, folder: Path) -> DrawerSpec:
        from ops.generators.onnx.engine import OnnxFile

        return OnnxFile(find_fastest(folder))

    def estimate(
        self, settings: OnnxSettings, sampler: SamplerSettings, shape: tuple[int, int, int], classes: int, root: Path
    ) -> Cost:
        import time

        import numpy as np

        session = _open_session(find_file(settings, root))
        inputs = {"noise": np.zeros((16, *shape), np.float32), "label": np.zeros(16, np.int64)}
        session.run(["image"], inputs)
        started = time.perf_counter()
        session.run(["image"], inputs)
        return Cost(0.0, 0.0, (time.perf_counter() - started) / 16)

    def guess(
        self,
        settings: OnnxSettings,
        sampler: SamplerSettings,
        shape: tuple[int, int, int],
        root: Path,
        rate: float,
        workers: int,
    ) -> Cost:
        return self.estimate(settings, sampler, shape, 1, root)  # nothing is trained, and a draw is quick


@dataclass(frozen=True)
class OnnxGenerator:
    """The original file, run one image at a time: the reference for its copy, which runs in batches."""

    folder: Path
    config: dict[str, Any]

    def sample(self, feeds: Mapping[str, Tensor], sampler: SamplerSettings) -> Tensor:
        import numpy as np
        import torch

        session, labels = _open_session(self.folder / FOREIGN), np.array(self.config["labels"])[feeds["label"].numpy()]
        images = [
            session.run(["image"], {"noise": one[None], "label": labels[i : i + 1]})[0]
            for i, one in enumerate(feeds["noise"].numpy())
        ]
        return torch.from_numpy(np.concatenate(images))

    def export(self, folder: Path, sampler: SamplerSettings, scratch: Path) -> Path:
        for name in (SAMPLER, CONFIG):
            with replace_file(folder / name) as temporary:
                temporary.write_bytes((self.folder / name).read_bytes())
        return folder / SAMPLER


def find_file(settings: OnnxSettings, root: Path) -> Path:
    """The file that the settings name; UserError if it is missing or its sha256 differs."""
    path = root / settings.path
    if not path.is_file():
        raise UserError(f"generator.path: {path} does not exist")
    if (found := hash_file(path)) != settings.sha256:
        raise UserError(f"generator.sha256 does not fit {path}: its content has {found}")
    return path


def load_model(path: Path) -> onnx.ModelProto:
    """The model; DamagedData if it is not ONNX, UserError if it needs more than this file and ONNX Runtime."""
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load(path, load_external_data=False)
        if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer):
            raise UserError(f"{path} keeps weights in other files; export it with all of them inside")
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError) as error:
        raise DamagedData(f"{path} is not a valid ONNX file: {str(error).splitlines()[0]}") from None
    domains = {node.domain for part in (model.graph, *model.functions) for node in part.node}
    own = {function.domain for function in model.functions}
    if foreign := sorted(domains - own - {"", "ai.onnx", "com.microsoft"}):
        raise UserError(f"{path} uses operators of '{foreign[0]}', which ONNX Runtime does not have")
    return model


def require_sampler(model: onnx.ModelProto, path: Path) -> None:
    """UserError unless it takes noise and label and gives images."""
    import onnx

    kinds = {value.name: value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)}
    wanted = {"noise": onnx.TensorProto.FLOAT, "label": onnx.TensorProto.INT64, "image": onnx.TensorProto.UINT8}
    if kinds != wanted:
        raise UserError(
            f"{path} is not a sampler: it has {', '.join(kinds) or 'nothing'}; it must take noise"
            " (float32 [n, C, H, W]) and label (int64 [n]) and give image (uint8 [n, H, W, C])"
        )


def require_fit(
    settings: OnnxSettings, model: onnx.ModelProto, path: Path, class_names: Sequence[str], shape: tuple[int, ...]
) -> tuple[str, ...]:
    """The class names of its labels, in label order.

    UserError for a graph that is not a sampler, draws images of another shape (channels, H, W), or lacks a class.
    """
    require_sampler(model, path)
    names, drawn = read_classes(settings, model, path), read_shape(model, path)
    if drawn != shape:
        raise UserError(
            f"{path} draws images of {_format_shape(drawn)}, while the real images are {_format_shape(shape)}"
        )
    if missing := [name for name in class_names if name not in names]:
        raise UserError(f"{path} cannot draw class '{missing[0]}'; its classes are {', '.join(names)}")
    return names


def read_classes(settings: OnnxSettings, model: onnx.ModelProto, path: Path) -> tuple[str, ...]:
    """The class names of its labels, from the settings or else its metadata; UserError if neither has them."""
    if settings.class_names is not None:
        return settings.class_names
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    try:
        names = parse_json(metadata["labels"])
    except (KeyError, ValueError):
        raise UserError(
            f"{path} does not name the classes of its labels; add generator.class_names to the recipe"
        ) from None
    return tuple(map(str, names))


def read_shape(model: onnx.ModelProto, path: Path) -> tuple[int, int, int]:
    """(channels, height, width) of its noise; UserError if the file does not fix them."""
    (noise,) = [value for value in model.graph.input if value.name == "noise"]
    sides = [side.dim_value for side in noise.type.tensor_type.shape.dim][1:]
    if len(sides) != 3 or 0 in sides:
        raise UserError(f"{path} does not fix the size of its images: noise must be [n, C, H, W] with three numbers")
    return sides[0], sides[1], sides[2]


def translate_labels(model: onnx.ModelProto, labels: list[int]) -> None:
    """Give label i of the graph the meaning that `labels[i]` had."""
    import numpy as np
    from onnx import helper, numpy_helper

    for node in model.graph.node:
        for i, name in enumerate(node.input):
            if name == "label":
                node.input[i] = "foreign_label"
    model.graph.initializer.append(numpy_helper.from_array(np.array(labels, np.int64), "labels_there"))
    model.graph.node.insert(0, helper.make_node("Gather", ["labels_there", "label"], ["foreign_label"], axis=0))


def _open_session(path: Path) -> onnxruntime.InferenceSession:
    import onnxruntime

    from ops.generators.onnx.engine import session_options

    return onnxruntime.InferenceSession(path, session_options(), providers=["CPUExecutionProvider"])


def _format_shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, (*shape[1:], shape[0])))
