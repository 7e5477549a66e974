"""What an answer of a pretrained vision network costs, from its folder's files alone: within a factor of two or three.

A multiplication and an addition count as two products. A transformer's are counted (Kaplan et al. 2020, table 1, with
attention); other networks are guessed from the number of their weights, each of which is used at every place of a map
of 1/32 of the image's side.
"""

from __future__ import annotations

from typing import Any

from ops.pretrained.folder import ModelFolder
from ops.pretrained.validation import DEFAULT_SIDE

NEEDED = ("hidden_size", "num_hidden_layers", "patch_size")  # of a transformer's config, each one number
REDUCTION, BYTES = 32, 4


def count_products(folder: ModelFolder) -> float:
    """Products of one image."""
    found = folder.config.get("vision_config", folder.config)
    config: dict[str, Any] = found if isinstance(found, dict) else {}
    side = config.get("image_size")
    if not isinstance(side, int):
        side = DEFAULT_SIDE
    if not all(isinstance(config.get(key), int) for key in NEEDED):
        weights = sum((folder.path / name).stat().st_size for name in folder.weights) / BYTES
        return 2.0 * weights * max(1, side // REDUCTION) ** 2
    size, layers = config["hidden_size"], config["num_hidden_layers"]
    inner = config.get("intermediate_size", 4 * size)
    places = (side // config["patch_size"]) ** 2 + 1
    return 2.0 * layers * places * (4 * size**2 + 2 * size * inner + 2 * places * size)
