"""Ids of images, derived from their pixels: the same image has the same id wherever it comes from."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from ops.files.hashing import hash_json


def content_ids(images: np.ndarray) -> list[str]:
    """16 hex digits for each image of a uint8 array [n, H, W, C]; they depend on its shape and pixels only."""
    header = hashlib.sha256("{}x{}x{}:".format(*images.shape[1:]).encode())
    ids = []
    for image in np.ascontiguousarray(images):
        digest = header.copy()
        digest.update(image.data)
        ids.append(digest.hexdigest()[:16])
    return ids


def split_content(ids: Sequence[str], labels: Sequence[int]) -> str:
    """sha256 hex of a split, from the content ids and labels of its images; their order does not matter."""
    return hash_json(sorted(zip(ids, labels, strict=True)))


def number_repeats(ids: Sequence[str]) -> list[str]:
    """Make ids unique: add `-1`, `-2`, ... to the second, third, ... of equal ones.

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
    """int64 [n]: 0 for the first use of a key, 1 for the next, and so on, so that each use gets its own draw."""
    seen: defaultdict[str, int] = defaultdict(int)
    uses = np.empty(len(keys), np.int64)
    for i, key in enumerate(keys):
        uses[i] = seen[key]
        seen[key] += 1
    return uses
