"""Decide whether a faster variant may replace the fp32 sampler, by a Fréchet distance on equal draws.

The caller supplies the distance and its features. Both samplers draw equally many images from the same noise and
labels, so that the distance's bias and most of its sampling error are common to both and cancel in the ratio.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ops.generators.drawers import draw_in_threads
from ops.generators.feeds import SeedImages, make_feeds, spread_draws
from ops.generators.onnx.engine import OnnxFile

TOLERANCE = 0.05
MIN_IMAGES = 2000
BATCH = 16

Frechet = Callable[[np.ndarray, np.ndarray], float]
"""Distance from the real images, 0 or more, of uint8 images [n, H, W, C] with int64 labels [n]."""


@dataclass(frozen=True)
class Gate:
    """The comparison and the decision.

    Attributes
    ----------
    frechet, reference : distance of the variant's and of the fp32 sampler's images from the real ones.
    ratio : frechet / reference.
    share_equal : share of grey levels that are equal in both.
    mean_difference : mean absolute difference in grey levels, 0..255.
    images : drawn by each sampler.
    """

    precision: str
    frechet: float
    reference: float
    ratio: float
    accepted: bool
    share_equal: float
    mean_difference: float
    images: int

    def to_dict(self) -> dict[str, Any]:
        """For metadata and JSON; a number that is not finite becomes None."""
        return {name: _as_json(value) for name, value in asdict(self).items()}


def accept_variant(
    reference: np.ndarray,
    variant: np.ndarray,
    labels: np.ndarray,
    frechet: Frechet,
    *,
    precision: str,
    tolerance: float = TOLERANCE,
) -> Gate:
    """Decide from the images that both samplers drew from the same noise.

    A variant is accepted if its distance is at most (1 + `tolerance`) times the reference's. It is never accepted if a
    distance is not finite.

    Parameters
    ----------
    reference, variant : uint8 [n, H, W, C], image i of both from the same noise and label.
    labels : int64 [n].

    Raises
    ------
    ValueError : if the shapes differ, the images are not uint8, or n < 2,000: with fewer images the difference of the
        distances depends more on the draw than on the variant.
    """
    if reference.shape != variant.shape or len(labels) != len(variant):
        raise ValueError(f"images {reference.shape} and {variant.shape} and {len(labels)} labels cannot be paired")
    if reference.dtype != np.uint8 or variant.dtype != np.uint8:
        raise ValueError(f"images must be uint8; they are {reference.dtype} and {variant.dtype}")
    if len(variant) < MIN_IMAGES:
        raise ValueError(f"{len(variant)} images are too few to compare distances: at least {MIN_IMAGES:,}")
    before, after = float(frechet(reference, labels)), float(frechet(variant, labels))
    finite = math.isfinite(before) and math.isfinite(after)
    ratio = after / before if before > 0 else (1.0 if after == before else math.inf)
    difference = np.abs(reference.astype(np.int16) - variant.astype(np.int16))
    return Gate(
        precision=precision,
        frechet=after,
        reference=before,
        ratio=ratio,
        accepted=finite and ratio <= 1 + tolerance,
        share_equal=float((difference == 0).mean()),
        mean_difference=float(difference.mean()),
        images=len(variant),
    )


def draw_pairs(
    reference: Path, variant: Path, labels: np.ndarray, *, seed: int = 0, seeds: SeedImages | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Images of both samplers from the same feeds, twice uint8 [n, H, W, C], with labels int [n], and their parents.

    `seeds` are the seed images of samplers that take them; parents are rows of `seeds`, int64 [n], or None.
    """
    info = OnnxFile(reference).read_info()
    runs = spread_draws("gate", labels, seeds)
    feeds = make_feeds(info.inputs, info.shape, runs, seed=seed, seeds=seeds)
    one, other = (draw_in_threads(OnnxFile(path), feeds, BATCH) for path in (reference, variant))
    return one, other, None if seeds is None else seeds.find_parents(runs)


def _as_json(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
