"""Read a described source as three pixel datasets: choose classes and images, draw splits, refuse leaks.

The images chosen from a class depend on the seed, the split and the name of that class only, never on the other
classes. The module does not know recipes; `layouts` finds the images, `conversion` converts them, `splitting` draws
splits and `equal_pictures` finds leaks.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ops.datasets.identity import content_ids, number_repeats
from ops.datasets.pixels import PixelDataset, build_rows
from ops.errors import UserError
from ops.files.hash_cache import HashCache
from ops.files.hashing import hash_file
from ops.sources.conversion import Converter
from ops.sources.equal_pictures import Dispute, find_dispute, leave_out_copies, require_disjoint
from ops.sources.layouts import LAYOUTS
from ops.sources.layouts.folder import guesses_splits
from ops.sources.listing import SPLITS, Listing, check_names, report_missing
from ops.sources.spec import SourceSpec
from ops.sources.splitting import LoadedSplit, cap_classes, draw_splits, link_units, require_whole_groups
from ops.sources.stacking import ImageStack

# Keys of a description that are not hashed with the others: they change no pixel, or (size) are hashed apart.
UNHASHED_KEYS = {"name", "kind", "path", "licence", "origin", "size", "allow_conflicts"}


@dataclass(frozen=True)
class SourceImages:
    """The splits train, validation and test, all of one image shape, and the number of images by kind of conversion.

    `disputed` has an entry for each split in which a picture has several labels, where the source allows that. `units`
    has the unit of each picture by its content id, where the source has groups (`ops.datasets.units.link_groups`).
    """

    splits: dict[str, PixelDataset]
    conversions: dict[str, int]
    disputed: tuple[Dispute, ...] = ()
    units: dict[str, int] = field(default_factory=dict)


def read_source(
    spec: SourceSpec, *, classes: Sequence[str] | None = None, per_class: int | None = None, seed: int = 0
) -> SourceImages:
    """All images of a source, with ids from their content.

    classes: the names to keep, relabelled 0, 1, ... in this order; None keeps all in stored order. per_class: the
    maximum of images of each class in train, and the same in validation, drawn with `seed`; a smaller maximum draws a
    subset of a larger one's images. Test is never capped. Images keep their stored order. If the source has a `size`
    and mixes grey and RGB, all become RGB. Equal images of a split get ids with suffixes -1, -2.

    UserError for a missing split, fewer than two classes, an unknown class, a class without images in train, images
    of different shapes without a `size`, 16-bit images with hardly a value in the upper byte, an image in two splits
    unless the source has `skip_copies`, a group in test and elsewhere or alone in test, a picture with two labels of a
    split unless it has `allow_conflicts`, and an image that `Converter` refuses; DamagedData for broken files and
    images.
    """
    if per_class is not None and per_class < 1:
        raise UserError(f"source {spec.name}: per_class is {per_class}; allowed: whole numbers from 1")
    listings = LAYOUTS[spec.kind].list_splits(spec)
    names = _choose_classes(spec, listings, classes)
    _require_splits(spec, listings)
    converter = Converter(spec)
    loaded: dict[str, LoadedSplit] = {}
    first = None
    for split, listing in listings.items():
        cap = None if split == "test" or spec.split is not None else per_class
        indices, labels = _choose_images(listing, names, cap, seed=seed, split=split)
        if not spec.skip_damaged:
            _require_images(spec, split, labels, names)
        loaded[split] = load_images(spec, listing, indices, labels, converter, first)
        first = first or loaded[split].stack.first
    converter.require_depth()
    if spec.split is not None:
        loaded = draw_splits(spec, loaded, names, per_class, seed)
    for split in SPLITS:
        _require_images(spec, split, loaded[split].labels, names)
    channels = max(part.stack.images.shape[3] for part in loaded.values())
    for split, part in loaded.items():
        if part.stack.images.shape[3] != channels:  # grey beside colour; ids are computed from the widened pixels
            part.stack.widen(channels)
            loaded[split] = replace(part, ids=np.array(content_ids(part.stack.images), str))
    if spec.skip_copies:
        loaded, skipped = leave_out_copies(loaded)
        if skipped:
            converter.counts["skipped, because a later split has them"] += skipped
            for split in SPLITS:
                _require_images(spec, split, loaded[split].labels, names)
    require_disjoint(spec, loaded)
    disputed = [dispute for split in SPLITS if (dispute := find_dispute(spec, split, loaded[split], names))]
    if disputed and not spec.allow_conflicts:
        raise UserError(disputed[0].refusal)
    units = link_units(loaded)
    require_whole_groups(spec, loaded, units)
    splits = {}
    for split in SPLITS:
        part = loaded.pop(split)
        rows = build_rows(part.labels, number_repeats(part.ids.tolist()), split=split)
        splits[split] = PixelDataset(part.stack.images, rows, names)
    return SourceImages(splits, dict(sorted(converter.counts.items())), tuple(disputed), units)


def read_training(spec: SourceSpec) -> PixelDataset:
    """All images of train, in stored order; images of no other split are opened. Raises as `read_source`."""
    listings = LAYOUTS[spec.kind].list_splits(spec)
    names = _choose_classes(spec, listings, None)
    indices, labels = _choose_images(listings["train"], names, None, seed=0, split="train")
    converter = Converter(spec)
    part = load_images(spec, listings["train"], indices, labels, converter, None)
    converter.require_depth()
    return PixelDataset(
        part.stack.images, build_rows(part.labels, number_repeats(part.ids.tolist()), split="train"), names
    )


def hash_source(spec: SourceSpec, cache: Path | None = None) -> str:
    """SHA-256 (64 hex digits) of everything that decides `read_source`'s images: the files and the conversion options.

    cache: the file of a `HashCache`; with None every byte is read. Raises as `Layout.list_files`.
    """
    return hash_files(spec, LAYOUTS[spec.kind].list_files(spec), cache)


def hash_files(spec: SourceSpec, files: Sequence[Path], cache: Path | None = None) -> str:
    """The same, of these files of the source."""
    hashes = HashCache(cache) if cache else None
    base = spec.root if spec.root.is_dir() else spec.root.parent
    names = {os.path.relpath(path, base).replace(os.sep, "/"): path for path in files}
    total = hashlib.sha256()
    for name in sorted(names):
        path = names[name]
        content = hashes.hash_file(base, name) if hashes else hash_file(path)
        total.update(os.fsencode(name) + f"\0{path.stat().st_size}\0{content}\n".encode())
    if hashes:
        hashes.save()
    if spec.size is not None:
        total.update(f"size {spec.size}\n".encode())
    if spec.group is not None:
        total.update(b"images without a group are apart\n")  # before, they were one group
    if spec.kind == "folder" and guesses_splits(spec.root):
        total.update(b"folders such as train2017 are splits\n")  # before, they were classes
    options = spec.model_dump(mode="json", exclude=UNHASHED_KEYS, exclude_defaults=True)
    if options:
        total.update(json.dumps(options, sort_keys=True).encode())
    return total.hexdigest()


def _choose_classes(
    spec: SourceSpec, listings: Mapping[str, Listing], classes: Sequence[str] | None
) -> tuple[str, ...]:
    known = listings["train"].class_names
    check_names(spec, known)
    forms: dict[str, str] = {}
    for name in known:
        form = unicodedata.normalize("NFKC", name).casefold()
        if form in forms:
            raise UserError(
                f"source {spec.name}: the classes {forms[form]!r} and {name!r} differ only in case or Unicode form;"
                " merge or rename them"
            )
        forms[form] = name
    for split, listing in listings.items():
        for name in listing.class_names:
            if name not in known:
                raise UserError(f"source {spec.name}: class {name} of {split} is not a class of train")
    names = known if classes is None else tuple(classes)
    for name, times in Counter(names).items():
        if name not in known:
            near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.0)[0]
            raise UserError(f"source {spec.name}: unknown class {name}; nearest: {near}")
        if times > 1:
            raise UserError(f"source {spec.name}: class {name} is given {times} times; allowed: once")
    if len(names) < 2:
        raise UserError(f"source {spec.name}: {len(names)} classes are too few; at least 2 are needed")
    return names


def _require_splits(spec: SourceSpec, listings: Mapping[str, Listing]) -> None:
    """UserError unless each split is either in the source or drawn, and not both."""
    drawn = set() if spec.split is None else {s for s in ("validation", "test") if getattr(spec.split, s) is not None}
    for split in ("validation", "test"):
        if split in drawn and split in listings:
            raise UserError(f"source {spec.name}: it has a {split} split already; take {split} out of split:")
        if split not in drawn and split not in listings:
            raise report_missing(
                spec,
                f"source {spec.name}: it has no {split} images; draw them from train with `split: {{{split}: 0.2}}`"
                " in its description",
            )


def _choose_images(
    listing: Listing, names: tuple[str, ...], cap: int | None, *, seed: int, split: str
) -> tuple[np.ndarray, np.ndarray]:
    """Ascending int64 indices of the chosen images and their new labels."""
    new = {name: label for label, name in enumerate(names)}
    lookup = np.array([new.get(name, -1) for name in listing.class_names], np.int64)
    labels = lookup[listing.labels]
    indices = cap_classes(labels, names, cap, seed=seed, split=split)
    return indices, labels[indices]


def load_images(
    spec: SourceSpec,
    listing: Listing,
    indices: np.ndarray,
    labels: np.ndarray,
    converter: Converter,
    first: tuple[str, tuple[int, ...]] | None,
) -> LoadedSplit:
    """The images at ascending `indices` of a split, converted; `first` as in `ImageStack`. Raises as `read_source`."""
    stack, kept, done = ImageStack(len(indices), spec.name, same_depth=spec.size is None, first=first), [], 0
    for piece in listing.load(indices):
        images, positions = converter.convert(piece)
        stack.add(images, positions, piece.name)
        kept.append(positions + done)
        done += len(piece)
    chosen = np.concatenate([np.empty(0, np.int64), *kept])
    stack.close()
    ids, groups = np.array(content_ids(stack.images), str), None
    if listing.groups is not None:
        groups = listing.groups[indices][chosen]
        groups = np.where(groups == "", ids, groups)  # an image that is in no group stays with its own copies alone
    return LoadedSplit(stack, labels[chosen], groups, ids)


def _require_images(spec: SourceSpec, split: str, labels: np.ndarray, names: tuple[str, ...]) -> None:
    counts = np.bincount(labels, minlength=len(names))
    if split == "train" and not counts.all():
        raise UserError(f"source {spec.name}: class {names[int(counts.argmin())]} has no images in train")
    if len(labels) == 0:
        raise UserError(f"source {spec.name}: {split} has no images of the classes {', '.join(names)}")
