"""A folder with a masked autoencoder that learnt elsewhere: find it, check it, identify it, load its weights.

It holds a `ViTMAEForPreTraining` of transformers in the layout of the Hugging Face Hub. That package is not needed.
Nothing is downloaded, and only JSON and safetensors are opened. A check reads headers alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops.errors import DamagedData, UserError
from ops.files.model_folders import open_cache
from ops.generators.mae.sizes import Shape
from ops.pretrained.folder import CONFIG, ModelFolder, find_folder, identify, read_folder
from ops.pretrained.preprocessing import Preprocessing, read_preprocessing
from ops.recipe.mae import MaeWeightsSettings

if TYPE_CHECKING:
    from ops.generators.mae.network import Mae

KEY = "prior.weights"  # of the recipe's section, in messages
MOST_BYTES = 2**31 - 2**24  # of a graph in one ONNX file, with some room for its nodes
FLOAT_BYTES = 4
# What a config may leave out, as in `ViTMAEConfig`.
DEFAULTS: Mapping[str, Any] = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "image_size": 224,
    "patch_size": 16,
    "num_channels": 3,
    "qkv_bias": True,
    "layer_norm_eps": 1e-12,
    "decoder_hidden_size": 512,
    "decoder_num_hidden_layers": 8,
    "decoder_num_attention_heads": 16,
    "decoder_intermediate_size": 2048,
    "norm_pix_loss": False,
}
COUNTS, FLAGS = (tuple(name for name, value in DEFAULTS.items() if type(value) is kind) for kind in (int, bool))
EPSILON = "layer_norm_eps"
HALVES = ("", "decoder_")  # of a network, before its keys
# Names that weights have in a folder, and in the network; transformers renamed its modules, not the folders.
RENAMED: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (r"^vit\.encoder\.layer\.", "vit.layers."),
    (r"^decoder\.decoder_encoder\.layer\.", "decoder.decoder_layers."),
    (r"\.attention\.attention\.(query|key|value)\.", lambda found: f".attention.{found[1][0]}_proj."),
    (r"\.attention\.output\.dense\.", ".attention.o_proj."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"(\.\d+)\.output\.dense\.", r"\1.mlp.fc2."),
)


@dataclass(frozen=True)
class WeightsFolder:
    """network: as `sizes.describe_network` describes one. frame: keywords of `frame.Resizing`."""

    folder: ModelFolder
    network: dict[str, Any]
    frame: dict[str, Any]


def check_weights_folder(settings: MaeWeightsSettings, root: Path, shape: Shape) -> WeightsFolder:
    """The folder that the settings name, relative to `root`, for images of `shape`; its hash is not compared.

    UserError for a folder that is missing, holds another network or a pickle, prepares images in another way than by
    resizing them, is too large for one ONNX file, or does not fit the images; DamagedData for a damaged file.
    """
    folder = read_folder(find_folder(settings.model, root, KEY), KEY, kinds=("vit_mae",))
    network = _read_network(folder)
    side = network["image_size"][0]
    named = {"image_processor_type": "ViTImageProcessor", **folder.preprocessor}
    steps = read_preprocessing(replace(folder, preprocessor=named), KEY)
    _require_plain(folder, steps, side)
    _require_fitting(folder, network, shape)
    _require_small(folder)
    return WeightsFolder(folder, network, {"mode": steps.mode, "mean": list(steps.mean), "std": list(steps.std)})


def identify_weights(found: WeightsFolder, settings: MaeWeightsSettings, root: Path) -> str:
    """The folder's identity; UserError, with the right value, unless the settings state it.

    Reads all weights that have changed since the workspace `root` last read them.
    """
    return identify(found.folder, settings.sha256, KEY, open_cache(root, found.folder.path))


def load_weights(found: WeightsFolder, mae: Mae) -> None:
    """Put the folder's weights into the network, in float32; UserError if they do not fit it."""
    from safetensors.torch import load_file

    wanted = {name: value for name, value in mae.state_dict().items() if name not in ("mean", "spread")}
    given = {}
    for part in found.folder.weights:
        for name, value in load_file(found.folder.path / part).items():
            given[rename(name)] = value.float()
    path = found.folder.path
    if missing := sorted(wanted.keys() - given.keys()):
        raise UserError(f"{KEY}.model: the weights in {path} lack {missing[0]}")
    if strange := sorted(given.keys() - wanted.keys()):
        raise UserError(f"{KEY}.model: the weights in {path} hold {strange[0]}, which its {CONFIG} has no place for")
    for name, value in wanted.items():
        if value.shape != given[name].shape:
            raise UserError(
                f"{KEY}.model: in {path} the weights {name} are {list(given[name].shape)}, and its {CONFIG} needs"
                f" {list(value.shape)}"
            )
    mae.load_state_dict({**mae.state_dict(), **given})


