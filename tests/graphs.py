"""What the exported graphs of every kind that makes variants must do, in plain ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx

from ops.generators.feeds import Feeds, SeedImages, make_feeds, spread_draws
from ops.generators.onnx.engine import Sampler
from ops.generators.onnx.modules import OPSET

ROOT = Path(__file__).parents[1]
VARIES = ("noise", "image")


def feed_variants(seeds: SeedImages, count: int, *, inputs: tuple[str, ...] = VARIES, seed: int = 1) -> Feeds:
    """Feeds of `count` variants, of the seed images of each class in turn."""
    height, width, channels = seeds.images.shape[1:]
    runs = spread_draws("test", np.arange(count) % len(np.unique(seeds.labels)), seeds)
    return make_feeds(inputs, (channels, height, width), runs, seed=seed, seeds=seeds)


def assert_portable(folder: Path, names: Iterable[str]) -> None:
    """The graphs have one opset and names of their own, and name no folder of the machine that exported them."""
    for name in names:
        model, content = onnx.load(folder / name), (folder / name).read_bytes()
        assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)], name
        assert {node.domain for node in model.graph.node} <= {""} and not model.functions, name
        tensors = [tensor.name for tensor in model.graph.initializer]
        assert len(tensors) == len(set(tensors)), name
        assert str(ROOT).encode() not in content and b"site-packages" not in content, name


def read_metadata(path: Path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


def assert_apart(sampler: Sampler, feeds: Feeds) -> None:
    """Each variant depends on all of its own inputs, and on nothing of the batch."""
    drawn = sampler.draw(feeds)
    for size in (1, 2, 5):
        np.testing.assert_array_equal(sampler.with_batch_size(size).draw(feeds), drawn)
    for key, values in feeds.items():
        other = sampler.draw({**feeds, key: np.roll(values, 1, axis=0)})
        assert (other != drawn).any(axis=(1, 2, 3)).all(), key
