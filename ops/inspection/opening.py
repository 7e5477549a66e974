"""Every image of a source as it lies there: nothing is refused, whatever a run would say.

An image that cannot be read is noted with the reason. Sizes and modes are those of the files. The pixels that are kept
are small, because nothing here needs more; equal images are known by the ids of their full pixels.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageOps

from ops.datasets.identity import content_ids
from ops.datasets.units import link_groups
from ops.errors import DamagedData, UserError
from ops.machine.progress import Progress, Sink, ignore
from ops.sources.conversion import PILLOW_FORMATS, Converter, is_deep
from ops.sources.layouts import LAYOUTS
from ops.sources.layouts.folder import list_loose
from ops.sources.listing import SPLITS, Listing
from ops.sources.spec import SourceSpec

SIDE = 64  # pixels; larger images are shrunk to this
BACKGROUND = "white"  # what transparent pixels show where the source does not say it


@dataclass(frozen=True, eq=False)
class Counts:
    """Images per class before one is opened: `images` int64 [K, splits], `splits` those that the source has."""

    class_names: tuple[str, ...]
    splits: tuple[str, ...]
    images: np.ndarray


@dataclass(frozen=True, eq=False)
class Pictures:
    """n images that could be read, in the order of the source.

    images: uint8 [n, H, W, C], at most SIDE a side. labels: int64 [n]. splits: str [n]. ids: n content ids of the
    pixels before any resizing. names: where each lies. sizes: its stored (width, height). modes: its stored mode.
    units: int64 [n], equal for images that the source's groups keep together; None where it has no groups.
    """

    images: np.ndarray
    labels: np.ndarray
    splits: np.ndarray
    ids: list[str]
    names: list[str]
    sizes: list[tuple[int, int]] = field(default_factory=list)
    modes: list[str] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)  # (where, why)
    transparent: int = 0  # images with transparent pixels, put on the background
    units: np.ndarray | None = None
    shallow: str | None = None  # what is wrong with the values of 16-bit images, as a clause

    def __len__(self) -> int:
        return len(self.labels)


def count_images(listings: Mapping[str, Listing]) -> Counts:
    """Images per class and split; a class that is not in train comes last."""
    names = list(dict.fromkeys(name for listing in listings.values() for name in listing.class_names))
    splits = tuple(split for split in SPLITS if split in listings)
    images = np.zeros((len(names), len(splits)), np.int64)
    for column, split in enumerate(splits):
        listing = listings[split]
        found = np.bincount(listing.labels, minlength=len(listing.class_names))
        for name, count in zip(listing.class_names, found, strict=True):
            images[names.index(name), column] += count
    return Counts(tuple(names), splits, images)


def list_source(spec: SourceSpec) -> dict[str, Listing]:
    """The labels of each split; images that lie side by side in a folder are of one class. Raises as the layout."""
    loose = list_loose(spec)
    return LAYOUTS[spec.kind].list_splits(spec) if loose is None else {"train": loose}


def open_pictures(
    spec: SourceSpec, listings: Mapping[str, Listing], counts: Counts, *, limit: int, sink: Sink = ignore
) -> Pictures:
    """At most `limit` images of the source: small splits whole, the largest thinned evenly."""
    most = share_limit(counts.images.sum(axis=0), limit)
    total = int(np.minimum(counts.images.sum(axis=0), most).sum())
    converter = Converter(spec.model_copy(update={"size": None, "background": spec.background or BACKGROUND}))
    opened = _Opened(spec, converter)
    progress = Progress(sink, "read", total, "images")
    for split in counts.splits:
        listing, number = listings[split], len(listings[split].labels)
        chosen = np.arange(number)
        if number > most:
            chosen = np.unique(np.linspace(0, number - 1, most).astype(np.int64))
        places = {name: label for label, name in enumerate(counts.class_names)}
        labels = np.array([places[name] for name in listing.class_names], np.int64)[listing.labels[chosen]]
        groups = None if listing.groups is None else listing.groups[chosen]
        done = 0
        for piece in listing.load(chosen):
            for position in range(len(piece)):
                content = piece.content[position]
                group = None if groups is None else str(groups[done + position])
                opened.add(content, piece.name(position), int(labels[done + position]), split, group)
            done += len(piece)
            progress.update(len(opened))
    return opened.close()


def share_limit(sizes: np.ndarray, limit: int) -> int:
    """The most images of a split, so that splits of `sizes` int [s] give at most `limit` (and at least one each).

    >>> share_limit(np.array([1000, 1000, 10_000]), 5_000)
    3000
    """
    left, splits = limit, sorted(int(size) for size in sizes)
    for place, size in enumerate(splits):
        share = left // (len(splits) - place)
        if size > share:
            return max(1, share)
        left -= size
    return max([1, *splits])


class _Opened:
    """Collects images one by one."""

    def __init__(self, spec: SourceSpec, converter: Converter) -> None:
        self.spec, self.converter = spec, converter
        self.labels: list[int] = []
        self._groups: list[str | None] = []
        self._splits: list[str] = []
        self._ids: list[str] = []
        self._names: list[str] = []
        self._sizes: list[tuple[int, int]] = []
        self._modes: list[str] = []
        self._small: list[np.ndarray] = []
        self._unreadable: list[tuple[str, str]] = []

    def __len__(self) -> int:
        return len(self.labels) + len(self._unreadable)

    def add(self, content: object, where: str, label: int, split: str, group: str | None) -> None:
        name = self._shorten(where)
        if isinstance(content, np.ndarray):
            pixels, mode = content, "L" if content.shape[2] == 1 else "RGB"
            size = (content.shape[1], content.shape[0])
        else:
            payload: bytes | None = content if isinstance(content, bytes) or content is None else content.as_py()  # type: ignore[attr-defined]
            try:
                pixels = self.converter.convert_file(payload, where)
            except (DamagedData, UserError) as error:
                self._unreadable.append((name, str(error).removeprefix(f"{where}: ")))
                return
            assert payload
            header = Image.open(io.BytesIO(payload), formats=PILLOW_FORMATS)
            size, mode = header.size, header.mode + (", 16 bit" if is_deep(payload) else "")
        self._sizes.append(size)
        self._modes.append(mode)
        self._ids.extend(content_ids(pixels[np.newaxis]))
        self._small.append(shrink(pixels))
        self._names.append(name)
        self.labels.append(label)
        self._groups.append(group)
        self._splits.append(split)

    def close(self) -> Pictures:
        return Pictures(
            _bring_together(self._small, self.spec.fit),
            np.array(self.labels, np.int64),
            np.array(self._splits, dtype="<U10"),
            self._ids,
            self._names,
            self._sizes,
            self._modes,
            self._unreadable,
            self.converter.counts["put on the background"],
            self._link(),
            self.converter.describe_shallow(),
        )

    def _link(self) -> np.ndarray | None:
        """The unit of each image; every split of a source has groups, or none has."""
        if all(group is None for group in self._groups):
            return None
        units = link_groups(self._ids, [group or key for group, key in zip(self._groups, self._ids, strict=True)])
        return np.array([units[key] for key in self._ids], np.int64)

    def _shorten(self, where: str) -> str:
        """A place seen from the source's folder."""
        root = self.spec.root
        return where.removeprefix(f"{root if root.is_dir() else root.parent}/")


