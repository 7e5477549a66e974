"""Export MUNIT to ONNX: the sampler as one graph, and its two halves, so that a seed image is encoded once.

The halves are exported; the sampler is their nodes one after another, so all three draw the same variants.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import TensorProto, helper

from ops.files.storage import replace_file
from ops.generators.folder import CONTENT, DECODER, SAMPLER
from ops.generators.munit.drawing import Decoding, Encoding
from ops.generators.munit.network import Makers
from ops.generators.onnx.graph import name_apart
from ops.generators.onnx.metadata import describe_sampler
from ops.generators.onnx.modules import export_module
from ops.generators.stored_network import save_network
from ops.recipe.sampler import SamplerSettings


def export_munit(makers: Makers, config: dict[str, Any], sampler: SamplerSettings, folder: Path, scratch: Path) -> Path:
    """Write the whole generator directory: config, weights, both halves and sampler; returns the sampler's path.

    The halves take the exporter many seconds; they are reused if `scratch` holds them.
    """
    shape = (config["channels"], config["height"], config["width"])
    export_halves(makers, shape, sampler.settled_strength, scratch)
    save_network(folder, makers, config)
    for name in (CONTENT, DECODER):
        shutil.copyfile(scratch / name, folder / name)
    model = join_halves(onnx.load(scratch / CONTENT), onnx.load(scratch / DECODER), shape)
    describe_sampler(model, kind=config["kind"], class_names=config["class_names"], shape=shape, evaluations="1")
    path = folder / SAMPLER
    with replace_file(path) as temporary:
        onnx.save(model, str(temporary))
    return path


def export_halves(makers: Makers, shape: tuple[int, int, int], strength: float | None, folder: Path) -> None:
    """Write the graphs of `image` to its `content` (with a strength also its `own` style), and of these and `noise` to
    `variant`."""
    channels, height, width = shape
    image = torch.zeros(3, height, width, channels, dtype=torch.uint8)
    codes = ("content",) if strength is None else ("content", "own")
    encoding = Encoding(makers, strength)
    with torch.inference_mode():
        found = encoding(image)
    if not (folder / CONTENT).exists():
        export_module(encoding, (image,), inputs=("image",), outputs=codes, path=folder / CONTENT)
    if not (folder / DECODER).exists():
        example = (torch.zeros(3, *shape), *(code.clone() for code in found))
        export_module(
            Decoding(makers, strength),
            example,
            inputs=("noise", *codes),
            outputs=("variant",),
            path=folder / DECODER,
        )


def join_halves(content: onnx.ModelProto, decoder: onnx.ModelProto, shape: tuple[int, int, int]) -> onnx.ModelProto:
    """One graph: `noise` [n, C, H, W] and `image` uint8 [n, H, W, C] to `variant` uint8 [n, H, W, C]."""
    kept = {value.name for part in (content, decoder) for value in (*part.graph.input, *part.graph.output)}
    halves = [name_apart(part.graph, prefix, kept) for part, prefix in ((content, "content/"), (decoder, "decoder/"))]
    channels, height, width = shape
    graph = helper.make_graph(
        [node for half in halves for node in half.node],
        "munit sampler",
        [
            helper.make_tensor_value_info("noise", TensorProto.FLOAT, ["n", channels, height, width]),
            helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", height, width, channels]),
        ],
        [helper.make_tensor_value_info("variant", TensorProto.UINT8, ["n", height, width, channels])],
        [tensor for half in halves for tensor in half.initializer],
    )
    assert not content.functions and not decoder.functions
    return helper.make_model(
        graph, opset_imports=list(content.opset_import), producer_name="growset", ir_version=content.ir_version
    )
