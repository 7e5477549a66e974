"""Whether a drawer without a graph draws the same again: opened anew, and asked for one image at a time.

A generator that draws in torch alone has no exported copy that could differ from it. What can go wrong is that an
image depends on what its drawer drew before, on its neighbours where the drawer calls its network for several at a
time, or on something that one opening has and another has not. A drawer that calls it for one at a time, as pipelines
do on a CPU, has no neighbours.
"""

from __future__ import annotations

import numpy as np

from ops.generators.drawers import DrawerSpec
from ops.generators.feeds import SeedImages, cut_feeds, make_feeds, spread_draws
from ops.generators.onnx.parity import Parity

IMAGES = 4


def measure_repeats(
    spec: DrawerSpec, provider: str, *, images: int = IMAGES, seeds: SeedImages | None = None
) -> tuple[Parity, str]:
    """Grey-level differences between `images` draws asked for together and one by one, of two drawers on `provider`;
    and their number format.

    `seeds` are the seed images of a drawer that takes them.
    """
    info = spec.read_info()
    runs = spread_draws("parity", np.arange(images) % len(info.class_names), seeds)
    feeds = make_feeds(info.inputs, info.shape, runs, seed=0, seeds=seeds)
    together = spec.open(provider, images).draw(feeds)
    other = spec.open(provider, 1)
    alone = np.concatenate([other.draw(cut_feeds(feeds, slice(i, i + 1))) for i in range(images)])
    difference = np.abs(together.astype(np.int16) - alone.astype(np.int16))
    found = Parity(
        images=images,
        share_equal=float((difference == 0).mean()),
        share_beyond_one=float((difference > 1).mean()),
        max_difference=int(difference.max()),
    )
    return found, other.info.precision
