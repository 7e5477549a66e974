"""The exported graphs of MUNIT in plain ONNX Runtime against torch, and the drawer that encodes each image once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch

from ops.drawing.inspection import inspect_folder
from ops.errors import DamagedData, UserError
from ops.generators.drawers import SamplerInfo
from ops.generators.feeds import Feeds
from ops.generators.folder import CONTENT, DECODER, SAMPLER, WEIGHTS, find_sampler
from ops.generators.munit.network import build_makers, describe_munit
from ops.generators.munit_kind import MunitGenerator, MunitKind
from ops.generators.noise import draw_noise
from ops.generators.onnx import coded
from ops.generators.onnx.coded import CodedDrawer, CodedFile
from ops.generators.onnx.engine import Sampler
from ops.generators.onnx.parity import measure_parity
from ops.generators.registry import find_drawer
from ops.recipe.munit import MunitSettings
from ops.recipe.sampler import SamplerSettings
from tests.graphs import assert_portable, feed_variants, read_metadata
from tests.perturb import draw_seeds

SHAPE = (3, 10, 13)  # not square, and both sides are padded
SEEDS = draw_seeds(SHAPE, [0, 1, 0, 1, 1])
NAMES = ["cat", "Ölbaum"]


def export(root: Path, strength: float | None) -> Path:
    """The directory of an untrained generator."""
    torch.manual_seed(2)
    channels, height, width = SHAPE
    config = {
        "kind": "munit", "channels": channels, "height": height, "width": width, "class_names": NAMES,
        **describe_munit(MunitSettings(width=8, blocks=1, halvings=2)),
    }  # fmt: skip
    makers = build_makers(config).eval()
    out, scratch = root / "out", root / "scratch"
    out.mkdir()
    scratch.mkdir()
    assert MunitGenerator(makers, config).export(out, SamplerSettings(strength=strength), scratch) == out / SAMPLER
    return out


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("random"), None)


@pytest.fixture(scope="module")
def weak(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a strength of 0: the noise has no effect."""
    return export(tmp_path_factory.mktemp("weak"), 0.0)


def feed(count: int, seed: int = 0) -> Feeds:
    return feed_variants(SEEDS, count, seed=seed)


def assert_near(drawn: np.ndarray, expected: np.ndarray) -> None:
    """At most one grey level apart on 99.9 % of the numbers, as between two providers."""
    difference = np.abs(drawn.astype(np.int16) - expected)
    assert (difference <= 1).mean() >= 0.999 and difference.max() <= 3


def test_plain_onnx_runtime_draws_what_the_generator_draws(folder: Path) -> None:
    feeds = feed(40)
    session = ort.InferenceSession(folder / SAMPLER, providers=["CPUExecutionProvider"])
    (drawn,) = session.run(["variant"], feeds)
    assert drawn.shape == (40, 10, 13, 3) and drawn.dtype == np.uint8
    generator = MunitKind().load(folder)
    given = {name: torch.from_numpy(array) for name, array in feeds.items()}
    assert_near(drawn, generator.sample(given, SamplerSettings()).numpy())
    assert (drawn != feeds["image"]).mean() > 0.5
    parity = measure_parity(generator, Sampler(folder / SAMPLER), SamplerSettings(), images=60, seeds=SEEDS)
    assert parity.passed and parity.share_equal > 0.99


def test_parity_fails_for_makers_that_are_not_the_exported_ones(folder: Path) -> None:
    generator: Any = MunitKind().load(folder)
    with torch.no_grad():
        generator.makers[0].last.bias.add_(0.1)
    assert not measure_parity(generator, Sampler(folder / SAMPLER), SamplerSettings(), images=20, seeds=SEEDS).passed


def test_the_graphs_are_of_one_opset_and_name_no_folder_of_this_machine(folder: Path) -> None:
    assert_portable(folder, (SAMPLER, CONTENT, DECODER))
    sizes = [(folder / name).stat().st_size for name in (SAMPLER, CONTENT, DECODER)]
    assert sizes[0] < 1.1 * sum(sizes[1:])


def test_the_metadata_hold_what_a_caller_needs(folder: Path) -> None:
    properties = read_metadata(folder / SAMPLER)
    assert (properties["kind"], properties["range"]) == ("munit", "0..255")
    assert json.loads(properties["labels"]) == NAMES
    spec = find_drawer(folder)
    assert spec == CodedFile(find_sampler(folder)) and not spec.uses_torch
    expected = SamplerInfo(tuple(NAMES), SHAPE, evaluations=1, inputs=("noise", "image"))
    assert spec.read_info() == Sampler(folder / SAMPLER).info == expected


def test_the_drawer_draws_what_the_whole_sampler_draws(folder: Path) -> None:
    feeds = feed(40)
    assert_near(CodedFile(folder / SAMPLER).open("cpu", 16).draw(feeds), Sampler(folder / SAMPLER).draw(feeds))


