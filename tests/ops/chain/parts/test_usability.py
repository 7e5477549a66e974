"""Whether a generator is used: one that draws new images of the kind is, planted bad ones are refused, with advice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
import torch
from torch import Tensor

from ops.chain.parts.usability import examine_usability
from ops.datasets.identity import content_ids
from ops.datasets.pixels import PixelDataset, build_rows
from ops.files.outputs import USABILITY
from ops.files.storage import read_json
from ops.generators.drawers import SamplerInfo
from ops.generators.feeds import Feeds
from ops.judging.scorer import save_scorer, train_folds
from ops.metrics.emptiness import add_noise, make_floor
from ops.recipe.classifiers import ScorerSettings
from ops.stages.unused import describe_refusal
from tests.shapes import draw_shapes

SIDE = 24
POOL, POOL_LABELS = draw_shapes(600, seed=9)


def make_dataset(count: int, seed: int) -> PixelDataset:
    images, labels = draw_shapes(count, seed)
    pixels = images.permute(0, 2, 3, 1).numpy().copy()
    return PixelDataset(pixels, build_rows(labels, content_ids(pixels), split="train"), ("boxes", "discs"))


INFO = SamplerInfo(("boxes", "discs"), (3, SIDE, SIDE))
TRAIN, HELD_OUT = make_dataset(120, 1), make_dataset(40, 2)


@dataclass(frozen=True)
class Drawer:
    """Draws from a pool of images by label."""

    pool: Any
    batch_size: int = 16
    info: SamplerInfo = INFO

    def read_info(self) -> SamplerInfo:
        return self.info

    def open(self, provider: str, batch_size: int) -> Self:
        return self

    def with_batch_size(self, batch_size: int) -> Self:
        return self

    def draw(self, feeds: Feeds) -> np.ndarray:
        rng = np.random.default_rng(int(1e6 * np.abs(feeds["noise"]).sum()) % 2**32)
        rows = [rng.choice(np.flatnonzero(label == POOL_LABELS)) for label in feeds["label"]]
        images: np.ndarray = self.pool[rows].permute(0, 2, 3, 1).numpy()
        return images


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scorer")
    settings = ScorerSettings(folds=2, steps=10, batch_size=16, width=8, precision="fp32")
    results = train_folds(TRAIN.images.transpose(0, 3, 1, 2).copy(), TRAIN.labels, 2, settings, seed=0, workers=1)
    save_scorer(folder, results, settings, TRAIN.labels, 2, 3)
    return folder


def examine(scorer: Path, folder: Path, pool: Tensor, **settings: Any) -> dict[str, Any]:
    lines: list[str] = []
    found = examine_usability(
        folder, Drawer(pool), scorer, TRAIN, HELD_OUT, seeds=None, sink=lines.append,
        **{"needed": 0.55, "steps": 700, **settings},
    )  # fmt: skip
    assert read_json(folder / USABILITY) == found
    assert lines[1:] == ([] if found["usable"] else [f"generator_onnx: {describe_refusal(found)}"])
    return found


def test_a_generator_that_draws_new_images_of_the_kind_is_used(scorer: Path, tmp_path: Path) -> None:
    found = examine(scorer, tmp_path, POOL)
    assert found["usable"]
    assert min(place["position"] for place in found["spaces"]) > 0.8
    assert found["sentence"].endswith("; 55 % are needed") and found["advice"] == []


def plant_floor(sort: str) -> Callable[[], Tensor]:
    return lambda: make_floor(POOL, POOL_LABELS, len(POOL), torch.Generator().manual_seed(7))[sort]


@pytest.mark.parametrize(
    "plant",
    [
        plant_floor("noise"),
        plant_floor("blobs"),
        plant_floor("blurred real images"),
        plant_floor("class means in noise"),
        lambda: add_noise(POOL.float(), 70.0, torch.Generator().manual_seed(1)),
        lambda: POOL[:2].repeat(300, 1, 1, 1),
    ],
    ids=["noise", "blobs", "blurred", "means in noise", "images in noise", "one image a class"],
)
def test_a_planted_bad_generator_is_refused(plant: Callable[[], Tensor], scorer: Path, tmp_path: Path) -> None:
    found = examine(scorer, tmp_path, plant())
    assert not found["usable"]
    said = describe_refusal(found)
    assert said.startswith("generator not used: its images lie ") and "\n" not in said
    assert "55 % are needed; what would help: more steps (it took 700), more real images" in said


def test_what_would_help_depends_on_what_there_is(scorer: Path, tmp_path: Path) -> None:
    noise = plant_floor("noise")()
    advice = examine(scorer, tmp_path, noise, steps=5000)["advice"]
    assert advice[:2] == ["more steps (it took 5000)", "more real images (a class has 60)"]
    assert examine(scorer, tmp_path, noise, steps=0)["advice"][0].startswith("narrower moves")
    (only,) = examine(scorer, tmp_path, noise, steps=None)["advice"]
    assert "trained elsewhere" in only


def test_a_recipe_may_ask_for_no_position(scorer: Path, tmp_path: Path) -> None:
    found = examine(scorer, tmp_path, plant_floor("noise")(), needed=None)
    assert found["usable"]
    assert "no position is asked for" in found["sentence"]