def shrink(pixels: np.ndarray) -> np.ndarray:
    """uint8 [h, w, C] averaged down so that no side is longer than SIDE."""
    height, width = pixels.shape[:2]
    factor = SIDE / max(height, width)
    if factor >= 1:
        return pixels
    return _resize(pixels, (max(1, round(height * factor)), max(1, round(width * factor))))


def _resize(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    return np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.BOX), np.uint8).reshape(*shape, -1)


def _bring_together(images: list[np.ndarray], fit: str) -> np.ndarray:
    """uint8 [n, H, W, C]: of one size already, or squares of the median side; grey among colour becomes colour."""
    if not images:
        return np.empty((0, 1, 1, 1), np.uint8)
    channels = max(image.shape[2] for image in images)
    shapes = {image.shape[:2] for image in images}
    if len(shapes) > 1:
        side = int(np.median([max(image.shape[:2]) for image in images]))
        images = [_fit(image, side, fit) for image in images]
    return np.stack([image if image.shape[2] == channels else np.repeat(image, channels, axis=2) for image in images])


def _fit(pixels: np.ndarray, side: int, fit: str) -> np.ndarray:
    if fit == "stretch":
        return _resize(pixels, (side, side))
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    bring = ImageOps.fit if fit == "crop" else ImageOps.pad
    return np.asarray(bring(image, (side, side), Image.Resampling.BICUBIC), np.uint8).reshape(side, side, -1)
