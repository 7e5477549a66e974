"""mlcroissant, asked in a process of its own.

It imports absl, whose log handler keeps the stderr of that moment and closes it when logging is configured anew:
under pytest that is the file which captures the output of all tests.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Description:
    """What the client made of a croissant.json: its complaints, and the records of each set, in order."""

    errors: list[str]
    records: dict[str, list[dict[str, Any]]]


def read_croissant(path: Path) -> Description:
    """Names without their set, texts decoded, images as arrays; raises what the client raises."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_read, path).result()


def _read(path: Path) -> Description:
    import mlcroissant

    described = mlcroissant.Dataset(jsonld=path)
    names = [record_set.name for record_set in described.metadata.record_sets]
    return Description(
        [str(error) for error in described.metadata.ctx.issues.errors],
        {
            name: [
                {key.removeprefix(f"{name}/"): _convert(value) for key, value in row.items()}
                for row in described.records(name)
            ]
            for name in names
        },
    )


def _convert(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    return np.asarray(value) if hasattr(value, "getbands") else value
