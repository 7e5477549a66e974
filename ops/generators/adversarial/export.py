"""Export a maker to ONNX: one graph from noise and label to images, which is alone enough to draw with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import torch

from ops.files.storage import replace_file
from ops.generators.adversarial.drawing import Drawing
from ops.generators.adversarial.pair import Maker
from ops.generators.feeds import IMAGE, LABEL, NOISE
from ops.generators.folder import SAMPLER
from ops.generators.onnx.metadata import describe_sampler
from ops.generators.onnx.modules import export_module
from ops.generators.onnx.simplify import simplify
from ops.generators.stored_network import save_network
from ops.recipe.sampler import SamplerSettings


def export_maker(maker: Maker, config: dict[str, Any], sampler: SamplerSettings, folder: Path, scratch: Path) -> Path:
    """Write the whole generator directory: config, weights and sampler; returns the sampler's path.

    The graph takes the exporter many seconds; it is reused if `scratch` holds it.
    """
    shape = (config["channels"], config["height"], config["width"])
    exported = scratch / SAMPLER
    if not exported.exists():
        example = (torch.zeros(3, *shape), torch.zeros(3, dtype=torch.int64))
        drawing = Drawing(maker, sampler.truncation)
        export_module(drawing, example, inputs=(NOISE, LABEL), outputs=(IMAGE,), path=exported)
    model = onnx.load(exported)
    facts = {"evaluations": "1"}
    if sampler.truncation is not None:
        facts["truncation"] = str(sampler.truncation)
    describe_sampler(model, kind=config["kind"], class_names=config["class_names"], shape=shape, **facts)
    save_network(folder, maker, config)
    path = folder / SAMPLER
    with replace_file(path) as temporary:
        onnx.save(simplify(model), str(temporary))
    return path
