"""What a kind of generator must have beyond `Kind` so that its network describes images (`ops.labelling` probes it).

Its section of the recipe says `has_features = True`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np


class OpenedFeatures(Protocol):
    """The features of a trained network. Those of an image do not depend on the images beside it."""

    @property
    def blocks(self) -> tuple[str, ...]:
        """Names of the parts of the network that describe images."""
        ...

    def describe(
        self, images: np.ndarray, share: float, blocks: Sequence[str], pool: ThreadPoolExecutor
    ) -> dict[str, np.ndarray]:
        """Float32 [n, F] of each of these blocks, for images uint8 [n, H, W, C] with this share of noise, above 0 and
        below 1; `pool` is of `start_threads`."""
        ...


@runtime_checkable
class DescribingKind(Protocol):
    """A kind whose network describes images."""

    def open_features(self, folder: Path, seed: int) -> OpenedFeatures:
        """Of the generator of a directory, on the CPU; `seed` is that of the noise."""
        ...
