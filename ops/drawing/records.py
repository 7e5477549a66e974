"""How the images of a piece came about, as a file beside it: one row an image, for drawers that record it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from ops.errors import DamagedData
from ops.files.storage import replace_file


def write_records(path: Path, batches: Sequence[Mapping[str, np.ndarray]]) -> None:
    """Write the columns of consecutive batches, [n] or [n, d]; atomically."""
    columns = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    frame = pl.DataFrame([_make_series(name, values) for name, values in columns.items()])
    with replace_file(path) as temporary:
        frame.write_parquet(temporary, compression="zstd", statistics=True)


def read_records(paths: Sequence[Path]) -> pl.DataFrame:
    """The records of these files in order; DamagedData if one is missing or cannot be read."""
    frames = []
    for path in paths:
        try:
            frames.append(pl.read_parquet(path, glob=False))
        except (OSError, pl.exceptions.PolarsError) as error:
            raise DamagedData(f"{path} cannot be read ({error}); delete it, and it is drawn again") from None
    return pl.concat(frames)


def _make_series(name: str, values: np.ndarray) -> pl.Series:
    if values.ndim == 1:
        return pl.Series(name, values)
    flat = values.reshape(len(values), -1)
    return pl.Series(name, flat, pl.Array(pl.Float32, flat.shape[1])).cast(pl.List(pl.Float32))
