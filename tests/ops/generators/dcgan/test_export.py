"""The exported graph of a DCGAN in plain ONNX Runtime against torch, and what the folder must have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from ops.drawing.inspection import inspect_folder
from ops.errors import UserError
from ops.generators.adversarial_kind import AdversarialGenerator
from ops.generators.dcgan.design import Dcgan
from ops.generators.drawers import SamplerInfo
from ops.generators.feeds import Feeds, make_feeds, spread_draws
from ops.generators.folder import SAMPLER, WEIGHTS
from ops.generators.onnx.engine import OnnxFile, Sampler
from ops.generators.onnx.parity import measure_parity
from ops.generators.registry import KINDS, find_drawer
from ops.recipe.dcgan import DcganSettings
from ops.recipe.sampler import SamplerSettings
from tests.graphs import assert_portable, read_metadata

SHAPE = (3, 18, 21)  # not square, and both sides are cropped
NAMES = ["cat", "Ölbaum", "c"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a generator whose norms have something to do."""
    root = tmp_path_factory.mktemp("dcgan")
    torch.manual_seed(2)
    channels, height, width = SHAPE
    config = {"kind": "dcgan", "channels": channels, "height": height, "width": width, "class_names": NAMES}
    config |= Dcgan().describe(DcganSettings(width=8), SHAPE)
    maker: Any = Dcgan().build_maker(config).eval()
    with torch.no_grad():
        for norm in maker.norms:
            norm.gain.weight.uniform_(0.5, 2)
            norm.shift.weight.normal_()
        maker.last.weight.mul_(10)
        maker.settle(torch.randn(200, maker.latent), torch.arange(200) % 3)
    (root / "out").mkdir()
    (root / "scratch").mkdir()
    made = AdversarialGenerator(maker, config).export(root / "out", SamplerSettings(), root / "scratch")
    assert made == root / "out" / SAMPLER
    return root / "out"


def feed(count: int) -> Feeds:
    return make_feeds(("noise", "label"), SHAPE, spread_draws("test", np.arange(count) % 3), seed=1)


def test_plain_onnx_runtime_draws_what_the_generator_draws(folder: Path) -> None:
    session = ort.InferenceSession(folder / SAMPLER, providers=["CPUExecutionProvider"])
    (drawn,) = session.run(["image"], feed(12))
    assert drawn.shape == (12, 18, 21, 3) and drawn.dtype == np.uint8 and drawn.std() > 20
    generator = KINDS["dcgan"].load(folder)
    parity = measure_parity(generator, Sampler(folder / SAMPLER), SamplerSettings(), images=60)
    assert parity.passed and parity.share_equal > 0.99


def test_parity_fails_for_statistics_that_are_not_the_exported_ones(folder: Path) -> None:
    generator: Any = KINDS["dcgan"].load(folder)
    generator.maker.norms[1].mean.add_(0.5)
    assert not measure_parity(generator, Sampler(folder / SAMPLER), SamplerSettings(), images=20).passed


def test_an_exported_image_does_not_depend_on_batch_size_or_neighbours_but_on_its_label_and_latent(
    folder: Path,
) -> None:
    sampler, feeds = Sampler(folder / SAMPLER, batch_size=16), dict(feed(12))
    drawn = sampler.draw(feeds)
    for size in (1, 3, 64):
        np.testing.assert_array_equal(sampler.with_batch_size(size).draw(feeds), drawn)
    few = {name: array[5:9] for name, array in feeds.items()}
    np.testing.assert_array_equal(sampler.draw(few), drawn[5:9])
    for name, other in (("label", (feeds["label"] + 1) % 3), ("noise", np.roll(feeds["noise"], 1, axis=0))):
        assert (sampler.draw({**feeds, name: other}) != drawn).any(axis=(1, 2, 3)).all(), name
    noise = feeds["noise"].copy()
    noise.reshape(12, -1)[:, 100:] = 5  # an image takes the first numbers alone
    np.testing.assert_array_equal(sampler.draw({**feeds, "noise": noise}), drawn)


def test_the_graph_is_portable_and_its_metadata_hold_what_a_caller_needs(folder: Path) -> None:
    assert_portable(folder, (SAMPLER,))
    assert {node.op_type for node in onnx.load(folder / SAMPLER).graph.node} & {"ConvTranspose"}
    properties = read_metadata(folder / SAMPLER)
    assert (properties["kind"], properties["range"]) == ("dcgan", "0..255")
    assert json.loads(properties["labels"]) == NAMES
    spec = find_drawer(folder)
    assert spec == OnnxFile(folder / SAMPLER) and not spec.uses_torch
    assert spec.read_info() == SamplerInfo(tuple(NAMES), SHAPE, evaluations=1, inputs=("noise", "label"))


def test_a_folder_that_lacks_its_weights_is_refused(folder: Path, tmp_path: Path) -> None:
    for name in (SAMPLER, WEIGHTS, "config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    assert inspect_folder(tmp_path) == tmp_path / SAMPLER
    (tmp_path / WEIGHTS).unlink()
    with pytest.raises(UserError, match=r"holds no model\.safetensors; a generator of kind dcgan has "):
        inspect_folder(tmp_path)
