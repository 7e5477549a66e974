"""Features of images: what the blocks of a network that denoises make of a noised image (DDAE: Xiang et al. 2023).

To take noise away a network must know what is in an image, so its inner activations tell classes apart although it was
never told any. Which block tells most, and at how much noise, differs from network to network: `ops.labelling` chooses.

The loss of a kind decides what its network is fed, so it is evaluated here, and its value thrown away: the network sees
exactly what it sees in training. All images are given the same noise. So the features of an image are a function of the
image, the share of noise and the seed, whatever else is described with it, and noise tells no image from another.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ops.generators.denoising.network import ConditionalUNet
from ops.generators.denoising.space import PIXELS, Space
from ops.generators.folder import is_labelled
from ops.generators.kinds.denoiser import Denoiser
from ops.generators.levels import to_float

PART_IMAGES = 64  # images that a thread describes at a time
CELLS = 4  # along a side, of the grid over which activations are averaged


@dataclass(frozen=True, eq=False)
class DenoiserFeatures:
    """The features of a trained network. `label`: what it is told of every image, the same for all.

    seed : of the noise. cells : activations are averaged over a grid of cells x cells, fewer where a block has fewer.
    """

    maths: Denoiser
    network: ConditionalUNet
    label: int = 0
    seed: int = 0
    cells: int = CELLS
    space: Space[Tensor] = PIXELS

    @property
    def blocks(self) -> tuple[str, ...]:
        """The names of the blocks, in the order in which they compute."""
        return tuple(find_blocks(self.network))

    def describe(
        self, images: np.ndarray, share: float, blocks: Sequence[str], pool: ThreadPoolExecutor
    ) -> dict[str, np.ndarray]:
        """Float32 [n, channels · cells²] of each of these blocks, for images uint8 [n, H, W, C].

        share : of noise, as the kind's `noise_share` counts it, above 0 and below 1; 1 - t of a flow.
        pool : of `start_threads`; no bit depends on the number of threads.
        """
        parts = torch.from_numpy(np.ascontiguousarray(images)).split(PART_IMAGES)
        with watch(self.network, blocks) as seen:

            def describe_part(part: Tensor) -> dict[str, np.ndarray]:
                self._evaluate(part, share)
                return {name: pool_cells(seen.found[name], self.cells).numpy() for name in blocks}

            found = list(pool.map(describe_part, parts))
        return {name: np.concatenate([part[name] for part in found]) for name in blocks}

    def _evaluate(self, part: Tensor, share: float) -> None:
        """Show the network these images uint8 [n, H, W, C] as training would at this share of noise."""
        with torch.inference_mode():
            images = self.space.encode(to_float(part))
            generator = torch.Generator().manual_seed(self.seed)
            noise = torch.randn(images.shape[1:], generator=generator).expand_as(images)
            labels = torch.full((len(images),), self.label)
            level = torch.full((len(images),), self.maths.find_level(share))
            self.maths.loss(self.network, images, labels, noise, level)


def find_unlabelled(config: dict[str, Any]) -> int:
    """The label that tells the network of a generator's config.json no class; ValueError if it has none."""
    if not is_labelled(config):
        return 0
    if not config["drops_labels"]:
        raise ValueError("a network that was always told classes describes no image without one")
    return len(config["class_names"])


class Seen(threading.local):
    """What the blocks gave in this thread's last evaluation."""

    def __init__(self) -> None:
        self.found: dict[str, Tensor] = {}


def find_blocks(network: ConditionalUNet) -> dict[str, nn.Module]:
    """The U-Net's blocks by name, in order: down1 is the first after the image, the last `up` the one before it."""
    unet = network.unet
    downs = {f"down{number}": block for number, block in enumerate(unet.down_blocks, 1)}
    ups = {f"up{number}": block for number, block in enumerate(unet.up_blocks, 1)}
    return {**downs, "middle": unet.mid_block, **ups}


@contextmanager
def watch(network: ConditionalUNet, blocks: Sequence[str]) -> Iterator[Seen]:
    """Inside of it, `found` has float [n, C, h, w] of each of these blocks after an evaluation in the same thread."""
    seen, known = Seen(), find_blocks(network)

    def note(name: str, output: Tensor | tuple[Tensor, ...]) -> None:
        seen.found[name] = output[0] if isinstance(output, tuple) else output  # a block on the way down gives two

    handles = [
        known[name].register_forward_hook(lambda module, given, output, name=name: note(name, output))
        for name in blocks
    ]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def pool_cells(activations: Tensor, cells: int) -> Tensor:
    """Means float32 [n, C · rows · columns] over a grid of at most cells x cells, of activations [n, C, h, w]."""
    height, width = activations.shape[-2:]
    grid = min(cells, height), min(cells, width)
    return F.adaptive_avg_pool2d(activations.float(), grid).flatten(1)
