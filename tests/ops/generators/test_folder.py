"""Generator directories: a saved generator loads unchanged, and files that do not fit are refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ops.errors import DamagedData
from ops.files.storage import read_json, write_json
from ops.generators.denoising.network import build_network
from ops.generators.folder import CARD, WEIGHTS, find_sampler, read_config, sampler_name, write_card
from ops.generators.folder import (
    CONFIG as CONFIG_FILE,
)
from ops.generators.stored_network import load_network, save_network

CONFIG = {
    "kind": "flow", "channels": 1, "height": 9, "width": 8, "class_names": ["a", "Ölbaum"],
    "widths": [8, 16], "layers_per_block": 1, "unshuffle": 2, "dropout": 0.0,
    "drops_labels": False, "conditions": 0,
}  # fmt: skip


def test_a_saved_generator_loads_unchanged(tmp_path: Path) -> None:
    model = build_network(CONFIG)
    save_network(tmp_path, model, CONFIG)
    loaded, config = load_network(tmp_path, build_network)
    assert config == CONFIG
    assert not loaded.training
    for (name, one), (other_name, other) in zip(model.state_dict().items(), loaded.state_dict().items(), strict=True):
        assert name == other_name
        assert torch.equal(one, other)
    x, t, label = torch.randn(3, 1, 9, 8), torch.rand(3), torch.tensor([0, 1, 1])
    with torch.inference_mode():
        assert torch.equal(model.eval()(x, t, label), loaded(x, t, label))


def test_saving_leaves_no_temporary_files(tmp_path: Path) -> None:
    save_network(tmp_path, build_network(CONFIG), CONFIG)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


@pytest.mark.parametrize("change", [{"widths": [8, 24]}, {"class_names": ["a"]}, {"channels": 3}, {"widths": [8]}])
def test_weights_of_another_shape_are_damaged_data(change: dict[str, object], tmp_path: Path) -> None:
    save_network(tmp_path, build_network(CONFIG), CONFIG)
    write_json(tmp_path / "config.json", {**read_json(tmp_path / "config.json"), **change})
    with pytest.raises(DamagedData, match=r"model\.safetensors does not fit config\.json: ") as caught:
        load_network(tmp_path, build_network)
    assert "\n" not in str(caught.value)


def test_weights_cut_short_are_damaged_data(tmp_path: Path) -> None:
    save_network(tmp_path, build_network(CONFIG), CONFIG)
    (tmp_path / WEIGHTS).write_bytes((tmp_path / WEIGHTS).read_bytes()[:-100])
    with pytest.raises(DamagedData, match=r"model\.safetensors"):
        load_network(tmp_path, build_network)


def test_missing_weights_and_an_incomplete_config_are_damaged_data(tmp_path: Path) -> None:
    with pytest.raises(DamagedData, match=r"is not a generator: it holds no config\.json"):
        read_config(tmp_path)
    for text, sentence in (
        ("{", "is not JSON"),
        ("[]", "an object is missing"),
        ('{"kind": "flow"}', "class_names is missing"),
    ):
        (tmp_path / CONFIG_FILE).write_text(text)
        with pytest.raises(DamagedData, match=sentence):
            read_config(tmp_path)
    write_json(tmp_path / CONFIG_FILE, CONFIG)
    with pytest.raises(DamagedData, match=r"holds no model\.safetensors"):
        load_network(tmp_path, build_network)
    write_json(tmp_path / CONFIG_FILE, {"kind": "flow", "class_names": ["a"]})
    with pytest.raises(DamagedData, match="does not describe the network: drops_labels is missing"):
        load_network(tmp_path, build_network)


def test_a_single_sampler_is_found_and_none_or_two_are_damaged_data(tmp_path: Path) -> None:
    with pytest.raises(DamagedData, match=r"must hold one sampler_<steps>\.onnx; it holds 0"):
        find_sampler(tmp_path)
    (tmp_path / sampler_name(3)).touch()
    (tmp_path / "net.onnx").touch()
    (tmp_path / "sampler_3.int8.onnx").touch()
    assert find_sampler(tmp_path) == tmp_path / "sampler_3.onnx"
    (tmp_path / sampler_name(12)).touch()
    with pytest.raises(DamagedData, match="it holds 2"):
        find_sampler(tmp_path)


def test_the_card_describes_the_drawn_images(tmp_path: Path) -> None:
    write_card(tmp_path, CONFIG, {"trained on": "40 images"})
    text = (tmp_path / CARD).read_text(encoding="utf-8")
    assert "9x8x1 images of 2 classes: a, Ölbaum." in text
    assert "- trained on: 40 images" in text
