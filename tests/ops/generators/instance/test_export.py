"""The exported graphs of kind `instance` in plain ONNX Runtime against torch: variants, faults, faster ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch

from ops.drawing.inspection import inspect_folder
from ops.errors import UserError
from ops.generators.denoising.network import describe_network
from ops.generators.folder import ENCODER, LABELLED, NET, sampler_name
from ops.generators.instance.network import build_networks, describe_encoder
from ops.generators.instance_kind import InstanceGenerator, InstanceKind
from ops.generators.onnx.engine import Sampler
from ops.generators.onnx.parity import measure_parity
from ops.generators.onnx.variants import halve_sampler, quantise_sampler
from ops.generators.registry import find_drawer
from ops.recipe.instance import EncoderSettings, InstanceSettings
from ops.recipe.sampler import SamplerSettings
from tests.graphs import assert_apart, assert_portable, feed_variants, read_metadata
from tests.perturb import draw_seeds

SHAPE = (3, 11, 14)  # not square; padded for both networks
NAMES = ["cat", "dog", "Ölbaum"]
SEEDS = draw_seeds(SHAPE, [0, 1, 2, 0, 1])
SAMPLER = SamplerSettings(solver="heun", steps=2, strength=0.4)
PATH = sampler_name(2)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of an untrained generator."""
    root = tmp_path_factory.mktemp("instance")
    own = EncoderSettings(width=8, features=5)
    settings = InstanceSettings(widths=(8, 16), encoder=own)
    channels, height, width = SHAPE
    config = {
        "kind": "instance", "channels": channels, "height": height, "width": width, "class_names": NAMES,
        LABELLED: False, **describe_encoder(own, SHAPE), **describe_network(settings, channels),
    }  # fmt: skip
    torch.manual_seed(2)
    networks = build_networks(config).eval()
    networks.encoder.whitening.copy_(4 * torch.randn(networks.encoder.whitening.shape))
    networks.encoder.mean.add_(0.1)
    with torch.no_grad():
        networks.flow.told[2].weight.mul_(5)  # untrained weights would hardly listen
    (root / "out").mkdir()
    path = InstanceGenerator(networks, config).export(root / "out", SAMPLER, root / "scratch")
    assert path == root / "out" / PATH
    return root / "out"


def test_the_sampler_alone_draws_what_the_generator_draws(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "alone.onnx"
    path.write_bytes((root / PATH).read_bytes())
    exported, feeds = Sampler(path), feed_variants(SEEDS, 12)
    assert exported.info.inputs == ("noise", "image") and exported.info.evaluations == 3
    (drawn,) = ort.InferenceSession(path, providers=["CPUExecutionProvider"]).run(["variant"], feeds)
    assert drawn.shape == (12, 11, 14, 3) and drawn.dtype == np.uint8
    generator = InstanceKind().load(root)
    expected = generator.sample({key: torch.from_numpy(array) for key, array in feeds.items()}, SAMPLER).numpy()
    assert np.abs(drawn.astype(int) - expected).max() <= 1
    parity = measure_parity(generator, exported, SAMPLER, images=60, seeds=SEEDS)
    assert parity.passed and parity.share_equal > 0.99
    assert find_drawer(root).read_info() == exported.info


@pytest.mark.parametrize("fault", ["encoder", "mean", "whitening", "flow", "strength"])
def test_parity_fails_for_networks_that_are_not_the_exported_ones(root: Path, fault: str) -> None:
    generator: Any = InstanceKind().load(root)
    networks, sampler = generator.networks, SAMPLER
    with torch.no_grad():
        if fault == "encoder":
            networks.encoder.layers[0].bias.add_(2)
        elif fault == "mean":
            networks.encoder.mean.add_(0.5)
        elif fault == "whitening":
            networks.encoder.whitening.copy_(networks.encoder.whitening.roll(1, 1))
        elif fault == "flow":
            networks.flow.told[0].weight.neg_()
        else:
            sampler = SAMPLER.model_copy(update={"strength": 0.9})
    assert not measure_parity(generator, Sampler(root / PATH), sampler, images=20, seeds=SEEDS).passed


def test_a_variant_depends_on_its_own_noise_and_image_and_not_on_the_batch(root: Path) -> None:
    assert_apart(Sampler(root / PATH), feed_variants(SEEDS, 9))


def test_the_encoder_is_a_graph_of_its_own(root: Path) -> None:
    generator: Any = InstanceKind().load(root)
    x = np.random.default_rng(0).uniform(-1, 1, (5, *SHAPE)).astype(np.float32)
    (features,) = ort.InferenceSession(root / ENCODER).run(["features"], {"image": x})
    with torch.inference_mode():
        expected = generator.networks.encoder.encode(torch.from_numpy(x))
    assert features.shape == (5, 5)
    np.testing.assert_allclose(features, expected.numpy(), atol=1e-4)


def test_the_folder_is_whole_and_one_that_lacks_a_part_is_refused(root: Path, tmp_path: Path) -> None:
    for path in root.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert inspect_folder(tmp_path) == tmp_path / PATH
    (tmp_path / ENCODER).unlink()
    with pytest.raises(UserError, match=r"holds no encoder\.onnx; a generator of kind instance has "):
        inspect_folder(tmp_path)


def test_the_graphs_have_one_opset_their_own_names_and_no_folder_of_this_machine(root: Path) -> None:
    assert_portable(root, (PATH, NET, ENCODER))
    metadata = read_metadata(root / PATH)
    assert (metadata["kind"], json.loads(metadata["labels"]), metadata["strength"]) == ("instance", NAMES, "0.4")


@pytest.mark.parametrize("make", [quantise_sampler, halve_sampler])
def test_a_faster_sampler_draws_nearly_the_same(root: Path, tmp_path: Path, make: Any) -> None:
    make(root / PATH, tmp_path / "fast.onnx", **({"seeds": SEEDS} if make is quantise_sampler else {}))
    one, other = (Sampler(path).draw(feed_variants(SEEDS, 24)) for path in (root / PATH, tmp_path / "fast.onnx"))
    assert np.abs(one.astype(int) - other).mean() < 3
    assert (one != other).any()
