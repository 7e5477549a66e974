"""A generator of variants for tests: a variant is its seed image with noise on it, a little brighter for each label.

Seed image, noise and label are the inputs of its graph, which is written by hand; numpy says what it must draw.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper

from ops.generators.feeds import Feeds, SeedImages

STRENGTH, BRIGHTER = 24.0, 2.0  # grey levels for a noise of 1, and for each label
ALL = ("image", "noise", "label")


def build_perturb(
    shape: tuple[int, int, int], class_names: Sequence[str], *, strength: float = STRENGTH, inputs: Sequence[str] = ALL
) -> onnx.ModelProto:
    """The sampler of images (C, H, W); what is not among its `inputs` has no effect."""
    channels, height, width = shape
    kinds = {
        "noise": (TensorProto.FLOAT, ["n", channels, height, width]),
        "label": (TensorProto.INT64, ["n"]),
        "image": (TensorProto.UINT8, ["n", height, width, channels]),
    }
    constants = [
        helper.make_tensor("strength", TensorProto.FLOAT, [], [strength]),
        helper.make_tensor("brighter", TensorProto.FLOAT, [], [BRIGHTER]),
        helper.make_tensor("column", TensorProto.INT64, [4], [-1, 1, 1, 1]),
        helper.make_tensor("low", TensorProto.FLOAT, [], [0.0]),
        helper.make_tensor("high", TensorProto.FLOAT, [], [255.0]),
    ]
    nodes = {
        "noise": [
            helper.make_node("Transpose", ["noise"], ["turned"], perm=[0, 2, 3, 1]),
            helper.make_node("Mul", ["turned", "strength"], ["moved"]),
        ],
        "label": [
            helper.make_node("Cast", ["label"], ["number"], to=TensorProto.FLOAT),
            helper.make_node("Reshape", ["number", "column"], ["tall"]),
            helper.make_node("Mul", ["tall", "brighter"], ["lift"]),
        ],
        "image": [helper.make_node("Cast", ["image"], ["levels"], to=TensorProto.FLOAT)],
    }
    ends = {"noise": "moved", "label": "lift", "image": "levels"}
    written, total = [], None
    for name in ("image", "noise", "label"):
        if name in inputs:
            written += nodes[name]
            if total is not None:
                written.append(helper.make_node("Add", [total, ends[name]], [f"with_{name}"]))
            total = ends[name] if total is None else f"with_{name}"
    output = "variant" if "image" in inputs else "image"
    written += [
        helper.make_node("Clip", [total, "low", "high"], ["clipped"]),
        helper.make_node("Round", ["clipped"], ["rounded"]),
        helper.make_node("Cast", ["rounded"], [output], to=TensorProto.UINT8),
    ]
    graph = helper.make_graph(
        written,
        "perturb",
        [helper.make_tensor_value_info(name, *kinds[name]) for name in inputs],
        [helper.make_tensor_value_info(output, TensorProto.UINT8, kinds["image"][1])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(model, {"labels": json.dumps(list(class_names)), "shape": json.dumps(list(shape))})
    return model


def perturb(feeds: Feeds, strength: float = STRENGTH) -> np.ndarray:
    """What the sampler must draw, uint8 [n, H, W, C]."""
    total = feeds["image"].astype(np.float32) + np.float32(strength) * feeds["noise"].transpose(0, 2, 3, 1)
    total = total + np.float32(BRIGHTER) * feeds["label"].astype(np.float32)[:, None, None, None]
    images: np.ndarray = total.clip(0, 255).round().astype(np.uint8)
    return images


def draw_seeds(shape: tuple[int, int, int], labels: Sequence[int], seed: int = 0) -> SeedImages:
    """Random pictures with these labels, called s0, s1 and on."""
    channels, height, width = shape
    images = np.random.default_rng(seed).integers(0, 256, (len(labels), height, width, channels), np.uint8)
    return SeedImages(images, [f"s{row}" for row in range(len(labels))], np.array(labels))
