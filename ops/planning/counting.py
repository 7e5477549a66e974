"""How many images an expansion would have, from the labels of its source alone: a second, where reading takes minutes.

The counts are exact unless pixels decide them: where splits are drawn and equal images or groups stay together, or
where damaged images or copies are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ops.datasets.longtail import order_classes
from ops.datasets.subset import find_sizes
from ops.errors import UserError
from ops.recipe.data import DataSettings
from ops.sources.conversion import Converter
from ops.sources.layouts import LAYOUTS
from ops.sources.listing import SPLITS, Listing, report_missing
from ops.sources.spec import SourceSpec
from ops.workspaces.workspace import suggest


@dataclass(frozen=True, eq=False)
class Counted:
    """Images per class of each split, int64 [K]; `shape` is (height, width, channels).

    groups: groups of each split, about; {} where the source has none.
    """

    class_names: tuple[str, ...]
    images: dict[str, np.ndarray]
    shape: tuple[int, int, int]
    is_exact: bool
    groups: Mapping[str, int] = field(default_factory=dict)

    @property
    def totals(self) -> dict[str, int]:
        return {split: int(counts.sum()) for split, counts in self.images.items()}


def count_source(spec: SourceSpec, data: DataSettings, seed: int) -> Counted:
    """The counts with the recipe's `data`. UserError for a class that is not there; else raises as the layout."""
    listings = LAYOUTS[spec.kind].list_splits(spec)
    known = listings["train"].class_names
    names = known if data.classes is None else data.classes
    for name in names:
        if name not in known:
            raise UserError(f"source {spec.name}: unknown class {name}; {suggest(name, list(known))}")
    images = {split: _count(listings[split], names) for split in SPLITS if split in listings}
    if spec.split is not None and (divided := spec.split.validation_from) in images:
        from ops.datasets.splits import count_targets  # imports scipy, which takes a tenth of a second

        shares = {"validation": spec.split.validation or 0.0, "test": spec.split.test or 0.0}
        drawn = count_targets(images[divided], **shares)
        images |= {split: drawn[SPLITS.index(split)] for split, share in shares.items() if share}
        images[divided] = drawn[0]
    if missing := [split for split in SPLITS if split not in images]:
        raise report_missing(
            spec,
            f"source {spec.name}: it has no {missing[0]} images; draw them from train with"
            f" `split: {{{missing[0]}: 0.2}}` in its description",
        )
    if data.images_per_class is not None:
        for split in ("train", "validation"):
            images[split] = np.minimum(images[split], data.images_per_class)
    if data.long_tail is not None:
        images["train"] = _thin_out(images["train"], data, seed)
    exact = spec.split is None and not spec.skip_damaged and not spec.skip_copies
    return Counted(
        tuple(names), images, _find_shape(spec, listings["train"]), exact, _count_groups(spec, listings, names)
    )


def _count_groups(spec: SourceSpec, listings: Mapping[str, Listing], names: Sequence[str]) -> dict[str, int]:
    """Groups of each split with images of these classes; a drawn split has its share of them."""
    found = {}
    for split, listing in listings.items():
        if listing.groups is not None:
            chosen = [label for label, name in enumerate(listing.class_names) if name in names]
            groups = listing.groups[np.isin(listing.labels, chosen)]
            found[split] = len(np.unique(groups[groups != ""])) + int((groups == "").sum())
    if spec.split is not None and (whole := found.get(spec.split.validation_from)) is not None:
        shares = {"validation": spec.split.validation or 0.0, "test": spec.split.test or 0.0}
        drawn = {split: max(1, round(share * whole)) for split, share in shares.items() if share}
        found |= drawn | {spec.split.validation_from: whole - sum(drawn.values())}
    return found


def _count(listing: Listing, names: tuple[str, ...]) -> np.ndarray:
    found = np.bincount(listing.labels, minlength=len(listing.class_names))
    by_name = dict(zip(listing.class_names, found.tolist(), strict=True))
    return np.array([by_name.get(name, 0) for name in names], np.int64)


def _thin_out(counts: np.ndarray, data: DataSettings, seed: int) -> np.ndarray:
    """A long tail's counts, at most those that are there."""
    assert data.long_tail is not None
    labels = np.repeat(np.arange(len(counts)), counts)
    order = order_classes(labels, len(counts), class_order=data.long_tail.order, seed=seed)
    sizes = np.empty(len(counts), np.int64)
    sizes[order] = find_sizes(data.long_tail, labels, len(counts), seed)
    return sizes if data.nuisance is not None else np.minimum(sizes, counts)


def _find_shape(spec: SourceSpec, train: Listing) -> tuple[int, int, int]:
    """Of the first, a middle and the last training image, as they are converted."""
    count = len(train.labels)
    if not count:
        raise UserError(f"source {spec.name}: it has no train images")
    converter, shapes = Converter(spec), []
    for piece in train.load(np.unique([0, count // 2, count - 1])):
        images, _ = converter.convert(piece)
        shapes += [image.shape for image in images]
    if not shapes:
        raise UserError(f"source {spec.name}: the first, a middle and the last train image are damaged")
    height, width = shapes[0][:2]
    return height, width, max(shape[2] for shape in shapes)
