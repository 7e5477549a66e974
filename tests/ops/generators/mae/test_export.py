"""The exported graphs of kind `mae` in plain ONNX Runtime against torch, and the generator as a prior that imagines."""

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
from ops.generators.feeds import make_feeds, spread_draws
from ops.generators.folder import DECODER, LABELLED, SAMPLER
from ops.generators.imaginable import ImaginingKind
from ops.generators.levels import to_pixels
from ops.generators.mae.mae_prior import MaePrior
from ops.generators.mae.network import build_mae
from ops.generators.mae.sizes import describe_network
from ops.generators.mae_kind import MaeGenerator, MaeKind
from ops.generators.onnx.engine import Sampler
from ops.generators.onnx.modules import OPSET
from ops.generators.onnx.parity import measure_parity
from ops.generators.registry import find_drawer
from ops.imagination.protocols import Request, VaryingPrior
from ops.recipe.generator import SamplerSettings
from ops.recipe.mae import MaeSettings
from tests.perturb import draw_seeds

SHAPE = (3, 9, 12)  # not square; rows are padded
NAMES = ["cat", "dog", "Ölbaum"]
SEEDS = draw_seeds(SHAPE, [0, 1, 2, 0, 1])
SAMPLER_SETTINGS = SamplerSettings(strength=0.4)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of an untrained generator of normalised patches."""
    root, (channels, height, width) = tmp_path_factory.mktemp("mae"), SHAPE
    half = {"width": 16, "layers": 1, "heads": 2}
    settings = MaeSettings.model_validate({"patch": 4, "normalise": True, "encoder": half, "decoder": half})
    config = {
        "kind": "mae", "channels": channels, "height": height, "width": width, "class_names": NAMES, LABELLED: False,
        "hidden": [0.1, 0.6], "network": describe_network(settings, SHAPE), "frame": None,
    }  # fmt: skip
    torch.manual_seed(2)
    mae = build_mae(config).eval()
    mae.mean.add_(0.1)
    mae.spread.mul_(0.7)
    (root / "out").mkdir()
    assert MaeGenerator(mae, config).export(root / "out", SAMPLER_SETTINGS, root / "scratch") == root / "out" / SAMPLER
    return root / "out"


def feed(count: int) -> dict[str, np.ndarray]:
    runs = spread_draws("test", np.arange(count) % 3, SEEDS)
    return make_feeds(("noise", "image"), SHAPE, runs, seed=1, seeds=SEEDS)


def test_the_sampler_alone_draws_what_the_generator_draws(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "alone.onnx"
    path.write_bytes((root / SAMPLER).read_bytes())
    exported, feeds = Sampler(path), feed(12)
    assert exported.info.inputs == ("noise", "image") and exported.info.evaluations == 1
    (drawn,) = ort.InferenceSession(path, providers=["CPUExecutionProvider"]).run(["variant"], feeds)
    assert drawn.shape == (12, 9, 12, 3) and drawn.dtype == np.uint8
    generator = MaeKind().load(root)
    expected = generator.sample({key: torch.from_numpy(array) for key, array in feeds.items()}, SAMPLER_SETTINGS)
    assert np.abs(drawn.astype(int) - expected.numpy()).max() <= 1
    assert len(np.unique(drawn, axis=0)) == 12
    parity = measure_parity(generator, exported, SAMPLER_SETTINGS, images=60, seeds=SEEDS)
    assert parity.passed and parity.share_equal > 0.99
    assert find_drawer(root).read_info() == exported.info


@pytest.mark.parametrize("fault", ["encoder", "decoder", "mean", "hidden", "strength"])
def test_parity_fails_for_a_network_that_is_not_the_exported_one(root: Path, fault: str) -> None:
    generator: Any = MaeKind().load(root)
    mae, sampler = generator.mae, SAMPLER_SETTINGS
    with torch.no_grad():
        if fault == "encoder":
            mae.vit.layernorm.weight.neg_()
        elif fault == "decoder":
            mae.decoder.decoder_pos_embed.neg_()
        elif fault == "mean":
            mae.mean.add_(0.5)
        elif fault == "hidden":
            generator.config["hidden"] = [0.8, 0.9]
        else:
            sampler = SamplerSettings(strength=0.9)
    assert not measure_parity(generator, Sampler(root / SAMPLER), sampler, images=20, seeds=SEEDS).passed


def test_a_variant_depends_on_its_own_noise_and_image_and_not_on_the_batch(root: Path) -> None:
    sampler, feeds = Sampler(root / SAMPLER), feed(9)
    drawn = sampler.draw(feeds)
    for size in (1, 2, 5):
        np.testing.assert_array_equal(sampler.with_batch_size(size).draw(feeds), drawn)
    for key in feeds:
        other = sampler.draw({**feeds, key: np.roll(feeds[key], 1, axis=0)})
        assert (other != drawn).any(axis=(1, 2, 3)).all()


def test_the_folder_is_whole_and_one_that_lacks_a_part_is_refused(root: Path, tmp_path: Path) -> None:
    for path in root.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert inspect_folder(tmp_path) == tmp_path / SAMPLER
    (tmp_path / DECODER).unlink()
    with pytest.raises(UserError, match=r"holds no decoder\.onnx; a generator of kind mae has "):
        inspect_folder(tmp_path)


def test_the_graphs_have_one_opset_their_own_names_and_no_folder_of_this_machine(root: Path) -> None:
    for name in (SAMPLER, DECODER):
        model = onnx.load(root / name)
        assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
        assert not model.functions
        content = (root / name).read_bytes()
        assert str(Path(__file__).parents[4]).encode() not in content and b"site-packages" not in content
    metadata = {entry.key: entry.value for entry in onnx.load(root / SAMPLER).metadata_props}
    assert (metadata["kind"], json.loads(metadata["labels"]), metadata["strength"]) == ("mae", NAMES, "0.4")


def test_as_a_prior_it_varies_as_the_sampler_and_decodes_with_gradients(root: Path) -> None:
    kind = MaeKind()
    assert isinstance(kind, ImaginingKind)
    prior = kind.open_prior(root, SAMPLER_SETTINGS)
    assert isinstance(prior, VaryingPrior) and isinstance(prior, MaePrior) and prior.latent_shape == (10, 18)
    image = torch.from_numpy(SEEDS.images[:1]).permute(0, 3, 1, 2).float() / 255
    requests = [Request(SEEDS.ids[0], 0, k, 1, 0) for k in range(4)]
    with torch.inference_mode():
        latents = prior.vary(image.expand(4, -1, -1, -1), requests)
        images, rendered = prior.decode(latents), prior.render(latents)
    assert float(images.min()) >= 0 and float(images.max()) <= 1
    torch.testing.assert_close(images, rendered, atol=1e-4, rtol=0)
    noise = make_feeds(("noise",), SHAPE, spread_draws(SEEDS.ids[0], np.zeros(4, np.int64)), seed=1)["noise"]
    feeds = {"noise": noise, "image": np.repeat(SEEDS.images[:1], 4, axis=0)}
    drawn = Sampler(root / SAMPLER).draw(feeds)
    assert np.abs(to_pixels(images * 2 - 1).numpy().astype(int) - drawn).max() <= 1
    latent = prior.encode(image).requires_grad_()
    prior.decode(latent).sum().backward()  # type: ignore[no-untyped-call]
    assert latent.grad is not None and float(latent.grad.abs().max()) > 0
