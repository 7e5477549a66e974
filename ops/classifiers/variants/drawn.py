"""Variants that the generator draws while a network learns: the stored ones from the same noise, then fresh ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ops.classifiers.variants.transform import UNLIMITED
from ops.generators.drawers import Drawer, DrawerSpec
from ops.generators.feeds import SeedImages, make_feeds
from ops.generators.units import Run, Unit

BATCH = 32  # images that are drawn at a time; it decides no pixel


class Drawn:
    """Variants by an exported sampler on the CPU, fed as the chain feeds it.

    The k-th accepted draw of an image is its variant k. Where these end, the draws after the last one of the chain
    follow, which no filter has seen. An image without an accepted draw has no variant: what the filters or the gate
    refuse is not drawn here either.
    """

    def __init__(
        self,
        spec: DrawerSpec,
        seed: int,
        labels: Mapping[str, int],
        accepted: Mapping[str, Sequence[int]],
        drawn: Mapping[str, int],
    ) -> None:
        """seed: of the generator's noise. By image: its label, the numbers of its accepted draws, and all its draws."""
        self.spec, self.seed, self.labels, self.accepted, self.drawn = spec, seed, labels, accepted, drawn

    @cached_property
    def drawer(self) -> Drawer:
        """It is opened by the first draw, in the process that trains."""
        return self.spec.open("cpu", BATCH)

    def __getstate__(self) -> dict[str, Any]:
        """Without an open drawer, which no other process can take over."""
        return {name: value for name, value in vars(self).items() if name != "drawer"}

    def apply(self, images: np.ndarray, keys: Sequence[str], ks: np.ndarray) -> np.ndarray:
        if bare := [key for key in keys if not self.accepted.get(key)]:
            raise KeyError(f"there is no variant of {bare[0]}")
        labels = [self.labels[key] for key in keys]
        runs = [
            Run(Unit(key, label, key), self._find_number(key, k))
            for key, label, k in zip(keys, labels, ks.tolist(), strict=True)
        ]
        seeds, info = SeedImages(images, keys, np.array(labels)), self.drawer.info
        return self.drawer.draw(make_feeds(info.inputs, info.shape, runs, seed=self.seed, seeds=seeds))

    def count(self, keys: Sequence[str]) -> np.ndarray:
        return np.array([UNLIMITED if self.accepted.get(key) else 0 for key in keys], np.int64)

    def _find_number(self, key: str, k: int) -> int:
        """The number of the draw that is variant k."""
        accepted = self.accepted[key]
        return accepted[k] if k < len(accepted) else self.drawn[key] + k - len(accepted)
