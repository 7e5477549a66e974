"""Ids of images that follow from their pixels, so that the same image has the same id wherever it comes from."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np

from ops.files.hashing import hash_json


def content_id(image: np.ndarray) -> str:
    """16 hex digits that depend on the shape and pixels of one uint8 image [H, W, C] only."""
    return content_ids(image[np.newaxis])[0]


def content_ids(images: np.ndarray) -> list[str]:
    """`content_id` of each image of a uint8 array [n, H, W, C]."""
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
    """The ids with `-1`, `-2`, ... added to the second, third, ... of equal ones, so that all differ."""
    seen: Counter[str] = Counter()
    distinct = []
    for name in ids:
        distinct.append(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return distinct
