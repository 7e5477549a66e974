"""What an exported sampler says of itself, in the metadata of its graph: what it draws, and how."""

from __future__ import annotations

import json
from collections.abc import Sequence

import onnx


def describe_sampler(
    model: onnx.ModelProto, *, kind: str, class_names: Sequence[str], shape: Sequence[int], **facts: str
) -> None:
    """Write kind, classes in label order, the range of pixels and the shape (channels, height, width) into the model,
    with what else is known, such as `evaluations` of the network for an image; then check the model."""
    onnx.helper.set_model_props(
        model,
        {
            "kind": kind,
            "labels": json.dumps(list(class_names), ensure_ascii=False),
            "range": "0..255",
            **facts,
            "shape": json.dumps(list(shape)),
        },
    )
    onnx.checker.check_model(model)