def test_a_variant_does_not_depend_on_batch_size_order_or_neighbours(folder: Path) -> None:
    feeds = feed(40)
    drawer = CodedFile(folder / SAMPLER).open("cpu", 16)
    expected = drawer.draw(feeds)
    for size in (1, 3, 64):
        other = drawer.with_batch_size(size)
        assert other.batch_size == size and drawer.batch_size == 16
        np.testing.assert_array_equal(other.draw(feeds), expected)
    turned = {name: array[::-1].copy() for name, array in feeds.items()}
    np.testing.assert_array_equal(drawer.draw(turned)[::-1], expected)
    few = {name: array[5:9] for name, array in feeds.items()}
    np.testing.assert_array_equal(drawer.draw(few), expected[5:9])
    assert len(drawer.draw({name: array[:0] for name, array in feeds.items()})) == 0


def count_encodings(drawer: CodedDrawer, feeds: Feeds) -> int:
    """How many images the first half is run for."""
    session, calls = drawer._encoder, []

    class Counting:
        def run(self, *given: Any) -> Any:
            calls.append(given)
            return session.run(*given)

    drawer._encoder = Counting()
    drawer.draw(feeds)
    drawer._encoder = session
    return len(calls)


def test_each_seed_image_is_encoded_once_while_its_codes_are_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawer, feeds = CodedFile(folder / SAMPLER).open("cpu", 4), feed(40)
    assert count_encodings(drawer, feeds) == len(SEEDS)
    assert count_encodings(drawer, feeds) == 0
    assert count_encodings(drawer.with_batch_size(4), feeds) == len(SEEDS)
    monkeypatch.setattr(coded, "KEPT", 2)
    order = np.argsort([image.tobytes() for image in feeds["image"]])  # unit by unit, as a set's rows are
    sorted_feeds = {name: array[order] for name, array in feeds.items()}
    assert count_encodings(drawer.with_batch_size(4), sorted_feeds) == len(SEEDS)
    assert count_encodings(drawer.with_batch_size(4), feeds) > len(SEEDS)


def test_a_style_is_the_first_numbers_of_the_noise_and_nothing_else_of_it(folder: Path) -> None:
    drawer, feeds = CodedFile(folder / SAMPLER).open("cpu", 8), feed(8)
    expected, noise = drawer.draw(feeds), feeds["noise"].copy()
    noise.reshape(8, -1)[:, 8:] = 5
    np.testing.assert_array_equal(drawer.draw({**feeds, "noise": noise}), expected)
    noise.reshape(8, -1)[:, 7] += 1
    assert (drawer.draw({**feeds, "noise": noise}) != expected).mean() > 0.1


def test_the_numbers_of_a_style_are_independent_and_normal() -> None:
    styles = draw_noise(SHAPE, seed=0, round_=0, unit="s0", start=0, count=4000).reshape(4000, -1)[:, :8]
    assert np.abs(styles.mean(axis=0)).max() < 0.08
    assert np.abs(np.cov(styles.T) - np.eye(8)).max() < 0.1


@pytest.mark.slow
def test_with_a_strength_of_zero_the_graphs_reconstruct_and_keep_their_input(weak: Path) -> None:
    feeds = feed(20)
    generator: Any = MunitKind().load(weak)
    maker = generator.makers[0]
    with torch.inference_mode():
        x = torch.from_numpy(feeds["image"]).permute(0, 3, 1, 2).float() / 127.5 - 1
        again = maker.decode(maker.encode(x), maker.style_of(x))
    expected = ((again + 1) * 127.5).round().permute(0, 2, 3, 1).numpy()
    drawer, whole = CodedFile(weak / SAMPLER).open("cpu", 8), Sampler(weak / SAMPLER)
    assert whole.info.inputs == ("noise", "image")
    for drawn in (drawer.draw(feeds), whole.draw(feeds)):
        assert_near(drawn, expected)
    np.testing.assert_array_equal(drawer.draw({**feeds, "noise": feed(20, seed=1)["noise"]}), drawer.draw(feeds))
    settings = SamplerSettings(strength=0.0)
    assert measure_parity(generator, whole, settings, images=20, seeds=SEEDS).passed
    assert not measure_parity(generator, whole, SamplerSettings(), images=20, seeds=SEEDS).passed


def test_a_folder_that_lacks_a_half_is_refused(folder: Path, tmp_path: Path) -> None:
    for name in (SAMPLER, CONTENT, DECODER, WEIGHTS, "config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    assert inspect_folder(tmp_path) == tmp_path / SAMPLER
    (tmp_path / CONTENT).unlink()
    with pytest.raises(UserError, match=r"holds no content\.onnx; a generator of kind munit has "):
        inspect_folder(tmp_path)
    with pytest.raises(DamagedData, match=r"content\.onnx cannot be loaded"):
        CodedFile(tmp_path / SAMPLER).open("cpu", 4)


def test_other_inputs_are_a_fault_of_the_caller(folder: Path) -> None:
    with pytest.raises(ValueError, match="takes noise, image; it is fed noise"):
        CodedFile(folder / SAMPLER).open("cpu", 4).draw({"noise": feed(2)["noise"]})
