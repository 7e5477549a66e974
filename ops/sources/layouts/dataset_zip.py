"""ZIP archives with `dataset.json`, as EDM and StyleGAN use them: one archive, or `train.zip`, `val.zip`, `test.zip`.

`dataset.json` holds `{"labels": [["00000/img00000000.png", 6], …]}`; the numbers are their own names unless the
description has `class_names:`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ops.errors import DamagedData, UserError
from ops.files.storage import parse_json
from ops.settings.reading import shorten
from ops.sources.archives import open_zip, read_member
from ops.sources.listing import ALIASES, MAX_LABEL, SPLITS, Layout, Listing, Piece, name_labels, require_path
from ops.sources.spec import SourceSpec

INDEX = "dataset.json"


def recognise(root: Path) -> bool:
    return root.suffix == ".zip" or (root.is_dir() and bool(_find_archives(root)))


def list_files(spec: SourceSpec) -> list[Path]:
    archives = _find_archives(require_path(spec, "a .zip archive, or a folder with train.zip in it"))
    if "train" not in archives:
        raise UserError(f"{spec.root} has no train.zip; expected train.zip, and optionally val.zip and test.zip")
    return list(archives.values())


def list_splits(spec: SourceSpec) -> dict[str, Listing]:
    list_files(spec)
    archives = _find_archives(spec.root)
    entries = {split: _read_index(path) for split, path in archives.items()}
    columns = {split: np.array([label for _, label in found], np.int64) for split, found in entries.items()}

    def name(split: str, row: int) -> str:
        return f"{archives[split]}, {entries[split][row][0]}"

    names, labels = name_labels(columns, spec, name)
    return {
        split: Listing(
            names,
            labels[split],
            lambda indices, s=split: _load(archives[s], [entry[0] for entry in entries[s]], indices),  # type: ignore[misc]
        )
        for split in archives
    }


def _find_archives(root: Path) -> dict[str, Path]:
    if root.is_file():
        return {"train": root}
    return {
        split: root / f"{alias}.zip"
        for split in SPLITS
        for alias in reversed(ALIASES[split])
        if (root / f"{alias}.zip").is_file()
    }


def _read_index(path: Path) -> list[tuple[str, int]]:
    with open_zip(path) as archive:
        if INDEX not in archive.namelist():
            raise UserError(f"{path} holds no {INDEX} with labels; unpack it, and name the folder of class folders")
        try:
            index = parse_json(read_member(archive, INDEX, f"{path}, {INDEX}"))
        except ValueError as error:
            raise DamagedData(f"{path}, {INDEX}: not valid JSON ({error})") from error
    labels = index.get("labels") if isinstance(index, dict) else None
    if not isinstance(labels, list) or not labels:
        raise UserError(f"{path}, {INDEX}: the file has no labels; expected [[file, whole number], …]")
    for entry in labels:
        sound = isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], str)
        if not sound or type(entry[1]) is not int or not -MAX_LABEL <= entry[1] <= MAX_LABEL:
            fault = f"the entry {shorten(entry)} is not a label; allowed: [file, whole number]"
            raise UserError(f"{path}, {INDEX}: {fault}")
    return [(name, label) for name, label in labels]


def _load(path: Path, names: list[str], indices: np.ndarray) -> Iterator[Piece]:
    with open_zip(path) as archive:
        for start in range(0, len(indices), 256):
            chosen = [names[index] for index in indices[start : start + 256]]
            contents: list[bytes | None] = [read_member(archive, name, f"{path}, {name}") for name in chosen]
            yield Piece(contents, lambda i, c=chosen: f"{path}, {c[i]}")  # type: ignore[misc]


LAYOUT = Layout(recognise, list_files, list_splits)
