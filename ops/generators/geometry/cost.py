"""Estimate the cost of the search for moves on this machine by timing a trial on noise."""

from __future__ import annotations

import time

import torch

from ops.generators.geometry.guessing import count_moved
from ops.generators.geometry.moves import Moves, Ranges
from ops.generators.protocol import Cost
from ops.metrics.random_network import embed_images
from ops.recipe.geometry import GeometrySettings

TIMED = 100  # images that are moved and described


def estimate_geometry(settings: GeometrySettings, shape: tuple[int, int, int]) -> Cost:
    """The search, as if every range of every move were tried, and one image; there are no steps."""
    channels, height, width = shape
    moves = Moves(shape, Ranges(settings.rotation, settings.scale, settings.shift, settings.mirror))
    images, noise = torch.zeros(TIMED, height, width, channels, dtype=torch.uint8), torch.randn(TIMED, *shape)
    with torch.inference_mode():
        moves(images, noise)  # the first call takes longer
        started = time.perf_counter()
        moved = moves(images, noise)
        drawn = time.perf_counter() - started
    embed_images(moved.permute(0, 3, 1, 2))
    once = time.perf_counter() - started
    return Cost(count_moved(settings) * once / TIMED, 0.0, drawn / TIMED)
