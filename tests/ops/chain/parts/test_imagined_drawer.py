"""The drawer that imagines: what it draws follows from seed image, number and seed; it agrees with the plain prior."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from ops.chain.parts.imagined_drawer import INPUTS, ImaginedFile, ImaginingDrawer
from ops.chain.parts.imagining_preset import settle
from ops.datasets.pixels import read_shards
from ops.drawing import pieces as module
from ops.drawing.pieces import Draws, Piece, cut_pieces, fill_pieces
from ops.drawing.records import read_records
from ops.drawing.stored_seeds import StoredSeeds
from ops.errors import DamagedData, UserError
from ops.generators.drawers import RecordingDrawer
from ops.generators.feeds import IMAGE, LABEL, NOISE, SeedImages, make_feeds
from ops.generators.folder import CONFIG
from ops.generators.registry import KINDS
from ops.generators.units import Run, list_parents
from ops.imagination.blocks import Blocks
from ops.imagination.guide import NotFinite
from ops.imagination.presets import RELEASE
from ops.recipe.imagination import ImaginationSettings
from ops.recipe.sampler import SamplerSettings
from tests.priorfolders import LABELS, NAMES, SHAPE, write_prior, write_scorer, write_seeds

MODES = ("guided", "random", "prior", "overdraw")
KINDS_OF_PRIOR = ("latent", "flow", "instance")
OF_FEATURES = [("instance", "guided"), ("instance", "overdraw")]
SAMPLER = {"solver": "heun", "steps": 2, "strength": 0.5}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("imagined")
    for kind in KINDS_OF_PRIOR:
        write_prior(root / kind, kind)
    write_scorer(root / "scorer")
    write_seeds(root / "real")
    return root


def build(root: Path, kind: str = "latent", **settings: Any) -> ImaginedFile:
    keys = {"group": 3, **({"draws": 2} if settings.get("mode") == "overdraw" else {}), **settings}
    sampler = SamplerSettings(**SAMPLER, imagination=ImaginationSettings(**keys))
    assert sampler.imagination is not None
    imagining, shards = settle(sampler.imagination, len(NAMES)), tuple(sorted((root / "real").iterdir()))
    return ImaginedFile(root / kind / CONFIG, sampler, imagining, root / "scorer", shards)


def load_seeds(root: Path) -> SeedImages:
    real = read_shards(tuple(sorted((root / "real").iterdir())))
    return SeedImages(real.images, real.rows["image_id"].to_list(), real.labels)


def feed(root: Path, runs: list[Run], inputs: tuple[str, ...] = INPUTS, seed: int = 4) -> dict[str, np.ndarray]:
    return make_feeds(inputs, SHAPE, runs, seed=seed, seeds=load_seeds(root))


COUNTS = (2, 3, 1, 2, 2, 1)  # of the sets that are filled
UNITS = list_parents([f"s{row}" for row in range(len(LABELS))], LABELS)
RUNS = [
    Run(unit, first, count) for unit, first, count in zip(UNITS, (0, 2, 0, 1, 0, 5), (4, 3, 1, 3, 5, 2), strict=True)
]


@pytest.mark.parametrize("kind", KINDS_OF_PRIOR)
def test_without_a_perturbation_it_draws_what_the_prior_draws_alone(root: Path, kind: str) -> None:
    drawer = build(root, kind, mode="prior").open("cpu", 8)
    fed = {name: torch.from_numpy(values) for name, values in feed(root, RUNS, (NOISE, IMAGE)).items()}
    plain = KINDS["prior"].load(root / kind).sample(fed, SamplerSettings(**SAMPLER)).numpy()
    drawn = drawer.draw(feed(root, RUNS))
    assert drawn.shape == plain.shape and plain.std() > 5
    assert np.abs(drawn.astype(int) - plain).max() <= 1


@pytest.mark.parametrize(("kind", "mode"), [*(("latent", mode) for mode in MODES), *OF_FEATURES])
def test_an_image_and_its_record_follow_from_seed_image_number_and_seed_alone(root: Path, kind: str, mode: str) -> None:
    drawer, feeds = build(root, kind, mode=mode).open("cpu", 8), feed(root, RUNS)
    assert isinstance(drawer, RecordingDrawer)
    images, columns = drawer.draw_recorded(feeds)
    rows = len(images)
    for part in (slice(3, 9), slice(rows - 1, rows), slice(0, 1)):
        again, record = drawer.with_batch_size(2).draw_recorded({name: values[part] for name, values in feeds.items()})
        np.testing.assert_array_equal(again, images[part])
        for name, values in record.items():
            np.testing.assert_array_equal(values, columns[name][part], err_msg=name)
    turned = drawer.draw({name: values[::-1].copy() for name, values in feeds.items()})
    np.testing.assert_array_equal(turned[::-1], images)
    other = drawer.draw(feed(root, RUNS, seed=5))
    assert (other != images).any()


@pytest.mark.parametrize(("kind", "mode"), [*(("latent", mode) for mode in MODES), *OF_FEATURES])
def test_the_first_variants_of_many_are_those_of_few(root: Path, kind: str, mode: str) -> None:
    drawer = build(root, kind, mode=mode).open("cpu", 8)
    few, many = (drawer.draw(feed(root, [Run(UNITS[1], 0, count)])) for count in (4, 11))
    np.testing.assert_array_equal(many[:4], few)
    assert len(np.unique(many.reshape(11, -1), axis=0)) == 11


@pytest.mark.parametrize("kind", KINDS_OF_PRIOR)
def test_guided_and_random_start_alike_stay_in_the_ball_and_guidance_raises_the_score(root: Path, kind: str) -> None:
    runs = [Run(unit, 0, 3) for unit in UNITS]
    ball = {"radius": 3.0, "granularity": "element"}
    guided, random = (
        build(root, kind, mode=mode, **ball, **more).open("cpu", 8).draw_recorded(feed(root, runs))[1]
        for mode, more in (("guided", {"steps": 3, "step_size": 0.02, "optimizer": "adam"}), ("random", {}))
    )
    for name in ("parent_id", "k", "target", *(() if kind == "flow" else ("z_before", "b_before"))):
        np.testing.assert_array_equal(guided[name], random[name])
    # The 120 numbers of a flow's image are not stored, but how far they moved.
    assert ("z_before" in guided) == (kind != "flow")
    if kind != "flow":
        way = np.linalg.norm(guided["z_after"] - guided["z_before"], axis=1)
        np.testing.assert_allclose(guided["z_moved"], way, rtol=1e-5)
    assert not random["z_moved"].any() and not random["b_moved"].any() and not random["slope"].any()
    assert (guided["z_moved"] > 0).all() and (guided["b_moved"] > 0).all() and (guided["slope"] > 0).all()
    np.testing.assert_allclose(guided["total_before"], random["total_before"], atol=1e-5)
    assert guided["total_after"].sum() > guided["total_before"].sum()
    assert ((guided["clamped"] >= 0) & (guided["clamped"] < 0.5)).all()
    assert set(guided["target"]) == {0, 1, 2} and set(guided["mode"]) == {"guided"}


def test_guided_random_and_plain_variants_are_drawn_from_the_same_noise(root: Path) -> None:
    """In a ball of almost no size nothing but the noise, which is each variant's own, tells images apart."""
    feeds = feed(root, [Run(UNITS[0], 0, 4)])
    guided, random = (
        build(root, "instance", mode=mode, radius=1e-6).open("cpu", 8).draw(feeds) for mode in ("guided", "random")
    )
    plain = build(root, "instance", mode="prior").open("cpu", 8).draw(feeds).astype(int)
    for drawn in (guided, random):
        assert np.abs(drawn - plain).max() <= 1
    assert all(np.abs(plain[one] - plain[other]).max() > 5 for one in range(4) for other in range(one))


