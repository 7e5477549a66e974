"""Tiny ImageNet: `train/<wnid>/images/*.JPEG`, `val/val_annotations.txt` and `words.txt`.

Its test images have no labels, so its val split serves as test, as in the literature; draw validation from train with
`split: {validation: 0.1}`. The name of a class is its first word in `words.txt`, with the wnid if two classes share
the word.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from ops.errors import DamagedData
from ops.sources.conversion import SUFFIXES
from ops.sources.listing import (
    Layout,
    Listing,
    is_file,
    read_files,
    read_text,
    report_missing,
    require_files,
    require_path,
)
from ops.sources.spec import SourceSpec


def recognise(root: Path) -> bool:
    return root.is_dir() and (root / "val" / "val_annotations.txt").is_file()


def list_files(spec: SourceSpec) -> list[Path]:
    splits = _find_images(spec)
    require_files(path for images in splits.values() for path, _ in images)
    texts = [spec.root / name for name in ("words.txt", "val/val_annotations.txt") if (spec.root / name).is_file()]
    return [*texts, *(path for images in splits.values() for path, _ in images)]


def list_splits(spec: SourceSpec) -> dict[str, Listing]:
    splits = _find_images(spec)
    wnids = sorted({wnid for _, wnid in splits["train"]})
    numbers = {wnid: number for number, wnid in enumerate(wnids)}
    listings = {}
    for split, images in splits.items():
        for path, wnid in images:
            if wnid not in numbers:
                raise DamagedData(f"{path}: its class {wnid} has no folder in train")
        labels = np.array([numbers[wnid] for _, wnid in images], np.int64)
        paths = [path for path, _ in images]
        listings[split] = Listing(
            _name_classes(spec, wnids),
            labels,
            lambda indices, paths=paths: read_files(paths, indices),  # type: ignore[misc]
        )
    return listings


def _find_images(spec: SourceSpec) -> dict[str, list[tuple[Path, str]]]:
    """Image files with their wnid."""
    root = require_path(spec, "the unpacked tiny-imagenet-200.zip")
    annotations = root / "val" / "val_annotations.txt"
    train = [(path, path.parents[1].name) for path in sorted((root / "train").glob("*/images/*")) if _is_image(path)]
    if not train or not annotations.is_file():
        raise report_missing(
            spec, f"{root} has no train/<wnid>/images or no val/val_annotations.txt; expected Tiny ImageNet"
        )
    test = []
    for row, line in enumerate(read_text(annotations).splitlines()):
        name, _, rest = line.partition("\t")
        path = root / "val" / "images" / Path(name).name
        if not rest or not is_file(path):
            raise DamagedData(f"{annotations}, line {row + 1}: the image {name!r} is not in val/images")
        test.append((path, rest.partition("\t")[0]))
    return {"train": train, "test": test}


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _name_classes(spec: SourceSpec, wnids: list[str]) -> tuple[str, ...]:
    path = spec.root / "words.txt"
    lines = read_text(path).splitlines() if path.is_file() else []
    words = {wnid: text.partition(",")[0].strip() for wnid, _, text in (line.partition("\t") for line in lines)}
    names = [words.get(wnid) or wnid for wnid in wnids]
    times = Counter(names)
    return tuple(f"{name} ({wnid})" if times[name] > 1 else name for name, wnid in zip(names, wnids, strict=True))


LAYOUT = Layout(recognise, list_files, list_splits)
