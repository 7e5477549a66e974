"""A labelled source as the user has it, described in `sources/<name>.yaml`, read as three pixel datasets.

The description is strict: a key that is not known is an error. Classes and images may be chosen; which images
a class gives depends on the seed, the split and the name of that class only, never on the other classes.

It knows nothing of recipes, and the layout of files in a folder is the business of `listings`.
"""

from __future__ import annotations

import difflib
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import yaml

from ops.datasets.listings import Listing, list_files, list_split
from ops.datasets.pixels import PixelDataset, build_rows, content_ids, number_repeats
from ops.datasets.png import name_shape
from ops.errors import UserError

SPLITS = ("train", "validation", "test")
KINDS = ("folder", "parquet")
_REQUIRED = ("kind", "path", "licence")
_KEYS = (*_REQUIRED, "size")


@dataclass(frozen=True)
class SourceSpec:
    """Where a source lies and what it is.

    name: of the file that describes it. kind: one of KINDS. path: its folder. licence: of the images, as its
    owner states it. size: side length in pixels that every image is brought to; None where all agree already.
    """

    name: str
    kind: str
    path: Path
    licence: str
    size: int | None = None


def load_source_spec(path_to_yaml: Path) -> SourceSpec:
    """Read a source's description; its `path` is relative to the file. UserError for any mistake in it."""
    where = path_to_yaml
    if not where.is_file():
        raise UserError(f"{where} does not exist; expected the description of a source")
    try:
        text = where.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or error
        raise UserError(f"{where}{line}: not valid YAML ({problem})") from error
    if not isinstance(values, dict) or not isinstance(node, yaml.MappingNode):
        raise UserError(f"{where}: expected keys and values; allowed keys: {', '.join(_KEYS)}")
    for key, times in Counter(str(key.value) for key, _ in node.value).items():
        if key not in _KEYS:
            raise UserError(f"{where}: unknown key {key}; nearest: {_nearest(key, _KEYS)}")
        if times > 1:
            raise UserError(f"{where}: key {key} is given {times} times; allowed: once")
    for key in _REQUIRED:
        if not isinstance(values.get(key), str) or not values[key]:
            raise UserError(f"{where}: key {key} is {values.get(key)!r}; expected a text")
    if values["kind"] not in KINDS:
        raise UserError(f"{where}: kind {values['kind']} is unknown; allowed: {', '.join(KINDS)}")
    size = values.get("size")
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
        raise UserError(f"{where}: size is {size!r}; allowed: a whole number of pixels, or no such key")
    folder = Path(os.path.normpath(where.parent / values["path"]))
    return SourceSpec(where.stem, values["kind"], folder, values["licence"], size)


def read_source(
    spec: SourceSpec, *, classes: Sequence[str] | None = None, per_class: int | None = None, seed: int = 0
) -> dict[str, PixelDataset]:
    """The splits train, validation and test, all of one image shape, with ids from the content of the images.

    classes: the names to keep, relabelled 0, 1, ... in this order; None keeps all in stored order. per_class:
    at most so many images of each class in train and as many in validation, drawn with `seed`; a smaller one
    draws a part of what a larger one draws. Test is never capped. Images keep their stored order. Where the
    source has a `size` and mixes grey and RGB, all become RGB. Equal images of a split get suffixes -1, -2.

    Raises UserError for a missing split, fewer than two classes, an unknown class, a class without images in
    train, images that differ without a `size`, an image in two splits; DamagedData as `listings.list_split`.
    """
    if per_class is not None and per_class < 1:
        raise UserError(f"source {spec.name}: per_class is {per_class}; allowed: whole numbers from 1")
    listings = {split: list_split(spec.kind, spec.path, split) for split in SPLITS}
    names = _choose_classes(spec, listings, classes)
    labels: dict[str, np.ndarray] = {}
    images: dict[str, list[np.ndarray]] = {}
    places: dict[str, list[str]] = {}
    first: tuple[str, np.ndarray] | None = None
    for split, listing in listings.items():
        cap = None if split == "test" else per_class
        indices, labels[split] = _choose_images(listing, names, cap, seed=seed, split=split)
        _require_images(spec, split, labels[split], names)
        images[split], places[split] = [], []
        for where, image in listing.load(indices, spec.size):
            first = first or (where, image)
            if spec.size is None and image.shape != first[1].shape:
                here, there = name_shape(image.shape), name_shape(first[1].shape)
                raise UserError(
                    f"source {spec.name}: {where} is {here} while {first[0]} is {there}; "
                    "make them agree or give the source a size"
                )
            images[split].append(image)
            places[split].append(where)
    channels = max(image.shape[2] for part in images.values() for image in part)
    stacks = {split: _stack(images[split], channels) for split in SPLITS}
    ids = {split: content_ids(stacks[split]) for split in SPLITS}
    _require_disjoint(spec, ids, places)
    rows = {split: build_rows(labels[split], number_repeats(ids[split]), split=split) for split in SPLITS}
    return {split: PixelDataset(stacks[split], rows[split], names) for split in SPLITS}