def rename(name: str) -> str:
    """The network's own name of a weight in a folder.

    >>> rename("vit.encoder.layer.3.attention.attention.query.weight")
    'vit.layers.3.attention.q_proj.weight'
    """
    for pattern, new in RENAMED:
        name = re.sub(pattern, new, name)
    return name


def _read_network(folder: ModelFolder) -> dict[str, Any]:
    """The network of a config; UserError for one that this implementation does not have."""
    where = folder.path / CONFIG
    network = {name: folder.config.get(name, value) for name, value in DEFAULTS.items()}
    if (found := folder.config.get("hidden_act", "gelu")) != "gelu":
        raise UserError(f"{KEY}.model: {where} has hidden_act {found!r}; allowed: gelu")
    for name in ("image_size", "patch_size"):
        if isinstance(network[name], list):
            if len(set(network[name])) != 1:
                raise UserError(f"{KEY}.model: {where} has {name} {network[name]}; allowed: squares")
            network[name] = network[name][0]
    for name in COUNTS:
        if type(network[name]) is not int or network[name] < 1:
            raise DamagedData(f"{where} has {name} {network[name]!r}; it must be a number from 1 on")
    for name in FLAGS:
        if type(network[name]) is not bool:
            raise DamagedData(f"{where} has {name} {network[name]!r}; it must be true or false")
    if type(network[EPSILON]) not in (float, int) or network[EPSILON] <= 0:
        raise DamagedData(f"{where} has {EPSILON} {network[EPSILON]!r}; it must be a number above 0")
    for half in HALVES:
        width, heads = network[f"{half}hidden_size"], network[f"{half}num_attention_heads"]
        if width % heads or width % 4:
            raise DamagedData(f"{where} has {half}hidden_size {width}, which {heads} heads and 4 must divide")
    if network["image_size"] % network["patch_size"] or network["image_size"] == network["patch_size"]:
        raise DamagedData(f"{where} has image_size {network['image_size']}, no multiple of its patch_size")
    network["image_size"] = [network["image_size"]] * 2
    return network


def _require_plain(folder: ModelFolder, steps: Preprocessing, side: int) -> None:
    if steps.crop is not None or steps.resize != (side, side) or abs(255 * steps.scale - 1) > 1e-6:
        raise UserError(
            f"{KEY}.model: {folder.path} prepares images in another way than by resizing them to the {side} x {side} of"
            f" its {CONFIG} and dividing levels by 255"
        )


def _require_fitting(folder: ModelFolder, network: Mapping[str, Any], shape: Shape) -> None:
    channels, height, width = shape
    side = network["image_size"][0]
    if network["num_channels"] != 3:
        raise UserError(f"{KEY}.model: {folder.path} reads images of {network['num_channels']} channels; allowed: 3")
    if channels not in (1, 3):
        raise UserError(f"images of {channels} channels are not possible with prior.weights; allowed: 1 and 3")
    if height != width:
        raise UserError(
            f"images of {height} x {width} pixels are not square, and the network in {folder.path} reads squares; give"
            " the source a size"
        )
    if height > side:
        raise UserError(
            f"images of {height} x {width} pixels are larger than the {side} x {side} that the network in {folder.path}"
            " draws; give the source a smaller size"
        )


def _require_small(folder: ModelFolder) -> None:
    """UserError where the sampler would be larger than one ONNX file can be."""
    from safetensors import safe_open

    numbers = 0
    for part in folder.weights:
        with safe_open(folder.path / part, framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118 (it is no mapping)
                numbers += math.prod(file.get_slice(name).get_shape())
    if FLOAT_BYTES * numbers > MOST_BYTES:
        raise UserError(
            f"{KEY}.model: the network in {folder.path} has {numbers / 1e6:.0f} million weights, and its sampler must"
            " fit into an ONNX file of 2 GB; use a smaller one"
        )
