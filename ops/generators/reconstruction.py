"""How near the images that are decoded of codes come to the images that were encoded."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor


def measure_reconstruction(
    rebuild: Callable[[Tensor], Tensor], images: Tensor, pool: ThreadPoolExecutor, device: str, *, part: int, most: int
) -> float:
    """Mean absolute difference of images uint8 [n, C, H, W] from what `rebuild` makes of them, in grey levels.

    At most `most` of them are examined, `part` at a time. rebuild : of images float [m, C, H, W] in -1..1 on `device`.
    """

    def compare(some: Tensor) -> Tensor:
        x = some.to(device).float() / 127.5 - 1
        with torch.inference_mode():
            again = rebuild(x).clamp(-1, 1)
        return (again - x).abs().flatten(1).mean(dim=1).double().cpu()

    examined = images[:: -(-len(images) // most)]
    return round(127.5 * float(torch.cat(list(pool.map(compare, examined.split(part)))).mean()), 4)
