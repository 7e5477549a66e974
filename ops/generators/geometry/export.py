"""Export the moves to ONNX: `image` and `noise` in, `variant` out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import torch

from ops.files.storage import replace_file, write_json
from ops.generators.feeds import IMAGE, NOISE
from ops.generators.folder import CONFIG, SAMPLER
from ops.generators.geometry.moves import Moves
from ops.generators.onnx.engine import VARIANT
from ops.generators.onnx.metadata import describe_sampler
from ops.generators.onnx.modules import export_module


def export_geometry(moves: Moves, config: dict[str, Any], folder: Path) -> Path:
    """Write the whole generator directory: config and sampler; returns the sampler's path."""
    channels, height, width = config["channels"], config["height"], config["width"]
    example = (torch.zeros(3, height, width, channels, dtype=torch.uint8), torch.zeros(3, channels, height, width))
    path = folder / SAMPLER
    export_module(moves, example, inputs=(IMAGE, NOISE), outputs=(VARIANT,), path=path)
    model = onnx.load(path)
    shape = (channels, height, width)
    describe_sampler(model, kind=config["kind"], class_names=config["class_names"], shape=shape, evaluations="1")
    with replace_file(path) as temporary:
        onnx.save(model, str(temporary))
    write_json(folder / CONFIG, config)
    return path
