"""Tiny pipelines imagine like any other prior: what they draw and record follows from seed image, number and seed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ops.chain.parts.imagination_start import start_imagination
from ops.chain.parts.imagined_drawer import INPUTS, ImaginedFile
from ops.chain.parts.imagining_preset import settle
from ops.datasets.pixels import read_shards
from ops.errors import EnvironmentFault
from ops.generators.diffusion.drawer import PipelineFile, RecordingPipelineDrawer
from ops.generators.diffusion_kind import DiffusionKind, identify_pixels
from ops.generators.drawers import FLAGGED, PROMPT, RecordingDrawer
from ops.generators.feeds import IMAGE, LABEL, NOISE, SeedImages, cut_feeds, make_feeds
from ops.generators.folder import CONFIG
from ops.generators.units import Run, Unit
from ops.recipe.imagination import ImaginationSettings
from tests.priorfolders import write_scorer, write_seeds

SHAPE, NAMES, LABELS = (1, 16, 16), ("bag", "ankle_boot"), (0, 1, 0, 1)
SPOKEN = ("bag", "ankle boot")
TEMPLATES = ["a {class}", "one {class}"]
UNIT = Unit("s0", 0, "s0")
RUNS = [Run(UNIT, 0, 2), Run(Unit("s1", 1, "s1"), 1, 2)]
BOTH = pytest.mark.parametrize("name", ["sd", "unclip"])


@pytest.fixture(scope="session")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scorer of random weights, and seed images."""
    folder = tmp_path_factory.mktemp("judged")
    write_scorer(folder / "scorer", SHAPE, LABELS, NAMES)
    write_seeds(folder / "real", SHAPE, LABELS, NAMES)
    return folder


@pytest.fixture
def build(make_generator: Callable[..., Any], judged: Path) -> Callable[..., ImaginedFile]:
    """The drawer that imagines with a pipeline's generator; `keys` of its section."""

    def make(name: str = "sd", keys: dict[str, Any] | None = None, **imagination: Any) -> ImaginedFile:
        own: dict[str, Any] = {"mode": "image", "prompts": {"templates": TEMPLATES}, "sampler": {"strength": 0.5}}
        if name == "unclip":
            own = {"noise_level": 300}
        generator, sampler = make_generator(name, **own, **keys or {})
        settings = ImaginationSettings.model_validate({"group": 2, **imagination})
        sampler = sampler.model_copy(update={"imagination": settings})
        shards = tuple(sorted((judged / "real").iterdir()))
        return ImaginedFile(generator.folder / CONFIG, sampler, settle(settings, 2), judged / "scorer", shards)

    return make


@pytest.fixture
def feed(judged: Path) -> Callable[..., dict[str, np.ndarray]]:
    real = read_shards(tuple(sorted((judged / "real").iterdir())))
    seeds = SeedImages(real.images, real.rows["image_id"].to_list(), real.labels)
    return lambda inputs=INPUTS: make_feeds(inputs, SHAPE, RUNS, seed=4, seeds=seeds)


@pytest.mark.parametrize(("name", "inputs"), [("sd", (NOISE, LABEL, IMAGE)), ("unclip", (NOISE, IMAGE))])
def test_without_a_perturbation_images_and_prompts_are_the_pipelines_own(
    build: Callable[..., ImaginedFile], feed: Callable[..., Any], name: str, inputs: tuple[str, ...]
) -> None:
    spec = build(name, mode="prior")
    images, columns = spec.open("cpu", 8).draw_recorded(feed())
    drawer = PipelineFile(spec.path).open("cpu", 8)
    assert np.abs(images.astype(int) - drawer.draw(feed(inputs))).max() <= 1
    assert len({image.tobytes() for image in images}) == 4
    if name == "unclip":
        assert not isinstance(drawer, RecordingDrawer) and not {PROMPT, FLAGGED} & set(columns)
        return
    assert isinstance(drawer, RecordingPipelineDrawer)
    told = drawer.draw_recorded(feed(inputs))[1]
    assert columns[PROMPT].tolist() == told[PROMPT].tolist()
    for prompt, label in zip(columns[PROMPT], (0, 0, 1, 1), strict=True):
        assert prompt in [template.replace("{class}", SPOKEN[label]) for template in TEMPLATES]
    assert not columns[FLAGGED].any() and not told[FLAGGED].any()


