"""The registry of export formats. A new format is a module with a writer, and one line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ops.exports.edm import check_zip, write_zip
from ops.exports.fiftyone import write_fiftyone
from ops.exports.folder import write_folder
from ops.exports.huggingface import write_huggingface
from ops.exports.npz import check_npz, write_npz
from ops.exports.published import Published
from ops.exports.webdataset import write_webdataset


def accept(dataset: Published) -> None:
    """The check of a format that can hold every dataset."""


@dataclass(frozen=True)
class Format:
    """`write` fills an empty folder. `check` runs before it: UserError for a dataset that the format cannot hold."""

    write: Callable[[Published, Path], None]
    check: Callable[[Published], None] = accept
    is_parquet: bool = False  # keeps the card's list of Parquet files


FORMATS: dict[str, Format] = {
    "huggingface": Format(write_huggingface, is_parquet=True),
    "folder": Format(write_folder),
    "fiftyone": Format(write_fiftyone),
    "webdataset": Format(write_webdataset),
    "zip": Format(write_zip, check_zip),
    "npz": Format(write_npz, check_npz),
}