@pytest.mark.parametrize("mode", ["guided", "random"])
def test_no_feature_leaves_the_ball_around_the_priors_own(root: Path, mode: str) -> None:
    radius, image = 0.3, torch.from_numpy(load_seeds(root).images[0].copy()).permute(2, 0, 1).float() / 255
    moved, own = (
        build(root, "instance", mode=each, **more).open_blocks().make(image, UNITS[0], 1).variants.latents
        for each, more in ((mode, {"radius": radius}), ("prior", {}))
    )
    away = (moved.double() - own.double()).abs()
    assert away.max() <= radius and (away > 0.9 * radius).any() and moved.shape == (3, 6)


@pytest.mark.parametrize("granularity", ["element", "channel"])
@pytest.mark.parametrize("mode", ["guided", "random"])
def test_a_flow_is_given_no_more_noise_than_the_strength_put_in(root: Path, mode: str, granularity: str) -> None:
    seeds = load_seeds(root)
    image = torch.from_numpy(seeds.images[0].copy()).permute(2, 0, 1).float() / 255
    ways = ((mode, {"granularity": granularity}), ("prior", {}))
    blocks, plain = (build(root, "flow", mode=each, **ball).open_blocks() for each, ball in ways)
    clean = blocks.imagination.prior.encode(image[None])
    moved, own = (each.make(image, UNITS[0], 0).variants.latents - clean for each in (blocks, plain))
    assert (moved - own).abs().max() > 0.3
    torch.testing.assert_close(moved.std(dim=(2, 3)), own.std(dim=(2, 3)))  # what the solver will remove


