"""Looks: closed forms, and blanks against pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ops.filters.looks import measure_looks


def test_contrast_and_saturation_follow_their_definitions() -> None:
    image = torch.zeros(1, 1, 16, 16, dtype=torch.uint8)
    image[..., 8:] = 200
    found = measure_looks(image)
    assert found.contrast[0] == pytest.approx(100)
    assert found.structure[0] == pytest.approx(100)
    assert found.saturated[0] == 0.5
    random = torch.randint(0, 256, (3, 3, 20, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    expected = [np.sqrt(np.mean([channel.double().numpy().var() for channel in image])) for image in random]
    np.testing.assert_allclose(measure_looks(random).contrast, expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 16, 40)])
def test_noise_on_a_blank_image_has_contrast_and_next_to_no_structure(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    noisy = torch.from_numpy((128 + rng.normal(0, 10, (20, *shape))).round().astype(np.uint8))
    found = measure_looks(noisy)
    assert found.contrast.min() > 9
    assert found.structure.max() < 7
    coloured = torch.tensor([10, 120, 240], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 28, 28)
    assert measure_looks(coloured).contrast[0] == 0


def test_small_images_no_images_and_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.randint(0, 256, (9, 1, 8, 5), dtype=torch.uint8)
    whole = measure_looks(images)
    np.testing.assert_allclose(whole.structure, whole.contrast, rtol=1e-6)  # nothing is averaged
    monkeypatch.setattr("ops.filters.looks.BATCH", 2)
    np.testing.assert_array_equal(measure_looks(images).contrast, whole.contrast)
    assert len(measure_looks(images[:0]).contrast) == 0
