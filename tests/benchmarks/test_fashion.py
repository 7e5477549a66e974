"""Fashion-MNIST's division: parts share no images, classes stay even, and a missing file gives a clear error."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.parts import fashion
from benchmarks.parts.fashion import LabelledImages, divide, read_fashion
from ops.datasets.identity import content_ids
from ops.errors import UserError


def make_whole(per_class: int) -> LabelledImages:
    """Images that all differ, ten classes."""
    images = np.random.default_rng(0).integers(0, 256, (10 * per_class, 1, 8, 8), dtype=np.uint8)
    return LabelledImages(torch.from_numpy(images), np.arange(10 * per_class) % 10)


def ids(part: LabelledImages) -> set[str]:
    return set(content_ids(part.images.numpy()))


def write_idx(path: Path, array: np.ndarray) -> None:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def test_parts_are_disjoint_and_cover_everything() -> None:
    whole = make_whole(30)
    division = divide(whole, small=3, scored=7, held_out=5)
    parts = (division.held_out, division.scored, division.small, division.unseen)
    assert [len(part) for part in parts] == [50, 70, 30, 150]
    assert set().union(*map(ids, parts)) == ids(whole)  # as many as together: none is in two
    assert ids(division.large) == ids(division.small) | ids(division.unseen)
    assert all((np.bincount(part.labels) == len(part) // 10).all() for part in parts)


def test_images_keep_their_labels() -> None:
    whole = make_whole(12)
    label_of = dict(zip(content_ids(whole.images.numpy()), whole.labels, strict=True))
    large = divide(whole, small=2, scored=3, held_out=4).large
    assert [label_of[name] for name in content_ids(large.images.numpy())] == large.labels.tolist()


def test_too_few_images_are_refused() -> None:
    with pytest.raises(ValueError, match=r"class 0 has 6 images; more than 6 are needed"):
        divide(make_whole(6), small=2, scored=2, held_out=2)


def test_equal_images_are_kept_once_and_no_test_file_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.arange(4 * 16, dtype=np.uint8).reshape(4, 4, 4)
    images[2] = images[0]
    write_idx(tmp_path / fashion.IMAGES, images)
    write_idx(tmp_path / fashion.LABELS, np.array([1, 0, 1, 0]))
    monkeypatch.setenv(fashion.VARIABLE, str(tmp_path))
    found = read_fashion()
    assert found.images.shape == (3, 1, 4, 4)
    assert found.labels.tolist() == [1, 0, 0]
    assert torch.equal(found.images[2, 0], torch.from_numpy(images[3]))


def test_a_folder_without_the_files_is_a_user_s_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(fashion.VARIABLE, str(tmp_path))
    with pytest.raises(UserError, match=r"dataset-fashion-mnist, or name the folder .* GROWSET_FASHION_MNIST"):
        read_fashion()