@BOTH
def test_guided_and_random_share_noise_prompts_and_start_and_follow_from_their_row_alone(
    build: Callable[..., ImaginedFile], feed: Callable[..., Any], name: str
) -> None:
    drawers = [build(name, mode=mode, radius=3.0).open("cpu", 8) for mode in ("guided", "random")]
    (guided, told), (random, other) = (drawer.draw_recorded(feed()) for drawer in drawers)
    for column in ("parent_id", "k", "target", "z_before", "b_before", *([PROMPT] if name == "sd" else [])):
        np.testing.assert_array_equal(told[column], other[column], err_msg=column)
    assert (told["slope"] > 0).all() and (told["z_moved"] > 0).all() and not other["z_moved"].any()
    assert (guided != random).any() and told["z_before"].shape == (4, 4 if name == "sd" else 16)
    np.testing.assert_allclose(told["total_before"], other["total_before"], atol=1e-4)
    again, record = drawers[0].with_batch_size(1).draw_recorded(cut_feeds(feed(), slice(3, 4)))
    np.testing.assert_array_equal(again[0], guided[3])
    for column, values in record.items():
        np.testing.assert_array_equal(values[0], told[column][3], err_msg=column)


@BOTH
def test_no_latent_leaves_its_ball_and_in_a_tiny_one_only_what_modes_share_is_left(
    build: Callable[..., ImaginedFile], judged: Path, name: str
) -> None:
    train = read_shards(sorted((judged / "real").iterdir()))
    image = torch.from_numpy(train.images[0].copy()).permute(2, 0, 1).float() / 255
    found = {}
    for radius in (0.4, 1e-6):
        for mode in ("guided", "random"):
            found[mode, radius] = build(name, mode=mode, radius=radius).open_blocks().make(image, UNIT, 0).variants
    own = build(name, mode="prior").open_blocks().make(image, UNIT, 0).variants
    for (_, radius), variants in found.items():
        assert len(variants) == 2
        assert (variants.latents.double() - own.latents.double()).abs().max() <= radius
    for mode in ("guided", "random"):
        torch.testing.assert_close(found[mode, 1e-6].images, own.images, atol=1e-3, rtol=0)
    assert (own.images[0] - own.images[1]).abs().max() > 1e-2


@BOTH
def test_the_self_test_passes_and_few_images_are_drawn_for_it(
    build: Callable[..., ImaginedFile], judged: Path, tmp_path: Path, name: str
) -> None:
    spec, lines = build(name, mode="guided", force=True), list[str]()
    train = read_shards(spec.shards)
    places = {"root": tmp_path, "scratch": tmp_path}
    start = start_imagination(
        spec.path.parent, spec.sampler, spec.scorer, spec.shards, train, **places, sink=lines.append
    )
    assert start.sampler.imagination is not None and start.sampler.imagination.mode == "guided"
    assert (start.effort.tested, start.device) == (1, "cpu") and "seed images rightly" in lines[0]


def test_a_flagged_variant_is_black_and_says_so_and_is_scored_as_it_was_drawn(
    build: Callable[..., ImaginedFile], feed: Callable[..., Any]
) -> None:
    images, columns = build("flagging", mode="random").open("cpu", 8).draw_recorded(feed())
    assert not images.any() and columns[FLAGGED].all() and len(columns[PROMPT]) == 4
    seen, told = build("flagging", {"safety_checker": False}, mode="random").open("cpu", 8).draw_recorded(feed())
    assert seen.any() and FLAGGED not in told
    np.testing.assert_allclose(columns["total_after"], told["total_after"], atol=1e-5)


def test_a_gpu_that_is_not_there_is_told(build: Callable[..., ImaginedFile], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    spec = build(mode="prior")
    assert spec.choose_provider("auto", allow_fallback=False) == "cpu"
    with pytest.raises(EnvironmentFault, match="torch finds no CUDA device"):
        spec.choose_provider("cuda", allow_fallback=False)


def test_imagined_images_follow_from_what_they_are_drawn_with_and_not_from_thresholds(
    make_generator: Callable[..., Any],
) -> None:
    def identify(**changes: Any) -> dict[str, Any] | None:
        sampler = {"strength": 0.5, "imagination": ImaginationSettings(mode="prior"), **changes}
        return identify_pixels(make_generator(mode="image", sampler=sampler)[0].config)

    usual = identify()
    assert identify(keeps=0.1) == usual
    assert identify(imagination=ImaginationSettings(mode="random")) == usual  # imagination.json tells these
    assert identify(guidance=2.0) != usual and identify(strength=1.0) != usual


def test_a_plan_weighs_the_decoder_of_stable_diffusion_and_all_of_unclip(
    make_generator: Callable[..., Any],
) -> None:
    shares = []
    for name, keys in (("sd", {"mode": "image", "sampler": {"strength": 1.0}}), ("unclip", {})):
        generator, sampler = make_generator(name, **keys)
        kind = DiffusionKind(generator.settings.kind)
        shares.append(kind.weigh_decoding(generator.settings, sampler, SHAPE, generator.root))
    assert 0 < shares[0] < 0.6 < shares[1] < 1
