"""The exported graphs of kind `mae` in plain ONNX Runtime against torch."""

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
from ops.files.storage import read_json, write_json
from ops.generators.folder import CONFIG, DECODER, LABELLED, SAMPLER
from ops.generators.mae.mae_prior import MaePrior
from ops.generators.mae.network import build_mae
from ops.generators.mae.sizes import describe_network
from ops.generators.mae_kind import MaeGenerator, MaeKind
from ops.generators.onnx.engine import Sampler
from ops.generators.onnx.parity import measure_parity
from ops.generators.prior_kind import SEEN
from ops.generators.registry import find_drawer
from ops.recipe.mae import MaeSettings
from ops.recipe.sampler import SamplerSettings
from tests.graphs import assert_apart, assert_portable, feed_variants, read_metadata
from tests.perturb import draw_seeds

pytestmark = pytest.mark.slow  # the exporter takes seconds for each graph
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


def test_the_sampler_alone_draws_what_the_generator_draws(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "alone.onnx"
    path.write_bytes((root / SAMPLER).read_bytes())
    exported, feeds = Sampler(path), feed_variants(SEEDS, 12)
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
    assert_apart(Sampler(root / SAMPLER), feed_variants(SEEDS, 9))


def test_the_folder_is_whole_and_one_that_lacks_a_part_is_refused(root: Path, tmp_path: Path) -> None:
    for path in root.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert inspect_folder(tmp_path) == tmp_path / SAMPLER
    seen = {"kind": "mae", "pool": "others", "images": 9, "licence": "CC0-1.0"}
    write_json(tmp_path / CONFIG, {**read_json(root / CONFIG), "kind": "prior", SEEN: seen})
    assert inspect_folder(tmp_path) == tmp_path / SAMPLER, "as the generator that a prior becomes"
    (tmp_path / DECODER).unlink()
    with pytest.raises(UserError, match=r"holds no decoder\.onnx; a generator of kind mae has "):
        inspect_folder(tmp_path)


def test_the_graphs_have_one_opset_their_own_names_and_no_folder_of_this_machine(root: Path) -> None:
    assert_portable(root, (SAMPLER, DECODER))
    metadata = read_metadata(root / SAMPLER)
    assert (metadata["kind"], json.loads(metadata["labels"]), metadata["strength"]) == ("mae", NAMES, "0.4")


def test_the_decoder_is_a_graph_of_its_own_and_finishes_imagined_images(root: Path) -> None:
    prior = MaeKind().open_prior(root, SAMPLER_SETTINGS)
    assert isinstance(prior, MaePrior) and prior.decoder is not None
    latents = torch.randn(5, *prior.latent_shape)
    with torch.inference_mode():
        torch.testing.assert_close(prior.render(latents), prior.decode(latents), atol=1e-4, rtol=0)
