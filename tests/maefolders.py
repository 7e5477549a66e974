"""A folder with a masked autoencoder of random weights, in the layout and under the names of the Hub.

It is written here, so transformers is not needed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from ops.generators.mae.network import build_mae
from ops.generators.mae.weights import DEFAULTS

CONFIG: dict[str, Any] = {
    "model_type": "vit_mae", "image_size": 12, "patch_size": 4, "hidden_size": 16, "num_hidden_layers": 1,
    "num_attention_heads": 2, "intermediate_size": 24, "decoder_hidden_size": 8, "decoder_num_hidden_layers": 1,
    "decoder_num_attention_heads": 2, "decoder_intermediate_size": 20,
}  # fmt: skip
PREPROCESSOR = {
    "feature_extractor_type": "ViTFeatureExtractor", "size": 12, "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.3, 0.25], "resample": 3,
}  # fmt: skip
FORMER = {  # names in a folder of the Hub, by ours
    ".q_proj.": ".attention.query.", ".k_proj.": ".attention.key.", ".v_proj.": ".attention.value.",
    ".o_proj.": ".output.dense.", ".mlp.fc1.": ".intermediate.dense.", ".mlp.fc2.": ".output.dense.",
    "vit.layers.": "vit.encoder.layer.",
}  # fmt: skip
FRAME = {"mode": "bicubic", "mean": PREPROCESSOR["image_mean"], "std": PREPROCESSOR["image_std"]}


def name_as_before(name: str) -> str:
    for new, old in FORMER.items():
        name = name.replace(new, old)
    return name


def write_folder(folder: Path, side: int = 12, **changes: Any) -> dict[str, Tensor]:
    """A folder `mae` below `folder` for images of `side` pixels, with random weights, which are returned by our names.

    `changes` are of its config.json alone.
    """
    path, config = folder / "mae", {**CONFIG, "image_size": side, **changes}
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps(config))
    (path / "preprocessor_config.json").write_text(json.dumps({**PREPROCESSOR, "size": side}))
    network = {**DEFAULTS, **CONFIG, "image_size": [side, side]}
    torch.manual_seed(4)
    mae = build_mae({"channels": 3, "height": side, "width": side, "network": network, "frame": None})
    own = {name: value for name, value in mae.state_dict().items() if name not in ("mean", "spread")}
    save_file({name_as_before(name): value for name, value in own.items()}, path / "model.safetensors")
    return own
