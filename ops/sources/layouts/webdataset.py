"""WebDataset: tar archives whose members `<key>.png` and `<key>.cls` (or `<key>.json`) belong together.

`train-000000.tar` and so on, or `train/*.tar`; archives without a split in their name are all train. A label is a
number or a text in `.cls`, or the value of the key `label:` in `.json`. `classnames.txt` beside the archives names
the classes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from ops.errors import DamagedData, UserError
from ops.files.storage import parse_json
from ops.settings.reading import shorten
from ops.sources.archives import Member, list_tar, read_members
from ops.sources.conversion import SUFFIXES
from ops.sources.listing import (
    ALIASES,
    MAX_LABEL,
    MAX_TEXT,
    SPLITS,
    Layout,
    Listing,
    Piece,
    name_labels,
    read_text,
    require_files,
    require_path,
    to_texts,
)
from ops.sources.spec import SourceSpec

_INTEGER = re.compile(r"-?\d+")
_MAX_DIGITS = 21  # with the sign; enough to see that a number has more than 64 bits
NAMES = ("classnames.txt", "classes.txt")
FEW = 0.02  # of the images that are read: so many others are no part of the dataset
OTHER_FORMATS = (".gif", ".heic", ".heif", ".avif", ".jp2", ".jxl", ".dcm")  # of images that are not read


@dataclass(frozen=True)
class Sample:
    """One key of an archive: its image, and its label and group from the other members."""

    archive: Path
    image: Member
    label: str | int
    group: str


def recognise(root: Path) -> bool:
    return root.suffix == ".tar" or (root.is_dir() and any(_find_archives(root).values()))


def list_files(spec: SourceSpec) -> list[Path]:
    root = require_path(spec, "tar archives such as train-000000.tar")
    archives = [path for paths in _find_archives(root).values() for path in paths]
    if not archives:
        raise UserError(f"{root} has no .tar archives; expected files such as train-000000.tar")
    return [*require_files(archives), *filter(None, [_find_names(root)])]


def list_splits(spec: SourceSpec) -> dict[str, Listing]:
    list_files(spec)
    samples = {
        split: [sample for path in paths for sample in _read_samples(path, spec)]
        for split, paths in _find_archives(spec.root).items()
    }
    columns = {split: _column([sample.label for sample in found]) for split, found in samples.items()}
    path = _find_names(spec.root)
    names = read_text(path).splitlines() if path else None

    def name(split: str, row: int) -> str:
        return f"{samples[split][row].archive}, {samples[split][row].image.name}"

    class_names, labels = name_labels(columns, spec, name, names)
    return {
        split: Listing(
            class_names,
            labels[split],
            lambda indices, found=found: _load(found, indices),  # type: ignore[misc]
            to_texts([sample.group for sample in found], spec.root) if spec.group else None,
        )
        for split, found in samples.items()
    }


def _find_archives(root: Path) -> dict[str, list[Path]]:
    if root.is_file():
        return {"train": [root]}
    found = {}
    for split in SPLITS:
        for alias in ALIASES[split]:
            paths = sorted([*root.glob(f"{alias}*.tar"), *(root / alias).glob("*.tar")])
            if paths:
                found[split] = paths
                break
    return found or {split: paths for split, paths in [("train", sorted(root.glob("*.tar")))] if paths}


def _find_names(root: Path) -> Path | None:
    folder = root.parent if root.is_file() else root
    return next((folder / name for name in NAMES if (folder / name).is_file()), None)


def _column(labels: list[str | int]) -> np.ndarray:
    return np.array(labels, np.int64) if all(isinstance(label, int) for label in labels) else np.array(labels, str)


def _read_samples(path: Path, spec: SourceSpec) -> Iterator[Sample]:
    keys: dict[str, dict[str, Member]] = {}
    for member in list_tar(path):
        place = PurePosixPath(member.name)
        stem, _, extension = place.name.partition(".")
        parts = keys.setdefault(str(place.parent / stem), {})
        if (other := parts.get(extension.lower())) is not None:
            if other.name != member.name:
                raise UserError(f"{path}: {other.name!r} and {member.name!r} differ only in case; rename or remove one")
            raise DamagedData(f"{path}: the archive has the member {member.name!r} twice")
        parts[extension.lower()] = member
    _require_read(path, keys)
    for key, parts in keys.items():
        if not (images := _list_images(parts)):
            continue  # not an image sample, perhaps text
        if len(images) > 1:
            raise UserError(f"{path}, key {key}: the key has {len(images)} images; allowed: one")
        facts = _read_json(path, parts["json"]) if "json" in parts else {}
        label = _read_label(path, key, parts, facts, spec)
        if spec.group is not None and spec.group not in facts:
            raise UserError(f"{path}, key {key}: its .json has no {spec.group}; add it, or remove group")
        yield Sample(path, images[0], label, _read_group(facts, spec))


def _list_images(parts: dict[str, Member]) -> list[Member]:
    return [parts[suffix[1:]] for suffix in SUFFIXES if suffix[1:] in parts]


def _require_read(path: Path, keys: dict[str, dict[str, Member]]) -> None:
    """UserError for images of keys of which none is read: with more dots in their names, or of another format.

    A few among many, such as a preview, are left aside.
    """
    read = sum(bool(_list_images(parts)) for parts in keys.values())
    others = [member for parts in keys.values() if not _list_images(parts) for member in parts.values()]
    for suffixes, remedy in (
        (SUFFIXES, "a key ends at the first dot of a name; replace the dots before the suffix, for instance by _"),
        (OTHER_FORMATS, f"their format is not supported; convert them to one of {', '.join(SUFFIXES)}"),
    ):
        names = [place.name for place in (PurePosixPath(member.name) for member in others) if place.name[0] != "."]
        lost = [name for name in names if name.lower().endswith(suffixes)]
        if len(lost) > FEW * read:
            raise UserError(
                f"{path}: {len(lost):,} image{'s' * (len(lost) > 1)} such as {lost[0]} cannot be read, because {remedy}"
            )


def _read_group(facts: dict[str, object], spec: SourceSpec) -> str:
    value = None if spec.group is None else facts[spec.group]
    return "" if value is None else str(value)


def _read_label(
    path: Path, key: str, parts: dict[str, Member], facts: dict[str, object], spec: SourceSpec
) -> str | int:
    label: object = facts.get(spec.label)
    if "cls" in parts:
        text = read_members(path, [parts["cls"]])[0].decode("utf-8", "replace").strip()
        label = int(text[:_MAX_DIGITS]) if _INTEGER.fullmatch(text) else text
    if type(label) is int and -MAX_LABEL <= label <= MAX_LABEL:
        return label
    if isinstance(label, str) and 0 < len(label) <= MAX_TEXT:
        return label
    allowed = "a text or whole number of 64 bits in .cls or .json"
    raise UserError(f"{path}, key {key}: label is {shorten(label)}; allowed: {allowed}")


def _read_json(path: Path, member: Member) -> dict[str, object]:
    try:
        facts = parse_json(read_members(path, [member])[0])
    except ValueError as error:
        raise DamagedData(f"{path}, {member.name}: not valid JSON ({error})") from error
    if not isinstance(facts, dict):
        raise DamagedData(f"{path}, {member.name}: expected keys and values")
    return facts


def _load(samples: list[Sample], indices: np.ndarray) -> Iterator[Piece]:
    for start in range(0, len(indices), 256):
        chosen = [samples[index] for index in indices[start : start + 256]]
        contents: list[bytes | None] = []
        for archive in dict.fromkeys(sample.archive for sample in chosen):
            contents += read_members(archive, [sample.image for sample in chosen if sample.archive == archive])
        yield Piece(contents, lambda i, c=chosen: f"{c[i].archive}, {c[i].image.name}")  # type: ignore[misc]


LAYOUT = Layout(recognise, list_files, list_splits)