def test_overdraw_keeps_the_best_of_the_priors_own_variants(root: Path) -> None:
    runs = [Run(UNITS[0], 0, 3)]
    kept = build(root, mode="overdraw", draws=4, diversity=0.0).open("cpu", 8)
    images, columns = kept.draw_recorded(feed(root, runs))
    own, scores = build(root, mode="prior").open("cpu", 8).draw_recorded(feed(root, [Run(UNITS[0], 0, 12)]))
    np.testing.assert_array_equal(images, own[columns["draw"]])
    # Each is the best of its own four, whatever is used of the block.
    values = (scores["consistency_after"] * np.log(3 - 1).clip(1) + scores["entropy_after"]).reshape(3, 4)
    np.testing.assert_array_equal(columns["draw"] // 4, [0, 1, 2])
    np.testing.assert_allclose(columns["total_after"], values.max(axis=1), atol=1e-5)
    # Before the choice: the mean of these four.
    np.testing.assert_allclose(columns["total_before"], values.mean(axis=1), atol=1e-5)
    assert (columns["total_after"] > columns["total_before"]).all()


def test_a_preset_is_drawn_with_and_a_scorer_of_other_images_is_refused(root: Path, tmp_path: Path) -> None:
    release = build(root, preset="release", radius=4.0)
    blocks = release.open_blocks()
    preset = blocks.imagination.preset
    assert (preset.name, preset.criteria, preset.ball.radius) == ("release", RELEASE.criteria, 4.0)
    assert release.open("cpu", 8).draw(feed(root, RUNS[:1])).shape == (4, 10, 12, 1)
    fewer = replace(release, shards=())
    with pytest.raises(DamagedData, match="trained on 6 images, and there are 0"):
        fewer.open("cpu", 8)
    with pytest.raises(ValueError, match="the drawer takes image, label, parent, number, seed"):
        release.open("cpu", 8).draw({LABEL: np.zeros(1, np.int64)})


def fill(spec: ImaginedFile, folder: Path, workers: int, pieces: list[Piece]) -> tuple[np.ndarray, pl.DataFrame]:
    draws, store = Draws(UNITS, COUNTS), StoredSeeds(spec.shards)
    done = fill_pieces(
        folder, pieces, spec, draws=draws, seed=4, provider="cpu", workers=workers, batch_size=3, seeds=store
    )
    assert set(done) <= set(pieces)
    images = np.concatenate([np.load(folder / piece.file_name) for piece in pieces])
    return images, read_records([folder / piece.record_name for piece in pieces])


def test_a_killed_set_goes_on_with_the_same_images_and_records(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, pieces = build(root), cut_pieces(11, 4)
    images, records = fill(spec, tmp_path / "whole", 1, pieces)
    whose = [unit.parent for unit, count in zip(UNITS, COUNTS, strict=True) for _ in range(count)]
    assert records["parent_id"].to_list() == whose
    assert records["k"].to_list() == [k for count in COUNTS for k in range(count)]
    assert records["z_after"].dtype == pl.List(pl.Float32)
    draw, seen = ImaginingDrawer.draw_recorded, list[int]()

    def stop(drawer: ImaginingDrawer, feeds: Any) -> Any:
        seen.append(len(feeds[LABEL]))
        if len(seen) == 4:
            raise KeyboardInterrupt
        return draw(drawer, feeds)

    monkeypatch.setattr(ImaginingDrawer, "draw_recorded", stop)
    with pytest.raises(KeyboardInterrupt):
        fill(spec, tmp_path / "killed", 1, pieces)
    assert [(tmp_path / "killed" / piece.file_name).exists() for piece in pieces] == [True, False, False]
    again = fill(spec, tmp_path / "killed", 1, pieces)
    np.testing.assert_array_equal(again[0], images)
    assert again[1].equals(records)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["latent", "instance"])
def test_two_workers_give_the_same_images_and_records_as_one(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(module, "WORKER_SHARE", 1)
    pieces = cut_pieces(11, 4)
    one, two = (fill(build(root, kind), tmp_path / str(workers), workers, pieces) for workers in (1, 2))
    np.testing.assert_array_equal(one[0], two[0])
    assert one[1].equals(two[1])


@pytest.mark.parametrize("mode", MODES)
def test_what_is_not_finite_is_told_with_keys_that_the_mode_has(
    root: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> None:
        raise NotFinite("no")

    monkeypatch.setattr(Blocks, "make", fail)
    with pytest.raises(UserError) as error:
        build(root, mode=mode).open("cpu", 8).draw(feed(root, RUNS[:1]))
    told = str(error.value)
    assert ("step_size" in told) == (mode == "guided") and ("radius" in told) == (mode in ("guided", "random"))
