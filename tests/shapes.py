"""Pictures of known quality: boxes or discs in any two colours, with sharp edges and plain faces."""

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor


def draw_shapes(count: int, seed: int, side: int = 24) -> tuple[Tensor, np.ndarray]:
    """uint8 [count, 3, side, side] and labels int64 [count]: 0 for three boxes, 1 for three discs."""
    rng, images = np.random.default_rng(seed), []
    labels = np.arange(count) % 2
    for label in labels:
        picture = Image.new("RGB", (4 * side, 4 * side), tuple(rng.integers(0, 100, 3).tolist()))
        pen = ImageDraw.Draw(picture)
        for _ in range(3):
            x, y, wide, high = (rng.uniform(0.1, 0.5, 4) * 4 * side).tolist()
            shape = pen.ellipse if label else pen.rectangle
            shape((x, y, x + wide, y + high), fill=tuple(rng.integers(90, 256, 3).tolist()))
        images.append(np.asarray(picture.resize((side, side), Image.Resampling.BOX)).transpose(2, 0, 1))
    return torch.from_numpy(np.stack(images).copy()), labels
