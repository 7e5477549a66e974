"""Ids of images that follow from their pixels, so that the same image has the same id wherever it comes from."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from ops.files.hashing import hash_json


def content_ids(images: np.ndarray) -> list[str]:
    """16 hex digits for each image of a uint8 array [n, H, W, C], which depend on its shape and pixels only."""
    header = hashlib.sha256("{}x{}x{}:".format(*images.shape[1:]).encode())
    ids = []
    for image in np.ascontiguousarray(images):
        digest = header.copy()
        digest.update(image.data)
        ids.append(digest.hexdigest()[:16])
    return ids


def split_content(ids: Sequence[str], labels: Sequence[int]) -> str:
    """sha256 hex of a split: of its images, known by their content ids, and their labels, in whatever order."""
    return hash_json(sorted(zip(ids, labels, strict=True)))


def number_repeats(ids: Sequence[str]) -> list[str]:
    """The ids with `-1`, `-2`, ... added to the second, third, ... of equal ones, so that all differ.

    >>> number_repeats(["ab", "cd", "ab", "ab"])
    ['ab', 'cd', 'ab-1', 'ab-2']
    """
    seen: Counter[str] = Counter()
    distinct = []
    for name in ids:
        distinct.append(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return distinct


def number_uses(keys: Sequence[str]) -> np.ndarray:
    """int64 [n]: 0 for the first use of a key, 1 for the next one, and so on, so that no two get the same draw."""
    seen: defaultdict[str, int] = defaultdict(int)
    uses = np.empty(len(keys), np.int64)
    for i, key in enumerate(keys):
        uses[i] = seen[key]
        seen[key] += 1
    return uses