def hash_source(spec: SourceSpec) -> str:
    """SHA-256 (64 hex digits) over all that `read_source` makes images from: the files, and the side they come to.

    Raises as `listings.list_files`.
    """
    files = [path for split in SPLITS for path in list_files(spec.kind, spec.path, split)]
    total = hashlib.sha256()
    for path in sorted(files, key=lambda path: path.relative_to(spec.path).as_posix()):
        with path.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        name = path.relative_to(spec.path).as_posix()
        total.update(f"{name}\0{path.stat().st_size}\0{content}\n".encode())
    if spec.size is not None:
        total.update(f"size {spec.size}\n".encode())
    return total.hexdigest()


def _choose_classes(spec: SourceSpec, listings: dict[str, Listing], classes: Sequence[str] | None) -> tuple[str, ...]:
    known = listings["train"].class_names
    for split, listing in listings.items():
        for name in listing.class_names:
            if name not in known:
                raise UserError(f"source {spec.name}: class {name} of {split} is not a class of train")
    names = known if classes is None else tuple(classes)
    for name, times in Counter(names).items():
        if name not in known:
            raise UserError(f"source {spec.name}: unknown class {name}; nearest: {_nearest(name, known)}")
        if times > 1:
            raise UserError(f"source {spec.name}: class {name} is given {times} times; allowed: once")
    if len(names) < 2:
        raise UserError(f"source {spec.name}: {len(names)} classes are too few; at least 2 are needed")
    return names


def _choose_images(
    listing: Listing, names: tuple[str, ...], cap: int | None, *, seed: int, split: str
) -> tuple[np.ndarray, np.ndarray]:
    """Ascending int64 indices of the chosen images and their new labels."""
    new = {name: label for label, name in enumerate(names)}
    lookup = np.array([new.get(name, -1) for name in listing.class_names], np.int64)
    labels = lookup[listing.labels]
    keep = labels >= 0
    for label, name in enumerate(names):
        members = np.flatnonzero(labels == label)
        if cap is not None and len(members) > cap:
            key = hashlib.sha256(f"{seed}/{split}/{name}".encode()).digest()[:16]
            generator = np.random.Generator(np.random.Philox(key=np.frombuffer(key, "<u8")))
            keep[generator.permutation(members)[cap:]] = False
    indices = np.flatnonzero(keep)
    return indices, labels[indices]


def _require_images(spec: SourceSpec, split: str, labels: np.ndarray, names: tuple[str, ...]) -> None:
    counts = np.bincount(labels, minlength=len(names))
    if split == "train" and not counts.all():
        raise UserError(f"source {spec.name}: class {names[int(counts.argmin())]} has no images in train")
    if len(labels) == 0:
        raise UserError(f"source {spec.name}: {split} has no images of the classes {', '.join(names)}")


def _require_disjoint(spec: SourceSpec, ids: Mapping[str, Sequence[str]], places: Mapping[str, Sequence[str]]) -> None:
    """An image that was learnt from, or chosen on, measures nothing when it is asked for."""
    for one, other in combinations(SPLITS, 2):
        there = dict(zip(ids[other], places[other], strict=True))
        shared = [(here, there[name]) for name, here in zip(ids[one], places[one], strict=True) if name in there]
        if shared:
            raise UserError(
                f"source {spec.name}: {len(shared)} of {len(ids[one])} images of {one} are in {other} too,"
                f" e.g. {shared[0][0]} and {shared[0][1]}; remove them from {one}"
            )


def _stack(images: list[np.ndarray], channels: int) -> np.ndarray:
    stack = np.empty((len(images), *images[0].shape[:2], channels), np.uint8)
    for index, image in enumerate(images):
        stack[index] = image  # grey fills all channels
    return stack


def _nearest(word: str, allowed: Iterable[str]) -> str:
    return difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.0)[0]
