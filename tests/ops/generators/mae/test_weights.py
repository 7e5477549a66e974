"""A masked autoencoder from elsewhere: taken as it is, by its hash; folders that are not one are refused in a sentence.

Transformers is not needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ops.errors import DamagedData, UserError
from ops.files.storage import read_json
from ops.generators.levels import to_float
from ops.generators.mae import weights
from ops.generators.mae.network import build_mae
from ops.generators.mae.weights import DEFAULTS, check_weights_folder, identify_weights, rename
from ops.generators.mae_kind import MaeGenerator, MaeKind
from ops.generators.noise import draw_noise
from ops.generators.protocol import Fitting, Sample
from ops.recipe.mae import MaeSettings, MaeWeightsSettings
from ops.recipe.sampler import SamplerSettings
from ops.training.state import Observation
from tests.maefolders import CONFIG, FRAME, name_as_before, write_folder


def settle(root: Path, shape: tuple[int, int, int] = (1, 10, 10)) -> MaeSettings:
    """Settings that state the hash of the folder in `root`."""
    named = MaeWeightsSettings(model="mae", licence="as is")
    sha256 = check_weights_folder(named, root, shape).folder.hash_files()
    return MaeSettings(weights=named.model_copy(update={"sha256": sha256}))


class Watcher:
    """Draws a variant of each image of the pool."""

    def __init__(self, images: Tensor) -> None:
        noise = draw_noise(tuple(images.shape[1:]), seed=0, round_=0, unit="a", start=0, count=len(images))
        self.feeds = {"noise": torch.from_numpy(noise), "image": images.permute(0, 2, 3, 1)}
        self.seen: dict[int, Tensor] = {}

    def observe(self, step: int, sample: Sample) -> Observation:
        self.seen[step] = sample(self.feeds)
        return Observation()


def test_weights_are_taken_as_they_are_and_only_the_scale_is_the_pool_s(tmp_path: Path) -> None:
    given = write_folder(tmp_path)
    settings = settle(tmp_path)
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (20, 1, 10, 10), dtype=np.uint8))
    watcher, out = Watcher(images), tmp_path / "out"
    out.mkdir()
    labels = torch.zeros(20, dtype=torch.int64)
    metrics = MaeKind().fit(
        settings, Fitting(images, labels, (), 0, tmp_path, out, tmp_path / "s", watch=lambda copies: watcher)
    )
    assert (metrics["steps"], metrics["training_images"], metrics["sha256"]) == (0, None, settings.weights.sha256)
    stored = load_file(out / "model.safetensors")
    assert stored.keys() == {*given, "mean", "spread"}
    assert all(torch.equal(stored[name], value) for name, value in given.items())
    config = read_json(out / "config.json")
    assert config["origin"]["licence"] == "as is" and config["frame"] == FRAME
    assert config["network"] == {**DEFAULTS, **{k: CONFIG[k] for k in DEFAULTS.keys() & CONFIG}, "image_size": [12, 12]}
    generator = MaeKind().load(out)
    assert isinstance(generator, MaeGenerator)
    with torch.inference_mode():
        latents = generator.mae.encode(to_float(watcher.feeds["image"]))
    assert latents.shape == (20, 10, 8) and (latents[:, 1:].square().mean(dim=0) - 1).abs().max() < 0.05
    drawn = generator.sample(watcher.feeds, SamplerSettings(strength=0.4))
    assert drawn.shape == (20, 10, 10, 1) and list(watcher.seen) == [0]
    assert (drawn.int() - watcher.seen[0]).abs().max() <= 1


def test_another_hash_and_none_are_refused_with_the_right_one(tmp_path: Path) -> None:
    write_folder(tmp_path)
    right = settle(tmp_path).weights
    assert right is not None
    for stated, sentence in (
        (None, "prior.weights.sha256 is missing"),
        ("0" * 64, "prior.weights.sha256 does not fit"),
    ):
        settings = MaeSettings(weights=right.model_copy(update={"sha256": stated}))
        with pytest.raises(UserError, match=sentence) as caught:
            MaeKind().check(settings, tmp_path, (), (1, 10, 10))
        assert str(right.sha256) in str(caught.value)
    found = check_weights_folder(right, tmp_path, (1, 10, 10))
    assert identify_weights(found, right, tmp_path) == right.sha256
    MaeKind().check(MaeSettings(weights=right), tmp_path, (), (1, 10, 10))


@pytest.mark.parametrize(
    ("changes", "kind", "sentence"),
    [
        ({"model_type": "vit"}, UserError, "holds a network of type 'vit'; allowed: vit_mae"),
        ({"hidden_act": "relu"}, UserError, "hidden_act 'relu'; allowed: gelu"),
        ({"patch_size": [4, 2]}, UserError, "patch_size .* allowed: squares"),
        ({"num_channels": 1}, UserError, "reads images of 1 channels; allowed: 3"),
        ({"image_size": 24}, UserError, "another way than by resizing them to the 24 x 24"),
        ({"patch_size": 5}, DamagedData, "no multiple of its patch_size"),
        ({"num_attention_heads": 3}, DamagedData, "hidden_size 16, which 3 heads and 4 must divide"),
        ({"num_hidden_layers": "2"}, DamagedData, "num_hidden_layers '2'; it must be a number"),
        ({"norm_pix_loss": "false"}, DamagedData, "norm_pix_loss 'false'; it must be true or false"),
        ({"layer_norm_eps": "1e-12"}, DamagedData, "layer_norm_eps '1e-12'; it must be a number above 0"),
    ],
)
def test_a_folder_of_another_network_is_refused(
    tmp_path: Path, changes: dict[str, Any], kind: type[Exception], sentence: str
) -> None:
    write_folder(tmp_path, **changes)
    with pytest.raises(kind, match=sentence) as caught:
        check_weights_folder(MaeWeightsSettings(model="mae", licence="as is"), tmp_path, (1, 10, 10))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ((1, 10, 8), "images of 10 x 8 pixels are not square"),
        ((3, 16, 16), "images of 16 x 16 pixels are larger than the 12 x 12"),
        ((4, 10, 10), "images of 4 channels are not possible"),
    ],
)
def test_images_that_the_network_cannot_draw_are_refused(
    tmp_path: Path, shape: tuple[int, int, int], sentence: str
) -> None:
    write_folder(tmp_path)
    with pytest.raises(UserError, match=sentence):
        check_weights_folder(MaeWeightsSettings(model="mae", licence="as is"), tmp_path, shape)


def test_missing_pickled_large_and_misfitting_weights_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, shape = MaeWeightsSettings(model="mae", licence="as is"), (1, 10, 10)
    with pytest.raises(UserError, match=r"prior\.weights\.model: the folder .*mae does not exist"):
        check_weights_folder(named, tmp_path, shape)
    with pytest.raises(UserError, match="neither a folder in .* downloads no networks"):
        check_weights_folder(named.model_copy(update={"model": "nobody/nothing-here"}), tmp_path, shape)
    given = write_folder(tmp_path)
    found, path = check_weights_folder(named, tmp_path, shape), tmp_path / "mae" / "model.safetensors"
    mae = build_mae({"channels": 1, "height": 10, "width": 10, "network": found.network, "frame": found.frame})
    for fault, sentence in (
        ({"vit.layernorm.bias": None}, "lack vit.layernorm.bias"),
        ({"head.weight": torch.ones(2)}, "hold head.weight"),
        ({"vit.layernorm.bias": torch.ones(3)}, r"weights vit.layernorm.bias are \[3\], .* needs \[16\]"),
    ):
        changed = {name: value for name, value in (given | fault).items() if value is not None}
        save_file(changed, path)
        with pytest.raises(UserError, match=sentence):
            weights.load_weights(found, mae)
    monkeypatch.setattr(weights, "MOST_BYTES", 1000)
    with pytest.raises(UserError, match="must fit into an ONNX file of 2 GB"):
        check_weights_folder(named, tmp_path, shape)
    path.rename(path.with_name("pytorch_model.bin"))
    with pytest.raises(UserError, match="is a pickle, which may run code and is never opened"):
        check_weights_folder(named, tmp_path, shape)


def test_names_are_those_of_transformers_now_whatever_a_folder_calls_them() -> None:
    network = {**DEFAULTS, **CONFIG, "image_size": [12, 12]}
    mae = build_mae({"channels": 3, "height": 12, "width": 12, "network": network, "frame": None})
    for name in mae.state_dict():
        assert rename(name) == name and rename(name_as_before(name)) == name
    assert rename("decoder.decoder_encoder.layer.0.output.dense.bias") == "decoder.decoder_layers.0.mlp.fc2.bias"
