"""The splits of a source in memory, and those that are drawn from them: class by class, by the content of the images.

It knows pixels only by their ids. Which files the images lie in, and whether they may be used, is not known here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ops.errors import UserError
from ops.sources.listing import SPLITS
from ops.sources.spec import SourceSpec, SplitRule
from ops.sources.stacking import ImageStack

STAYS = 0  # of an image that no drawn split takes, as `assign_splits` has it


@dataclass(frozen=True, eq=False)
class LoadedSplit:
    """Decoded images of one split with their labels, groups (if any) and content ids."""

    stack: ImageStack
    labels: np.ndarray
    groups: np.ndarray | None
    ids: np.ndarray

    def select(self, indices: np.ndarray) -> LoadedSplit:
        """The images at ascending indices."""
        groups = None if self.groups is None else self.groups[indices]
        return LoadedSplit(self.stack.select(indices), self.labels[indices], groups, self.ids[indices])


def draw_splits(
    spec: SourceSpec, loaded: Mapping[str, LoadedSplit], names: tuple[str, ...], per_class: int | None, seed: int
) -> dict[str, LoadedSplit]:
    """Divide train, or test, by the description's rule; all splits are returned.

    `per_class` is applied afterwards to train and validation, so that it moves no image. Raises as `assign_splits`.
    """
    rule, found = spec.split, dict(loaded)
    assert rule is not None
    divided = loaded[rule.validation_from]
    assigned = _assign(rule, divided, names)
    found[rule.validation_from] = divided.select(np.flatnonzero(assigned == STAYS))
    for split in ("validation", "test"):
        if getattr(rule, split) is not None:
            found[split] = divided.select(np.flatnonzero(assigned == SPLITS.index(split)))
    for split in ("train", "validation"):
        part = found[split]
        found[split] = part.select(cap_classes(part.labels, names, per_class, seed=seed, split=split))
    return found


def keep_undrawn(rule: SplitRule, train: LoadedSplit, names: tuple[str, ...]) -> LoadedSplit:
    """The training images that stay in train when the rule is applied. Raises as `assign_splits`."""
    if rule.validation_from != "train":
        return train
    return train.select(np.flatnonzero(_assign(rule, train, names) == STAYS))


def _assign(rule: SplitRule, part: LoadedSplit, names: tuple[str, ...]) -> np.ndarray:
    """The drawn split of each image, int8 [n]: its place in SPLITS, or STAYS."""
    from ops.datasets.splits import assign_splits, assign_stable  # imports scipy, which takes a tenth of a second

    shares = {"validation": rule.validation or 0.0, "test": rule.test or 0.0}
    groups = None if part.groups is None else part.groups.tolist()
    if rule.stable:
        return assign_stable(part.ids.tolist(), **shares, seed=rule.seed, groups=groups)
    return assign_splits(part.labels, part.ids.tolist(), **shares, seed=rule.seed, groups=groups, class_names=names)


def cap_classes(labels: np.ndarray, names: tuple[str, ...], cap: int | None, *, seed: int, split: str) -> np.ndarray:
    """Ascending indices of at most `cap` images of each class; negative labels mark classes that are not chosen."""
    keep = labels >= 0
    for label, name in enumerate(names):
        members = np.flatnonzero(labels == label)
        if cap is not None and len(members) > cap:
            key = hashlib.sha256(f"{seed}/{split}/{name}".encode()).digest()[:16]
            generator = np.random.Generator(np.random.Philox(key=np.frombuffer(key, "<u8")))
            keep[generator.permutation(members)[cap:]] = False
    return np.flatnonzero(keep)


def require_whole_groups(spec: SourceSpec, loaded: Mapping[str, LoadedSplit], units: Mapping[str, int]) -> None:
    """UserError for a group in test and in another split, which would flatter the verdict, and for a test split of one
    group, from which nothing follows about others. units: of `link_units`; groups that share a picture are one."""
    there = loaded["test"]
    for one in SPLITS[:-1]:
        here = loaded[one]
        if here.groups is None or there.groups is None:
            continue
        shared = np.flatnonzero(np.isin(here.groups, there.groups))
        if len(shared):
            group = here.groups[shared[0]]
            also = int(np.flatnonzero(there.groups == group)[0])
            raise UserError(
                f"source {spec.name}: group {group} has images in {one} and in test, e.g."
                f" {here.stack.name(int(shared[0]))} and {there.stack.name(also)}; move them to one split, or remove"
                " `group` from the description of the source if its images are no more alike than others"
            )
    groups = there.groups
    if groups is not None and len({units.get(key, key) for key in there.ids.tolist()}) < 2:
        raise UserError(
            f"source {spec.name}: all test images are of one group, {groups[0]}, and a verdict needs two at least; add"
            " images of other groups, or let a larger share of them be drawn for test"
        )


def link_units(loaded: Mapping[str, LoadedSplit]) -> dict[str, int]:
    """The unit of each picture by its content id; {} where no group has two images."""
    parts = [part for part in loaded.values() if part.groups is not None]
    names = [name for part in parts for name in part.groups.tolist()]  # type: ignore[union-attr]
    if len(set(names)) == len(names):
        return {}
    from ops.datasets.units import link_groups  # imports scipy, which takes a tenth of a second

    return link_groups([key for part in parts for key in part.ids.tolist()], names)
