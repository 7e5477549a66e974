"""Drawing opens and loads only what it needs: no drawer for a complete set, few seed images for trials."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from ops.datasets.pixels import PixelDataset, build_rows, read_shards, write_shards
from ops.drawing import batching
from ops.drawing.assembly import Assembly
from ops.drawing.drawing import TRIAL_SEEDS, Drawing
from ops.drawing.pieces import Draws
from ops.drawing.stored_seeds import StoredSeeds
from ops.generators.feeds import SeedImages
from ops.generators.onnx.engine import OnnxFile
from ops.generators.units import Unit, list_parents
from ops.stages.materialization import Runtime
from tests.perturb import build_perturb, draw_seeds

NAMES = ("a", "b")


@pytest.fixture
def drawing(tmp_path: Path) -> Drawing:
    """Forty variants of twenty seed images."""
    onnx.save(build_perturb((1, 8, 8), NAMES), tmp_path / "sampler.onnx")
    seeds = draw_seeds((1, 8, 8), [0, 1] * 10)
    rows = build_rows(seeds.labels, list(seeds.ids), split="train")
    shards = write_shards(tmp_path / "real", PixelDataset(seeds.images, rows, NAMES), prefix="train")
    draws = Draws(list_parents(seeds.ids, seeds.labels.tolist()), (2,) * 20)
    assembly = Assembly(draws, (8, 8, 1), NAMES, tmp_path / "pieces", tmp_path / "out", "g0123")
    drawer = OnnxFile(tmp_path / "sampler.onnx")
    return Drawing(assembly, drawer, 3, Runtime(provider="cpu", workers=1), StoredSeeds(tuple(shards)))


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many seed images each call loads."""
    counts, load = [], StoredSeeds.load

    def note(self: StoredSeeds, units: list[Unit]) -> SeedImages:
        counts.append(len({unit.parent for unit in units}))
        return load(self, units)

    monkeypatch.setattr(StoredSeeds, "load", note)
    return counts


def test_a_complete_set_opens_no_drawer_and_loads_no_seed_images(
    drawing: Drawing, loaded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        raise AssertionError("nothing is to be drawn")

    for name in ("open", "choose_provider"):
        monkeypatch.setattr(OnnxFile, name, refuse)
    none = replace(drawing.assembly, draws=Draws(drawing.assembly.draws.units, (0,) * 20))
    replace(drawing, assembly=none).run()
    assert len(read_shards([shard.path for shard in none.shards()])) == 0
    assert not loaded


def test_a_small_job_loads_the_seed_images_of_its_pieces_alone(drawing: Drawing, loaded: list[int]) -> None:
    """No batch size is measured, so its one piece loads its own twenty seed images and no others."""
    drawing.run()
    assert loaded == [20]


def test_a_batch_size_is_measured_with_a_few_seed_images(
    drawing: Drawing, loaded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[SeedImages] = []

    def measure(*arguments: Any, seeds: SeedImages, **options: Any) -> int:
        seen.append(seeds)
        return 8

    monkeypatch.setattr(batching, "TRIAL_SHARE", 100.0)
    monkeypatch.setattr(batching, "measure_batch_size", measure)
    drawing.run()
    assert loaded == [TRIAL_SEEDS, 20]
    np.testing.assert_array_equal([len(found) for found in seen], [TRIAL_SEEDS])
