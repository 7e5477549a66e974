"""Features of images from a pretrained vision network, for distances such as Fréchet's.

A distance is only meaningful together with its features, so an extractor has a name that identifies its network. The
features are the architecture's pooled output: the image embedding of CLIP and SigLIP, the class token of DINOv2, ViT
and DeiT, the mean over positions of ConvNeXT, ResNet and Swin.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ops.pretrained.differentiable import Channels, prepare
from ops.pretrained.kinds import KINDS
from ops.pretrained.loading import load_network, run_batches
from ops.pretrained.preprocessing import Preprocessing
from ops.pretrained.validation import check_extractor


@dataclass(frozen=True, eq=False)
class Extractor:
    """An opened network. name: its architecture and the first 8 hex digits of its weights' sha256."""

    name: str
    preprocessing: Preprocessing
    network: Callable[[Tensor], Tensor]

    def features(self, images: Tensor) -> np.ndarray:
        """Features float32 [n, d] of uint8 images [n, C, H, W], C of 1 or 3."""
        return run_batches(self.network, images, self.preprocessing).numpy()

    def see(self, images: Tensor, mean: Channels = None, deviation: Channels = None) -> Tensor:
        """Features float32 [n, d] of images float [n, C, H, W] in 0..1, differentiable; as `Clip.see`."""
        return self.network(prepare(images, self.preprocessing, mean, deviation)).float()


def open_extractor(path: Path, *, key: str = "extractor") -> Extractor:
    """The network in the folder `path`.

    Raises as `ops.pretrained.validation.check_extractor` does, and UserError for a weight that is missing or of
    another size.
    """
    folder, preprocessing = check_extractor(path, key)
    kind = KINDS[folder.kind]
    options = {"add_pooling_layer": False} if kind.pooling == "class_token" else {}
    network = load_network(folder, kind.network, key, **options).requires_grad_(False)
    pool = POOLINGS[kind.pooling]
    return Extractor(
        name=f"{folder.kind}-{folder.hash_weights()[:8]}",
        preprocessing=preprocessing,
        network=lambda x: pool(network, x),
    )


def _project(network: Any, x: Tensor) -> Tensor:
    return network.get_image_features(pixel_values=x).pooler_output


def _take_pooled(network: Any, x: Tensor) -> Tensor:
    return network(pixel_values=x).pooler_output.flatten(1)


def _take_class_token(network: Any, x: Tensor) -> Tensor:
    return network(pixel_values=x).last_hidden_state[:, 0]


POOLINGS = {"projected": _project, "pooled": _take_pooled, "class_token": _take_class_token}
