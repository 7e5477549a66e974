"""A generator of variants for tests: a variant is its seed image with noise on it, a little brighter for each label.

Seed image, noise and label are the inputs of its graph, which is written by hand; numpy says what it must draw. As a
kind of generator it is known after `register`, to this process alone; workers open its drawers by themselves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from pydantic import Tag

from ops.files.storage import replace_file, write_json
from ops.generators import registry
from ops.generators.drawers import DrawerSpec
from ops.generators.feeds import Feeds, SeedImages
from ops.generators.folder import CONFIG, find_fastest, read_config
from ops.generators.onnx.engine import OnnxFile
from ops.generators.protocol import Cost, Fitting
from ops.generators.torch_drawer import TorchFile
from ops.recipe import kinds as generator_settings
from ops.recipe.generator import KindSettings
from ops.recipe.sampler import SamplerSettings
from ops.recipe.schema import Recipe

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


class PerturbSettings(KindSettings):
    """The section `generator` of a recipe with this kind."""

    kind: Literal["perturb"] = "perturb"
    strength: float = STRENGTH
    drawer: Literal["onnx", "torch"] = "onnx"

    def list_inputs(self, sampler: SamplerSettings) -> tuple[str, ...]:
        return ALL


@dataclass(frozen=True)
class PerturbGenerator:
    """Draws in torch what the graph draws."""

    config: dict[str, Any]

    def sample(self, feeds: Mapping[str, torch.Tensor], sampler: SamplerSettings) -> torch.Tensor:
        total = feeds["image"].float() + self.config["strength"] * feeds["noise"].permute(0, 2, 3, 1)
        total = total + BRIGHTER * feeds["label"].float()[:, None, None, None]
        return total.clamp(0, 255).round().to(torch.uint8)

    def export(self, folder: Path, sampler: SamplerSettings, scratch: Path) -> Path:
        shape = (self.config["channels"], self.config["height"], self.config["width"])
        graph = build_perturb(shape, self.config["class_names"], strength=self.config["strength"])
        write_json(folder / CONFIG, self.config)
        path = folder / "sampler.onnx"
        with replace_file(path) as temporary:
            onnx.save(graph, str(temporary))
        return path


@dataclass(frozen=True)
class Perturb:
    """The kind: nothing is learnt, and its drawer is the recipe's choice."""

    name: str = "perturb"

    def check(self, settings: Any, root: Path, class_names: Sequence[str], shape: tuple[int, int, int]) -> None:
        """Nothing can be wrong."""

    def fit(self, settings: PerturbSettings, fitting: Fitting) -> dict[str, Any]:
        config = {**fitting.describe(self.name), "strength": settings.strength, "drawer": settings.drawer}
        write_json(fitting.out / CONFIG, config)
        generator = PerturbGenerator(config)
        fitting.watch(1.0).observe(0, lambda feeds: generator.sample(feeds, SamplerSettings()))
        return {"parameters": 1, "best_step": 0, "training_images": len(fitting.images), "precision": "fp32"}

    def load(self, folder: Path) -> PerturbGenerator:
        return PerturbGenerator(read_config(folder))

    def find_drawer(self, folder: Path) -> DrawerSpec:
        if read_config(folder)["drawer"] == "torch":
            return TorchFile(folder / CONFIG, self.load, ALL, SamplerSettings())
        return OnnxFile(find_fastest(folder))

    def estimate(self, settings: Any, sampler: Any, shape: tuple[int, int, int], classes: int, root: Path) -> Cost:
        return Cost(0.0, 0.0, 1e-5)


def register() -> None:
    """Make the kind known in this process, to recipes and to the registry, as its two lines there would."""
    field = Recipe.model_fields["generator"]
    if "perturb" not in generator_settings.KINDS:
        field.annotation = cast(Any, field.annotation) | Annotated[PerturbSettings, Tag("perturb")]
    generator_settings.KINDS["perturb"] = PerturbSettings
    registry.KINDS["perturb"] = cast(Any, Perturb())
    Recipe.model_rebuild(force=True)
