"""Monitoring a generator's training: written files, the best score, and that memorisation ends training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ops.chain.parts.units import take_seeds
from ops.chain.parts.watching import OBSERVED, Watch, build_watch
from ops.datasets.pixels import PixelDataset
from ops.files.outputs import LEARNING_CURVE
from ops.files.storage import read_json
from ops.generators.protocol import Sample
from ops.judging.scorer import save_scorer, train_folds
from ops.recipe.classifiers import ScorerSettings
from ops.recipe.sampler import SamplerSettings
from ops.training.state import Observation, is_clearly_better
from tests.perturb import ALL, PerturbGenerator
from tests.sides import NAMES, SideScorer, make_sides

CLASSES, SEED = len(NAMES), 4
COPIES, MOVES, DESTROYS = 0.0, 12.0, 900.0  # grey levels of a variant's noise


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, train = tmp_path_factory.mktemp("scorer"), make_sides(80, 1)
    settings = ScorerSettings(folds=2, steps=25, batch_size=16, width=8, precision="fp32")
    pixels = np.ascontiguousarray(train.images.transpose(0, 3, 1, 2))
    results = train_folds(pixels, train.labels, CLASSES, settings, seed=SEED, workers=1)
    save_scorer(folder, results, settings, train.labels, CLASSES, 1)
    return folder


def watch(scorer: Path, folder: Path, lines: list[str], held_out: int = 40) -> Watch:
    return build_watch(
        scorer,
        make_sides(80, 1),
        make_sides(held_out, 2),
        folder=folder,
        max_copies=0.1,
        sink=lines.append,
        inputs=("noise", "label"),
        seeds=None,
    )


def draw_from(dataset: PixelDataset) -> Sample:
    """A generator that draws images of a set, each of the class that is asked for."""

    def sample(feeds: Mapping[str, Tensor]) -> Tensor:
        rng = np.random.default_rng(int(1e6 * feeds["noise"].abs().sum()) % 2**32)
        chosen = [rng.choice(np.flatnonzero(dataset.labels == int(wanted))) for wanted in feeds["label"]]
        return torch.from_numpy(dataset.images[chosen])

    return sample


def test_new_images_of_the_same_kind_score_better_than_noise_and_each_score_is_recorded(
    scorer: Path, tmp_path: Path
) -> None:
    lines: list[str] = []
    observer = watch(scorer, tmp_path, lines)
    noisy = observer.observe(10, lambda feeds: (feeds["noise"].abs() * 99).clamp(max=255).byte().permute(0, 2, 3, 1))
    good = observer.observe(20, draw_from(make_sides(2000, 3)))
    assert is_clearly_better(good.distances, noisy.distances)
    assert not is_clearly_better(noisy.distances, good.distances)
    assert set(good.distances) == {"scorer", "random network", "texture"}
    assert not good.stop
    rows = read_json(tmp_path / LEARNING_CURVE)
    assert [row["step"] for row in rows] == [10, 20]
    for found in rows[1]["spaces"]:
        expected = pytest.approx(good.distances[found["space"]], abs=1e-6)
        assert (found["distance"], found["distance_error"]) == expected
    assert len(rows[1]["spaces"]) == len(good.distances)
    assert rows[0]["position"] < 0.2 < 0.7 < rows[1]["position"]
    assert rows[1]["frechet"] < 5 * rows[1]["floor"]
    assert rows[1]["images"] == OBSERVED
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["samples-000010.png", "samples-000020.png"]
    assert "step 20: Fréchet distance" in lines[-1]


def test_an_observation_repeated_after_a_kill_is_recorded_once(scorer: Path, tmp_path: Path) -> None:
    observer = watch(scorer, tmp_path, [])
    first = observer.observe(10, draw_from(make_sides(500, 3)))
    assert observer.observe(10, draw_from(make_sides(500, 3))) == first
    assert len(read_json(tmp_path / LEARNING_CURVE)) == 1


def test_memorisation_ends_training_and_is_the_best_only_where_it_is_the_first(scorer: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    observation = watch(scorer, tmp_path, lines).observe(30, draw_from(make_sides(80, 1)))
    assert observation.stop
    assert not observation.usable
    assert lines[-1].endswith("training ends here, and this moment is kept, because none was measured before it")
    watch(scorer, tmp_path, lines).observe(60, draw_from(make_sides(80, 1)))
    assert lines[-1].endswith("training ends here")
    assert read_json(tmp_path / LEARNING_CURVE)[0]["copies"] == 1.0


def test_a_moment_that_the_gate_of_variants_would_refuse_is_not_kept(scorer: Path, tmp_path: Path) -> None:
    train, lines, usable = make_sides(80, 1), list[str](), {}
    observer = build_watch(
        scorer, train, make_sides(40, 2), folder=tmp_path, max_copies=1.0, sink=lines.append, inputs=ALL,
        seeds=take_seeds(train),
    )  # fmt: skip
    observer = replace(observer, scorer=SideScorer(np.arange(80) % 2))
    for step, strength in enumerate((COPIES, MOVES, DESTROYS)):
        generator = PerturbGenerator({"strength": strength})
        seen = observer.observe(step, lambda feeds, of=generator: of.sample(feeds, SamplerSettings()))
        usable[strength] = seen.usable
        assert lines[-1].startswith(f"generator: step {step}: two variants of an image differ by ")
        assert lines[-1].endswith("; this checkpoint is not kept, unless all of them fail") != seen.usable
    assert usable == {COPIES: False, MOVES: True, DESTROYS: False}
    copies, moves, destroys = read_json(tmp_path / LEARNING_CURVE)
    assert (copies["moved"], copies["kept"]) == (0.0, 1.0)
    # The mean difference of two normal numbers is 2 / sqrt(pi) times their deviation; a little is cut off at black.
    assert 0.8 < moves["moved"] / (MOVES * 2 / np.sqrt(np.pi)) < 1.0 and moves["kept"] > 0.95
    assert destroys["kept"] < 0.9 and destroys["moved"] > 100


def test_without_validation_images_the_last_step_is_kept_and_reported(scorer: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    observer = watch(scorer, tmp_path, lines, held_out=1)
    observations = [observer.observe(step, draw_from(make_sides(90, 3))) for step in (10, 20)]
    assert observations == [Observation(), Observation()]
    assert len(lines) == 1 and lines[0].startswith(
        "generator: 1 validation images, or those of a fold of the scorer, are"
    )
    assert not (tmp_path / LEARNING_CURVE).exists()
