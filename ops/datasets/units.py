"""Which real images belong together: equal pictures, and the groups (patients, tracks) that a source names.

A picture's key is its content id. Groups that share a picture are one unit. Pixel datasets hold no groups, so a stage
that needs them reads them from a table of keys beside the images. Folds are not known here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from ops.datasets.index import write_index
from ops.datasets.pixels import PixelDataset
from ops.files.outputs import GROUPS


def link_groups(keys: Sequence[str], groups: Sequence[str]) -> dict[str, int]:
    """The unit of each key, numbered from 0: keys of one group are one unit, and so are groups that share a key.

    >>> link_groups(["a", "b", "b", "c", "d"], ["x", "x", "y", "y", "z"])
    {'a': 0, 'b': 0, 'c': 0, 'd': 1}
    """
    from scipy import sparse

    names, of_key = np.unique(np.asarray(keys, dtype=str), return_inverse=True)
    found, of_group = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    total = len(names) + len(found)
    links = sparse.coo_array((np.ones(len(keys), np.bool_), (of_key, len(names) + of_group)), shape=(total, total))
    unit = sparse.csgraph.connected_components(links, directed=False)[1]
    return {str(name): int(number) for name, number in zip(names, unit[: len(names)], strict=True)}


def write_groups(folder: Path, units: Mapping[str, int]) -> None:
    """Write the unit of each key, as `link_groups` gives them, beside the images in `folder`."""
    write_index(
        folder / GROUPS,
        pl.DataFrame({"key": list(units), "unit": list(units.values())}, schema={"key": pl.String, "unit": pl.Int64}),
    )


def read_units(folder: Path, *datasets: PixelDataset) -> np.ndarray:
    """The unit int64 [n] of each image of the datasets, which lie in `folder`, one dataset after another."""
    return list_units(folder, *(dataset.rows for dataset in datasets))


def list_units(folder: Path, *tables: pl.DataFrame) -> np.ndarray:
    """As `read_units`, from the rows of pixel datasets: no image is opened."""
    return number_units(read_groups(folder), *tables)


def number_units(known: Mapping[str, int], *tables: pl.DataFrame) -> np.ndarray:
    """As `list_units`, where the unit of each key that has a group is known, as `link_groups` gives it."""
    keys = [key for rows in tables for key in list_keys(rows)]
    names = [f"group {known[key]}" if key in known else key for key in keys]
    return np.unique(np.asarray(names, dtype=str), return_inverse=True)[1].astype(np.int64)


def has_groups(folder: Path) -> bool:
    """Whether the source of the images in `folder` has groups."""
    return (folder / GROUPS).exists()


def find_units(folder: Path, rows: pl.DataFrame) -> np.ndarray | None:
    """The unit int64 [n] of each of these rows of pixel datasets in `folder`; None where the source has no groups."""
    return list_units(folder, rows) if has_groups(folder) else None


def read_groups(folder: Path) -> dict[str, int]:
    """What `write_groups` wrote; {} where the source has no groups."""
    if not has_groups(folder):
        return {}
    table = pl.read_parquet(folder / GROUPS)
    return dict(zip(table["key"], table["unit"], strict=True))


def list_keys(rows: pl.DataFrame) -> list[str]:
    """The content id of each real image's picture in the source, from rows of a pixel dataset."""
    names, parents = rows["image_id"].to_list(), rows["parent_id"].to_list()
    return [name.partition("-")[0] if parent is None else parent for name, parent in zip(names, parents, strict=True)]
