"""The exported sampler in plain ONNX Runtime against torch: noise and label to images, with and without truncation."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from ops.drawing.inspection import inspect_folder
from ops.generators.adversarial.cost import estimate_adversarial
from ops.generators.adversarial.guessing import guess_adversarial
from ops.generators.drawers import SamplerInfo
from ops.generators.feeds import Feeds, make_feeds, spread_draws
from ops.generators.folder import SAMPLER
from ops.generators.onnx.engine import Sampler
from ops.generators.onnx.parity import measure_parity
from ops.generators.protocol import Kind
from ops.generators.registry import KINDS, find_drawer
from ops.generators.stored_network import save_network
from ops.generators.stylegan2.design import StyleGan2
from ops.generators.stylegan2.game import StyleGame
from ops.recipe.sampler import SamplerSettings
from ops.recipe.stylegan2 import StyleGan2Settings
from ops.training.checkpoint import Checkpoints
from tests.graphs import assert_apart, assert_portable, read_metadata

SHAPE = (3, 10, 13)  # not square, and both sides are cropped
NAMES = ["cat", "Ölbaum"]
KIND: Kind = KINDS["stylegan2"]


def export(root: Path, sampler: SamplerSettings, names: list[str] = NAMES) -> Path:
    """The directory of an untrained generator whose planes of noise count."""
    torch.manual_seed(2)
    channels, height, width = SHAPE
    settings = StyleGan2Settings(width=8, latent=12)
    config = {
        "kind": "stylegan2", "channels": channels, "height": height, "width": width, "class_names": names,
        **StyleGan2().describe(settings, SHAPE),
    }  # fmt: skip
    maker: Any = StyleGan2().build_maker(config).eval()
    with torch.no_grad():
        for layer in maker.layers:
            layer.strength.fill_(0.2)
    maker.settle(torch.randn(50, maker.latent), torch.zeros(50))
    trained, out, scratch = root / "trained", root / "out", root / "scratch"
    for folder in (trained, out, scratch):
        folder.mkdir()
    save_network(trained, maker, config)
    assert KIND.load(trained).export(out, sampler, scratch) == out / SAMPLER
    return out


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("plain"), SamplerSettings())


def feed(count: int) -> Feeds:
    return make_feeds(("noise", "label"), SHAPE, spread_draws("test", np.arange(count) % 2), seed=1)


def test_plain_onnx_runtime_draws_what_the_generator_draws(folder: Path) -> None:
    feeds = feed(30)
    session = ort.InferenceSession(folder / SAMPLER, providers=["CPUExecutionProvider"])
    (drawn,) = session.run(["image"], feeds)
    assert drawn.shape == (30, 10, 13, 3) and drawn.dtype == np.uint8 and drawn.std() > 10
    parity = measure_parity(KIND.load(folder), Sampler(folder / SAMPLER), SamplerSettings(), images=60)
    assert parity.passed and parity.share_equal > 0.99
    # The mean of the class takes the place of every style: the same graph with half the truncation is another one.
    assert not measure_parity(
        KIND.load(folder), Sampler(folder / SAMPLER), SamplerSettings(truncation=0.5), images=20
    ).passed


def test_an_image_follows_from_its_own_noise_and_label(folder: Path) -> None:
    assert_apart(Sampler(folder / SAMPLER), feed(12))


def test_the_graph_says_what_a_caller_needs_and_names_no_folder_of_this_machine(folder: Path) -> None:
    assert_portable(folder, (SAMPLER,))
    properties = read_metadata(folder / SAMPLER)
    assert (properties["kind"], properties["evaluations"]) == ("stylegan2", "1") and "truncation" not in properties
    assert json.loads(properties["labels"]) == NAMES
    spec = find_drawer(folder)
    assert not spec.uses_torch and spec.read_info() == SamplerInfo(tuple(NAMES), SHAPE, evaluations=1)
    assert inspect_folder(folder) == folder / SAMPLER


@pytest.mark.slow
def test_images_of_one_class_without_vectors_are_exported_too(tmp_path: Path) -> None:
    sampler = SamplerSettings(truncation=0.7)
    folder = export(tmp_path, sampler, ["all"])
    generator: Any = KIND.load(folder)
    assert generator.maker.mapping.vectors is None
    drawn = Sampler(folder / SAMPLER)
    assert drawn.info.class_names == ("all",)
    assert measure_parity(generator, drawn, sampler, images=20).passed
    assert not measure_parity(generator, drawn, SamplerSettings(), images=20).passed


@pytest.mark.slow
def test_truncation_is_part_of_the_graph(tmp_path: Path) -> None:
    sampler = SamplerSettings(truncation=0.5)
    folder = export(tmp_path, sampler)
    assert read_metadata(folder / SAMPLER)["truncation"] == "0.5"
    assert measure_parity(KIND.load(folder), Sampler(folder / SAMPLER), sampler, images=20).passed


def test_the_timed_cost_is_that_of_augmented_steps_and_has_its_share_of_penalties(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    augmented: list[float] = []

    def time_steps(train: Any, *counts: tuple[int, int]) -> float:
        train(1, Checkpoints(Path("none"), 1), lambda step, loss: None)
        return 2.0

    def learn(game: StyleGame, checkpoints: Checkpoints, **named: Any) -> None:
        assert game.adaptation is not None
        augmented.append(float(game.adaptation.p))

    monkeypatch.setattr("ops.generators.adversarial.cost.time_steps", time_steps)
    monkeypatch.setattr("ops.generators.adversarial.cost.learn_in_turns", learn)
    settings = StyleGan2Settings(width=8, steps=10, batch_size=8)
    timed = estimate_adversarial(StyleGan2(), settings, (1, 16, 16), 2)
    plain = estimate_adversarial(StyleGan2(), settings.model_copy(update={"penalty": 0.0}), (1, 16, 16), 2)
    assert plain.step_seconds == 2.0 and 2.0 < timed.step_seconds < 2.2
    assert timed.fit_seconds == pytest.approx(10 * timed.step_seconds)
    assert augmented == [0.4, 0.4]


def test_guessed_costs_count_the_products_of_the_networks() -> None:
    settings = StyleGan2Settings(width=8, steps=10, batch_size=8)
    products = StyleGan2().count_products(settings, (1, 16, 16))
    assert products.rare == pytest.approx(6 * products.judge / 16)
    guessed = guess_adversarial(settings, products, rate=2e10, workers=2)
    assert guessed.image_seconds == pytest.approx(products.make / 2e10)
    unpenalised = guess_adversarial(settings, replace(products, rare=0.0), rate=2e10, workers=2)
    assert guessed.step_seconds - unpenalised.step_seconds == pytest.approx(0.8 * 8 * products.rare / 4e10)
    config = {"channels": 1, "height": 16, "width": 16, "class_names": NAMES}
    pair = StyleGan2().build_pair({**config, **StyleGan2().describe(settings, (1, 16, 16))}, settings)
    label = torch.zeros(1, dtype=torch.int64)
    for network, given, expected in (
        (pair.maker, torch.randn(1, 256), products.make), (pair.critic, torch.randn(1, 1, 16, 16), products.judge)
    ):  # fmt: skip
        with FlopCounterMode(display=False) as counter:
            network(given, label)
        assert counter.get_total_flops() == pytest.approx(expected, rel=0.1)
    wide = StyleGan2().count_products(settings.model_copy(update={"width": 16}), (1, 16, 16))
    assert 3 < wide.make / products.make < 4 and 3 < wide.judge / products.judge < 4
