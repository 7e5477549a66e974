"""The exported graphs of kind `latent` in plain ONNX Runtime against torch: draws, variants, faults, faster ones."""

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
from ops.generators.folder import DECODER, ENCODER, NET, sampler_name
from ops.generators.kinds.flow import Flow
from ops.generators.latent.network import build_latent_flow, describe_autoencoder
from ops.generators.latent_kind import LatentGenerator, LatentKind
from ops.generators.onnx.engine import Sampler
from ops.generators.onnx.parity import measure_parity
from ops.generators.onnx.variants import halve_sampler, quantise_sampler
from ops.generators.registry import find_drawer
from ops.recipe.latent import LatentSettings
from ops.recipe.sampler import SamplerSettings
from tests.graphs import assert_portable, feed_variants, read_metadata
from tests.perturb import draw_seeds

SHAPE = (3, 10, 13)  # not square, and both sides are padded
NAMES = ["cat", "dog", "Ölbaum"]
SEEDS = draw_seeds(SHAPE, [0, 1, 2, 0, 1])
PLAIN = SamplerSettings(solver="heun", steps=2)
VARYING = SamplerSettings(solver="euler", steps=3, strength=0.4, guidance=1.5)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two directories of one untrained generator: `plain` draws classes, `varying` makes variants."""
    root = tmp_path_factory.mktemp("latent")
    settings = LatentSettings.model_validate(
        {"kind": "latent", "widths": (8, 16), "label_dropout": 0.1, "autoencoder": {"width": 8}}
    )
    channels, height, width = SHAPE
    config = {
        "kind": "latent", "channels": channels, "height": height, "width": width, "class_names": NAMES,
        **describe_autoencoder(settings.autoencoder, SHAPE), **describe_network(settings, channels),
    }  # fmt: skip
    torch.manual_seed(2)
    whole = build_latent_flow(config).eval()
    whole.autoencoder.mean += torch.randn(1, 4, 1, 1)
    whole.autoencoder.spread += torch.rand(1, 4, 1, 1)
    for name, sampler in (("plain", PLAIN), ("varying", VARYING)):
        (root / name).mkdir()
        path = LatentGenerator(Flow(), whole, config).export(root / name, sampler, root / "scratch")
        assert path == root / name / sampler_name(sampler.steps or 0)
    return root


@pytest.mark.parametrize(("name", "sampler"), [("plain", PLAIN), ("varying", VARYING)])
def test_the_sampler_alone_draws_what_the_generator_draws(
    root: Path, tmp_path: Path, name: str, sampler: SamplerSettings
) -> None:
    path = tmp_path / "alone.onnx"
    path.write_bytes((root / name / sampler_name(sampler.steps or 0)).read_bytes())
    exported = Sampler(path)
    varies = sampler.strength is not None
    assert exported.info.inputs == (("noise", "label", "image") if varies else ("noise", "label"))
    assert exported.info.shape == SHAPE and exported.info.evaluations == (6 if varies else 3)
    feeds = feed_variants(SEEDS, 12, inputs=exported.info.inputs)
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    (drawn,) = session.run(["variant" if varies else "image"], feeds)
    assert drawn.shape == (12, 10, 13, 3) and drawn.dtype == np.uint8
    generator = LatentKind().load(root / name)
    expected = generator.sample({key: torch.from_numpy(array) for key, array in feeds.items()}, sampler).numpy()
    assert np.abs(drawn.astype(int) - expected).max() <= 1
    seeds = SEEDS if varies else None
    parity = measure_parity(generator, exported, sampler, images=60, seeds=seeds)
    assert parity.passed and parity.share_equal > 0.99
    assert find_drawer(root / name).read_info() == exported.info


@pytest.mark.parametrize("fault", ["decoder", "encoder", "scale", "flow", "strength"])
def test_parity_fails_for_networks_that_are_not_the_exported_ones(root: Path, fault: str) -> None:
    generator: Any = LatentKind().load(root / "varying")
    whole, sampler = generator.whole, VARYING
    with torch.no_grad():
        if fault == "decoder":
            whole.autoencoder.decoder.conv_out.bias.add_(0.1)
        elif fault == "encoder":
            whole.autoencoder.encoder.conv_out.bias[0] += 2
        elif fault == "scale":
            whole.autoencoder.spread.mul_(1.5)
        elif fault == "flow":
            whole.flow.label.weight.copy_(whole.flow.label.weight.roll(1, 0))
        else:
            sampler = VARYING.model_copy(update={"strength": 0.9})
    path = root / "varying" / sampler_name(3)
    assert not measure_parity(generator, Sampler(path), sampler, images=20, seeds=SEEDS).passed


def test_encoder_and_decoder_are_graphs_of_their_own(root: Path) -> None:
    generator: Any = LatentKind().load(root / "plain")
    x = np.random.default_rng(0).uniform(-1, 1, (5, *SHAPE)).astype(np.float32)
    encoder, decoder = (ort.InferenceSession(root / "plain" / name) for name in (ENCODER, DECODER))
    (latent,) = encoder.run(["latent"], {"image": x})
    (again,) = decoder.run(["image"], {"latent": latent})
    with torch.inference_mode():
        known = generator.whole.autoencoder.encode(torch.from_numpy(x))
        expected = generator.whole.autoencoder.decode(known)
    assert latent.shape == (5, 4, 3, 4) and again.shape == x.shape
    np.testing.assert_allclose(latent, known.numpy(), atol=1e-4)
    np.testing.assert_allclose(again, expected.numpy(), atol=1e-4)


def test_the_label_and_the_first_numbers_of_the_noise_matter_and_the_others_do_not(root: Path) -> None:
    sampler, feeds = Sampler(root / "plain" / sampler_name(2)), feed_variants(SEEDS, 6, inputs=("noise", "label"))
    drawn = sampler.draw(feeds)
    assert (sampler.draw({**feeds, "label": (feeds["label"] + 1) % 3}) != drawn).mean() > 0.1
    first, last = feeds["noise"].copy(), feeds["noise"].copy()
    first.reshape(6, -1)[:, 47] += 1
    last.reshape(6, -1)[:, 48:] += 1  # latents have 4 · 3 · 4 numbers
    assert (sampler.draw({**feeds, "noise": first}) != drawn).any(axis=(1, 2, 3)).all()
    np.testing.assert_array_equal(sampler.draw({**feeds, "noise": last}), drawn)


def test_the_folder_is_whole_and_one_that_lacks_a_part_is_refused(root: Path, tmp_path: Path) -> None:
    for path in (root / "plain").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert inspect_folder(tmp_path) == tmp_path / sampler_name(2)
    (tmp_path / ENCODER).unlink()
    with pytest.raises(UserError, match=r"holds no encoder\.onnx; a generator of kind latent has "):
        inspect_folder(tmp_path)


def test_the_graphs_have_one_opset_their_own_names_and_no_folder_of_this_machine(root: Path) -> None:
    assert_portable(root / "plain", (sampler_name(2), NET, ENCODER, DECODER))
    metadata = read_metadata(root / "varying" / sampler_name(3))
    assert (metadata["kind"], json.loads(metadata["labels"]), metadata["strength"]) == ("latent", NAMES, "0.4")
    assert (metadata["solver"], metadata["steps"], metadata["shape"]) == ("euler", "3", "[3, 10, 13]")


@pytest.mark.parametrize("make", [quantise_sampler, halve_sampler])
def test_a_faster_sampler_draws_nearly_the_same(root: Path, tmp_path: Path, make: Any) -> None:
    source = root / "plain" / sampler_name(2)
    make(source, tmp_path / "fast.onnx")
    one, other = (
        Sampler(path).draw(feed_variants(SEEDS, 24, inputs=("noise", "label")))
        for path in (source, tmp_path / "fast.onnx")
    )
    assert np.abs(one.astype(int) - other).mean() < 3
    assert (one != other).any()
