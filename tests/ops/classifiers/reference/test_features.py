"""Features of the reference model: histograms of known edges, colours by hand, images of any size."""

from __future__ import annotations

import numpy as np
import pytest

from ops.classifiers.reference import features
from ops.classifiers.reference.features import FEATURES, ORIENTATIONS, describe, describe_colours, describe_gradients


def test_an_edge_counts_in_the_bins_of_its_orientation() -> None:
    ramp = np.broadcast_to(np.arange(16, dtype=np.uint8) * 8, (16, 16))
    across = describe_gradients(ramp[np.newaxis, ..., np.newaxis]).reshape(-1, 4, ORIENTATIONS)
    down = describe_gradients(ramp.T[np.newaxis, ..., np.newaxis]).reshape(-1, 4, ORIENTATIONS)
    assert (across[..., 0] > 0.1).all() and across[..., 1:].max() < 1e-9
    assert (down[..., 4] > 0.1).all() and down[..., 4] == pytest.approx(down[..., 5])  # 90 degrees lie between
    assert np.delete(down, (4, 5), axis=2).max() < 1e-9


def test_the_gradient_is_that_of_the_channel_where_it_is_largest_and_contrast_hardly_counts() -> None:
    wave = (128 + 60 * np.sin(np.arange(16) * 1.2 + np.arange(4)[:, np.newaxis])).astype(np.uint8)
    grey = np.broadcast_to(wave[:, np.newaxis, :, np.newaxis], (4, 16, 16, 1))
    with_less = np.concatenate([grey, grey // 2], axis=3)
    assert describe_gradients(with_less) == pytest.approx(describe_gradients(grey))
    assert np.abs(describe_gradients(grey // 2) - describe_gradients(grey)).max() < 0.1


def test_colours_are_means_over_a_grid_of_eight_by_eight() -> None:
    image = np.zeros((1, 16, 16, 3), np.uint8)
    image[0, :2, 13:, 1] = 255  # green in the upper right corner
    found = describe_colours(image).reshape(8, 8, 3)
    assert found[0, 6:, 1].tolist() == [0.5, 1]
    assert found.sum() == 1.5


def test_a_large_image_is_described_on_two_grids_and_a_tiny_one_on_one() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 1), dtype=np.uint8)
    assert describe_gradients(images).shape[1] == (7 * 7 + 3 * 3) * 4 * ORIENTATIONS
    assert describe_gradients(images[:, :8, :8]).shape[1] == 3 * 3 * 4 * ORIENTATIONS


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 3), (8, 8, 1), (28, 28, 3), (31, 64, 3), (128, 40, 3)])
@pytest.mark.parametrize("name", FEATURES)
def test_images_of_any_size_have_finite_features(name: str, shape: tuple[int, int, int]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, *shape), dtype=np.uint8)
    found = describe(name, images)
    assert found.dtype == np.float32 and found.shape[0] == 3 and 0 < found.shape[1] < 10_000
    assert np.isfinite(found).all()


def test_a_set_is_described_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(0).integers(0, 256, (7, 8, 8, 3), dtype=np.uint8)
    whole = describe("gradient histograms and colours", images)
    monkeypatch.setattr(features, "PIXELS_AT_ONCE", 3 * 64)
    assert (describe("gradient histograms and colours", images) == whole).all()
