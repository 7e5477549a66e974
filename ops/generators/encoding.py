"""What a kind of generator must have beyond `Kind` so that, as a prior, it gives an encoder to classifiers.

An encoder learnt on the prior's pool to describe an image. Arms that see the pool without generating fit a last layer
to what it sees, or go on training it (`ops.recipe.pool_arms`). Its section of the recipe says `encodes = True`. Images
are float32 [n, C, H, W] in -1..1. The module does not know what becomes of an encoder.

A kind whose features are found in another way, such as within a denoiser, has these three methods too. What was chosen
on the way, such as a block and a time, belongs in the config.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from ops.generators.feature_network import FeatureNetwork


@runtime_checkable
class EncodingKind(Protocol):
    """A kind that has an encoder."""

    def build_encoder(self, config: dict[str, Any]) -> FeatureNetwork:
        """The encoder that a config describes, newly initialised."""
        ...

    def load_encoder(self, folder: Path) -> tuple[FeatureNetwork, dict[str, Any]]:
        """The trained encoder of a generator's directory, and the config, plain JSON, that it is built from.

        DamagedData if the weights are missing or do not fit.
        """
        ...

    def count_encoding(self, settings: Any, shape: tuple[int, int, int]) -> float:
        """Products of encoding an image of `shape` (channels, H, W), without loading torch."""
        ...
