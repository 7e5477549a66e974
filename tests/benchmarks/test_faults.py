"""Planted faults are where they are reported; the benchmark's arithmetic; one whole run on small made-up images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import faults
from benchmarks.parts import harness
from benchmarks.parts.fashion import LabelledImages
from benchmarks.parts.planting import CHANGES, SHARES, alter, draw_blanks, plant


def draw(count: int, seed: int, classes: int = 2) -> LabelledImages:
    """Blobs: class 0 above, class 1 below."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    down, right = rng.uniform(4, 6, count) + 6 * labels, rng.uniform(5, 11, count)
    wide, high, level = rng.uniform(2, 5, count), rng.uniform(1, 3, count), rng.uniform(120, 250, count)
    y, x = np.mgrid[:16, :16]
    away = ((y - down[:, None, None]) / high[:, None, None]) ** 2 + (
        (x - right[:, None, None]) / wide[:, None, None]
    ) ** 2
    levels = level[:, None, None] * np.exp(-away) + rng.uniform(0, 6, (count, 16, 16))
    return LabelledImages(torch.from_numpy(levels.astype(np.uint8))[:, None], labels.astype(np.int64))


def test_faults_are_planted_in_the_given_shares_and_at_the_reported_places() -> None:
    carrier, train, test = draw(1_000, 0), draw(60, 1), draw(40, 2)
    planted = plant(carrier, train, test, classes=2, seed=3)
    for fault, share in SHARES.items():
        assert (planted.fault == fault).sum() == pytest.approx(1_000 * share, abs=1)
    images, source = planted.images, planted.source
    for row in np.flatnonzero(planted.fault == "exact_copy"):
        assert torch.equal(images[row], train.images[source[row]])
        assert planted.labels[row] == train.labels[source[row]]
    for row in np.flatnonzero(planted.fault == "test_image"):
        assert torch.equal(images[row], test.images[source[row]])
    for row in np.flatnonzero(planted.fault == "changed_copy"):
        assert not torch.equal(images[row], train.images[source[row]])
        assert planted.change[row] in CHANGES
    repeats = np.flatnonzero(planted.fault == "repeat")
    assert (source[repeats] < repeats).all() and (planted.fault[source[repeats]] == "").all()
    assert (planted.labels[repeats] == planted.labels[source[repeats]]).all()
    plain = repeats[planted.change[repeats] == ""]
    assert 0.3 < len(plain) / len(repeats) < 0.7
    assert torch.equal(images[torch.from_numpy(plain)], images[torch.from_numpy(source[plain])])
    # What carries no fault is the carrier's, in another order.
    left = {image.numpy().tobytes() for image in images[torch.from_numpy(planted.fault == "")]}
    assert left <= {image.numpy().tobytes() for image in carrier.images}
    again = plant(carrier, train, test, classes=2, seed=3)
    assert torch.equal(images, again.images) and (planted.fault == again.fault).all()
    with pytest.raises(ValueError, match="10 images are to be planted as test_image; there are 5"):
        plant(carrier, train, draw(5, 2), classes=2, seed=3)


def test_each_change_alters_the_property_in_its_name() -> None:
    rng, image = np.random.default_rng(0), draw(1, 5).images[0]
    assert torch.equal(alter(image, "mirror", rng), image.flip(-1))
    assert alter(image, "shift", rng).sum() <= image.sum()
    assert all(alter(image, change, rng).shape == image.shape for change in CHANGES)
    with pytest.raises(ValueError, match="one of noise, .*not 'melt'"):
        alter(image, "melt", rng)
    assert draw_blanks(50, (3, 8, 8), rng).float().std(dim=(2, 3)).max() < 8


def test_the_benchmark_runs_on_a_few_made_up_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    path = faults.run(train=20, test=20, held_out=60, carrier=200, scorer_steps=5, whole=draw(700, 7), small=True)
    rows = {row["name"]: row["value"] for row in json.loads(path.read_text())["rows"]}
    assert rows["exact_copy: recall"] == rows["repeat, unchanged: recall"] == 1
    assert rows["blank: recall"] == 1
    assert rows["train_distance: false alarms"] < 0.1
    assert rows["cost: copies of train, and repeats"] > 0
