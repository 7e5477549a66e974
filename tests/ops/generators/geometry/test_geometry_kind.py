"""The kind `geometry`, from images to a graph that moves them as torch does."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch

from ops.errors import DamagedData, UserError
from ops.files.storage import read_json, write_json
from ops.generators.feeds import make_feeds, spread_draws
from ops.generators.folder import CONFIG, SAMPLER
from ops.generators.geometry import search
from ops.generators.geometry.fitting import TRIALS
from ops.generators.geometry_kind import GeometryKind
from ops.generators.onnx.engine import Sampler
from ops.generators.onnx.parity import measure_parity
from ops.generators.protocol import Fitting, Observer
from ops.recipe.geometry import GeometrySettings
from ops.recipe.sampler import SamplerSettings
from ops.training.state import Observation
from tests.perturb import draw_seeds

SHAPE = (3, 10, 13)
SEEDS = draw_seeds(SHAPE, [0, 1] * 20)
KIND = GeometryKind()


def fit(folder: Path, lines: list[str], observer: Observer | None = None, **keys: object) -> dict[str, object]:
    images = torch.from_numpy(SEEDS.images.transpose(0, 3, 1, 2).copy())
    fitting = Fitting(images, torch.from_numpy(SEEDS.labels), ("a", "b"), 0, folder, folder, folder, sink=lines.append)
    if observer is not None:
        fitting = replace(fitting, watch=lambda max_copies: observer)
    return KIND.fit(GeometrySettings.model_validate({"kind": "geometry", **keys}), fitting)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator with all moves at their widest, exported."""
    fitted, exported = tmp_path_factory.mktemp("fitted"), tmp_path_factory.mktemp("exported")
    lines: list[str] = []
    metrics = fit(fitted, lines, errors=1e6)
    assert metrics["training_images"] == 40 and metrics["mirror"] is True
    assert len(lines) == len(read_json(fitted / TRIALS)) == 4
    assert lines[0].startswith("generator: images turned by up to 180 degrees cannot be told from the data (excess ")
    KIND.load(fitted).export(exported, SamplerSettings(), fitted)
    return exported


def test_the_exported_moves_are_those_of_torch(folder: Path) -> None:
    sampler = Sampler(folder / SAMPLER, batch_size=16)
    assert (sampler.info.inputs, sampler.info.evaluations) == (("noise", "image"), 1)
    assert (sampler.info.class_names, sampler.info.shape) == (("a", "b"), SHAPE)
    parity = measure_parity(KIND.load(folder), sampler, SamplerSettings(), images=100, seeds=SEEDS)
    assert parity.passed and parity.share_equal > 0.99
    assert KIND.find_drawer(folder).read_info() == sampler.info


def test_plain_onnx_runtime_moves_the_same_and_an_image_depends_on_its_own_noise_alone(folder: Path) -> None:
    runs = spread_draws("x", np.arange(40) % 2, SEEDS)
    feeds = make_feeds(("noise", "image"), SHAPE, runs, seed=1, seeds=SEEDS)
    session = ort.InferenceSession(folder / SAMPLER, providers=["CPUExecutionProvider"])
    (drawn,) = session.run(["variant"], dict(feeds))
    assert (drawn != feeds["image"]).mean() > 0.5
    few = {name: array[7:9] for name, array in feeds.items()}
    np.testing.assert_array_equal(Sampler(folder / SAMPLER, batch_size=5).draw(few), drawn[7:9])
    others = {"noise": feeds["noise"].copy(), "image": feeds["image"]}
    others["noise"].reshape(40, -1)[:, 5:] = 0  # the first five numbers decide
    np.testing.assert_array_equal(session.run(["variant"], others)[0], drawn)


class Picky:
    """An observer for whom variants keep their class from a step on; it keeps what it was asked."""

    def __init__(self, first: int) -> None:
        self.first, self.seen = first, list[int]()

    def observe(self, step: int, sample: Any) -> Observation:
        feeds = make_feeds(("noise", "image"), SHAPE, spread_draws("x", np.zeros(4, int), SEEDS), seed=1, seeds=SEEDS)
        assert sample({name: torch.from_numpy(array) for name, array in feeds.items()}).shape == (4, 10, 13, 3)
        self.seen.append(step)
        return Observation(usable=step >= self.first)


@pytest.mark.parametrize(
    ("narrow", "first", "seen", "kept"), [(True, 0, 1, 0), (True, 3, 4, 3), (True, 99, 13, 0), (False, 3, 1, 0)]
)
def test_moves_are_narrowed_until_variants_keep_their_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, narrow: bool, first: int, seen: int, kept: int
) -> None:
    monkeypatch.setattr(search, "SUPPORTED", -math.inf)  # every move is in doubt
    observer, lines = Picky(first), list[str]()
    metrics = fit(tmp_path, lines, observer, errors=1e6, narrow=narrow)
    assert observer.seen == list(range(seen)) and metrics["best_step"] == kept
    ranges = read_json(tmp_path / CONFIG)["ranges"]
    widest = {"rotation": 180.0, "scale": 0.3, "shift": 0.15, "mirror": True}
    assert (ranges == widest) == (kept == 0)
    assert sum("narrower: " in line for line in lines) == seen - 1


def test_a_config_without_its_ranges_is_damage(folder: Path, tmp_path: Path) -> None:
    config = read_json(folder / CONFIG)
    for broken in ({k: v for k, v in config.items() if k != "ranges"}, {**config, "ranges": {"turn": 1}}):
        write_json(tmp_path / CONFIG, broken)
        with pytest.raises(DamagedData, match=r"config\.json does not describe the moves"):
            KIND.load(tmp_path)


def test_too_few_and_too_small_images_are_a_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no class has 21 images, which generator\.least 21 asks for; lower it"):
        fit(tmp_path, [], least=21)
    with pytest.raises(UserError, match="images of 7 x 9 pixels are too small for generator.kind: geometry, which"):
        KIND.check(GeometrySettings(), tmp_path, ("a", "b"), (1, 7, 9))
    KIND.check(GeometrySettings(), tmp_path, ("a", "b"), (1, 8, 8))


def test_the_cost_is_that_of_the_images_that_are_moved(tmp_path: Path) -> None:
    few, many = (GeometrySettings(images=images) for images in (100, 1000))
    one, other = (KIND.guess(each, SamplerSettings(), (1, 28, 28), tmp_path, 1e10, 2) for each in (few, many))
    assert other.fit_seconds == pytest.approx(10 * one.fit_seconds)
    assert other.image_seconds == one.image_seconds > 0 == one.step_seconds
    estimated = KIND.estimate(few, SamplerSettings(), (1, 28, 28), 2, tmp_path)
    assert estimated.fit_seconds > estimated.image_seconds > 0
