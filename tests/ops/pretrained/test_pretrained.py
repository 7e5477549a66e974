"""Tiny networks of the real classes with random weights: folders that open or are refused, and the library's results.

All tests are in one file, because importing `transformers` takes seconds.
"""

from __future__ import annotations

import json
import shutil
import socket
import struct
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ops.chain.parts import imagination_start
from ops.chain.parts.external_networks import (
    check_external_networks,
    check_reference_network,
    describe_external_networks,
    open_external_networks,
    open_measuring_network,
    open_reference_network,
)
from ops.chain.parts.imagination_scorers import check_scorer_of_imagination, prepare_scorer
from ops.chain.parts.imagination_start import start_imagination, write_imagination
from ops.chain.parts.imagined_drawer import read_imagined
from ops.classifiers.reference.features import FEATURES
from ops.classifiers.reference.fitting import fit_reference
from ops.datasets.pixels import read_shards
from ops.errors import DamagedData, UserError
from ops.files.hashing import hash_file
from ops.files.outputs import IMAGINATION, IMAGINATION_FACTS
from ops.files.storage import read_json
from ops.filters.rules import set_limits
from ops.filters.scores import ExternalNetworks, ScoreComputer
from ops.generators.feeds import SeedImages, make_feeds
from ops.generators.units import Run, list_parents
from ops.imagination.protocols import Statistics
from ops.judging.scorer import Scorer
from ops.planning.speeds import guess_judging
from ops.pretrained import requirements
from ops.pretrained.clip import Clip, open_clip
from ops.pretrained.cost import count_products
from ops.pretrained.differentiable import prepare
from ops.pretrained.extractor import open_extractor
from ops.pretrained.folder import find_folder, identify, read_folder
from ops.pretrained.kinds import CLASSIFIERS, EXTRACTORS, KINDS
from ops.pretrained.loading import BATCH
from ops.pretrained.preprocessing import DEFAULTS, read_preprocessing
from ops.pretrained.prompts import clean_name, write_prompts
from ops.pretrained.safety import open_safety
from ops.pretrained.validation import validate_clip, validate_extractor, validate_safety
from ops.recipe.filtering import FilterSettings
from ops.recipe.imagination import ImaginationSettings
from ops.recipe.loading import parse_recipe
from ops.recipe.pretrained import ClipSettings, ExtractorSettings, ReferenceSettings, SafetySettings
from ops.recipe.sampler import SamplerSettings
from ops.recipe.scorers import KEY, ClipScorer, ProbeScorer
from ops.settings.cut import Cut
from ops.settings.reading import read_yaml
from tests.networks import small_resnet
from tests.priorfolders import NAMES as LETTERS
from tests.priorfolders import write_prior, write_scorer, write_seeds

pytestmark = pytest.mark.skipif(find_spec("transformers") is None, reason="the extra `clip` is not installed")

SIDE, PATCH = 30, 6
NAMES = ("ankle_boot", "bag", "T-shirt")
ENCODER = {"hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4}
SQUARE = {**ENCODER, "image_size": SIDE, "patch_size": PATCH}
STAGES = {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2}
TWO_TOWERS = {"vision_config": SQUARE, "text_config": {**ENCODER, "vocab_size": 200, "max_position_embeddings": 40}}
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "clip": ("CLIPConfig", {**TWO_TOWERS, "projection_dim": 16}),
    "clip_vision_model": ("CLIPVisionConfig", SQUARE),
    "convnext": ("ConvNextConfig", STAGES),
    "convnextv2": ("ConvNextV2Config", STAGES),
    "deit": ("DeiTConfig", SQUARE),
    "dinov2": ("Dinov2Config", SQUARE),
    "dinov2_with_registers": ("Dinov2WithRegistersConfig", SQUARE),
    "resnet": ("ResNetConfig", {**STAGES, "embedding_size": 8, "layer_type": "basic"}),
    "siglip": ("SiglipConfig", TWO_TOWERS),
    "swin": (
        "SwinConfig",
        {"image_size": 32, "patch_size": 4, "embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4},
    ),
    "vit": ("ViTConfig", SQUARE),
}
SIZES = {
    "CLIPImageProcessor": {"size": {"shortest_edge": SIDE}, "crop_size": {"height": SIDE, "width": SIDE}},
    "BitImageProcessor": {"size": {"shortest_edge": 34}, "crop_size": {"height": SIDE, "width": SIDE}},
    "ConvNextImageProcessor": {"size": {"shortest_edge": SIDE}},
    "DeiTImageProcessor": {"size": {"height": 34, "width": 34}, "crop_size": {"height": SIDE, "width": SIDE}},
    "SiglipImageProcessor": {"size": {"height": SIDE, "width": SIDE}},
    "ViTImageProcessor": {"size": {"height": SIDE, "width": SIDE}},
}


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def edit_json(path: Path, **changes: Any) -> None:
    """Change keys of a JSON object; None removes a key."""
    content = {**json.loads(path.read_text(encoding="utf-8")), **changes}
    write_json(path, {key: value for key, value in content.items() if value is not None})


def build(folder: Path, kind: str, name: str, **settings: Any) -> Any:
    """A network with random weights, saved with its kind's usual preprocessor."""
    import transformers

    torch.manual_seed(0)
    config, keys = CONFIGS[kind]
    network = getattr(transformers, name)(getattr(transformers, config)(**keys, **settings)).eval()
    for tensor in network.parameters():
        torch.nn.init.normal_(tensor, std=0.2)  # by default, all images would have nearly equal features
    if hasattr(network, "logit_scale"):
        network.logit_scale.data.fill_(4.0)
    network.save_pretrained(folder)
    processor = KINDS[kind].processor
    write_json(folder / "preprocessor_config.json", {"image_processor_type": processor, **SIZES[processor]})
    return network


def build_tokenizer(folder: Path) -> Any:
    """CLIP's own tokenizer, with single characters as tokens."""
    from tokenizers import pre_tokenizers
    from transformers import CLIPTokenizer

    characters = sorted(pre_tokenizers.ByteLevel.alphabet())[:90]
    pieces = [*characters, *(character + "</w>" for character in characters), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(vocab={piece: number for number, piece in enumerate(pieces)}, merges=[])
    tokenizer.save_pretrained(folder)
    return tokenizer


def draw(count: int, channels: int = 3, height: int = 40, width: int = 36, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(
        np.random.default_rng(seed).integers(0, 256, (count, channels, height, width), dtype=np.uint8)
    )


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "clip"
    network = build(folder, "clip", "CLIPModel")
    end = build_tokenizer(folder).eos_token_id
    edit_json(folder / "config.json", text_config={**network.config.text_config.to_dict(), "eos_token_id": end})
    return folder


@pytest.fixture(scope="module")
def clip(clip_folder: Path) -> Clip:
    return open_clip(clip_folder)


@pytest.fixture(scope="module")
def vit_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "vit"
    build(folder, "vit", "ViTForImageClassification", id2label={0: "drawing", 1: "gore", 2: "neutral", 3: "nude"})
    return folder


@pytest.fixture
def copy_of(tmp_path: Path) -> Callable[[Path], Path]:
    return lambda folder: Path(shutil.copytree(folder, tmp_path / folder.name))


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_agreement_equals_the_librarys_for_one_prompt(clip: Clip, clip_folder: Path) -> None:
    from transformers import CLIPModel, CLIPTokenizer

    images, network = draw(5), CLIPModel.from_pretrained(clip_folder)
    texts = [f"a photo of a {name}." for name in ("ankle boot", "bag", "T-shirt")]
    tokens = CLIPTokenizer.from_pretrained(clip_folder)(texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        logits = network(**tokens, pixel_values=clip.preprocessing.apply(images)).logits_per_image
    found = clip.agreement(images, NAMES)
    assert found.dtype == np.float32 and found.shape == (5, 3)
    np.testing.assert_allclose(found, logits.softmax(1).numpy(), atol=1e-5)
    assert found.std(axis=0).min() > 1e-3  # the images differ for the network


def test_prompts_are_averaged_as_embeddings_of_length_one(clip: Clip) -> None:
    prompts = ["a photo of a {}.", "{}", "art of the {}"]
    single = torch.stack([clip.embed_classes(NAMES, [prompt]) for prompt in prompts])
    expected = single.mean(0) / single.mean(0).norm(dim=1, keepdim=True)
    torch.testing.assert_close(clip.embed_classes(NAMES, prompts), expected, atol=1e-6, rtol=0)


def test_agreement_does_not_depend_on_the_batch_and_follows_the_order_of_the_classes(clip: Clip) -> None:
    images = draw(BATCH + 3, channels=1, height=28, width=28)
    whole = clip.agreement(images, NAMES)
    np.testing.assert_allclose(whole.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(clip.agreement(images[-2:], NAMES[::-1])[:, ::-1], whole[-2:], atol=1e-5)
    assert clip.agreement(images[:0], NAMES).shape == (0, 3)


def test_grey_is_rgb_with_equal_channels(clip: Clip) -> None:
    grey = draw(4, channels=1)
    np.testing.assert_allclose(
        clip.agreement(grey, NAMES), clip.agreement(grey.expand(-1, 3, -1, -1), NAMES), atol=1e-5
    )
    with pytest.raises(ValueError, match=r"allowed: uint8 \[n, 1 or 3, H, W\]"):
        clip.agreement(draw(1, channels=4), NAMES)


def test_class_names_become_words() -> None:
    assert clean_name("ankle_boot") == "ankle boot"
    assert write_prompts(["a__b ", "c"], ["x {}", "{}s"]) == [["x a b", "a bs"], ["x c", "cs"]]
    with pytest.raises(UserError, match="'ankle_boot' and 'Ankle boot' have the same words"):
        write_prompts(["ankle_boot", "Ankle boot"], ["{}"])
    with pytest.raises(UserError, match="class '__' has no words"):
        write_prompts(["__"], ["{}"])
    with pytest.raises(UserError, match=r"'a photo' must hold {} once"):
        write_prompts(["a"], ["a photo"])


def test_a_prompt_with_too_many_tokens_is_refused(clip: Clip, clip_folder: Path) -> None:
    with pytest.raises(UserError, match="takes 46 tokens, and this CLIP reads 40"):
        clip.agreement(draw(1), ["a" * 44], ["{}"])
    settings = ClipSettings(model=str(clip_folder), prompts=("{}" + "b" * 40,))
    with pytest.raises(UserError, match="and this CLIP reads 40; shorten it"):
        validate_clip(settings, clip_folder, ["a"])


def test_probabilities_of_unsafe_labels_are_added(vit_folder: Path) -> None:
    from transformers import ViTForImageClassification

    safety, images = open_safety(vit_folder, ["nude", "gore", "nude"]), draw(6)
    with torch.inference_mode():
        network = ViTForImageClassification.from_pretrained(vit_folder)
        expected = network(safety.preprocessing.apply(images)).logits.softmax(1)[:, [1, 3]].sum(1)
    found = safety.probability(images)
    assert found.dtype == np.float32 and found.shape == (6,)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-6)
    assert safety.probability(images[:0]).shape == (0,)


def test_labels_are_checked(vit_folder: Path, copy_of: Callable[[Path], Path]) -> None:
    with pytest.raises(
        UserError, match="no label 'nsfw' for safety.unsafe; its labels are drawing, gore, neutral, nude"
    ):
        validate_safety(SafetySettings(model=str(vit_folder), unsafe=["nude", "nsfw"]), vit_folder)
    with pytest.raises(UserError, match="4 of 4 labels are unsafe"):
        open_safety(vit_folder, ["drawing", "gore", "neutral", "nude"])
    with pytest.raises(UserError, match="0 of 4 labels are unsafe"):
        open_safety(vit_folder, [])
    folder = copy_of(vit_folder)
    edit_json(folder / "config.json", problem_type="multi_label_classification")
    with pytest.raises(UserError, match="several labels at once"):
        open_safety(folder, ["nude"])
    edit_json(folder / "config.json", problem_type=None, id2label={"0": "a", "5": "b"})
    with pytest.raises(DamagedData, match="not numbered 0 to 1"):
        open_safety(folder, ["b"])
    edit_json(folder / "config.json", id2label=None)
    with pytest.raises(UserError, match="names no labels"):
        open_safety(folder, ["LABEL_1"])


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_classifiers_of_every_kind_open(kind: str, tmp_path: Path) -> None:
    network = build(tmp_path, kind, CLASSIFIERS[kind], id2label={0: "a", 1: "b", 2: "c"})
    safety, images = open_safety(tmp_path, ["c"]), draw(3)
    with torch.inference_mode():
        expected = network(safety.preprocessing.apply(images)).logits.softmax(1)[:, 2]
    np.testing.assert_allclose(safety.probability(images), expected.numpy(), atol=1e-5)


@pytest.mark.parametrize("kind", EXTRACTORS)
def test_extractors_of_every_kind_open(kind: str, tmp_path: Path) -> None:
    network = build(tmp_path, kind, KINDS[kind].network)
    extractor, images = open_extractor(tmp_path), draw(3)
    assert extractor.name == f"{kind}-{hash_file(tmp_path / 'model.safetensors')[:8]}"
    found = extractor.features(images)
    assert found.dtype == np.float32 and found.ndim == 2 and len(found) == 3
    assert np.abs(found[0] - found[1]).max() > 1e-4
    with torch.inference_mode():
        x = extractor.preprocessing.apply(images)
        if kind in ("clip", "siglip"):
            expected = network.get_image_features(x).pooler_output
        else:
            output = network(x)
            expected = (
                output.last_hidden_state[:, 0]
                if KINDS[kind].pooling == "class_token"
                else output.pooler_output.flatten(1)
            )
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


def test_an_extractor_uses_the_network_inside_a_classifier(vit_folder: Path) -> None:
    from transformers import ViTForImageClassification

    extractor, images = open_extractor(vit_folder), draw(3)
    with torch.inference_mode():
        inner = ViTForImageClassification.from_pretrained(vit_folder).vit
        expected = inner(extractor.preprocessing.apply(images)).last_hidden_state[:, 0]
    np.testing.assert_allclose(extractor.features(images), expected.numpy(), atol=1e-5)


def test_every_kind_is_covered() -> None:
    assert set(KINDS) == set(CONFIGS)
    assert {kind.processor for kind in KINDS.values()} == set(DEFAULTS) == set(SIZES)


@pytest.mark.parametrize("processor", DEFAULTS)
@pytest.mark.parametrize("shape", [(28, 28), (40, 33), (300, 300)])
def test_preprocessing_is_that_of_the_library(
    processor: str, shape: tuple[int, int], copy_of: Any, vit_folder: Path
) -> None:
    import transformers

    folder = copy_of(vit_folder)
    silent = {"image_processor_type": processor}
    legacy = {
        "feature_extractor_type": processor.replace("ImageProcessor", "FeatureExtractor"),
        "size": 64,
        "crop_size": 60,
    }
    for config in (silent, {**silent, **SIZES[processor], "resample": 2}, legacy, {**silent, "do_resize": False}):
        write_json(folder / "preprocessor_config.json", config)
        preprocessing = read_preprocessing(read_folder(folder, "", kinds=["vit"]), "")
        keys = {key: value for key, value in config.items() if not key.endswith("_type")}
        theirs = getattr(transformers, f"{processor}Pil")(**keys)
        for channels in (1, 3):
            images = draw(2, channels, *shape)
            if shape == (40, 33):  # Pillow 13 may resize rows first: values are then close, unless they are clipped
                images = 64 + images // 2
            expected = theirs(list(images.expand(-1, 3, -1, -1).numpy()), return_tensors="pt").pixel_values
            found = preprocessing.apply(images)
            assert found.shape == expected.shape
            levels = (found - expected).abs() * 255 * torch.tensor(preprocessing.std).view(1, 3, 1, 1)
            assert levels.max() < (1.01 if shape != (40, 33) else 2.01)
            assert levels.mean() < (0.1 if shape != (40, 33) else 0.4)


def test_unknown_preprocessing_is_refused(vit_folder: Path, copy_of: Callable[[Path], Path]) -> None:
    folder = copy_of(vit_folder)
    path = folder / "preprocessor_config.json"
    for changes, message in (
        ({"image_processor_type": "OwlImageProcessor"}, "with OwlImageProcessor; allowed: BitImageProcessor, CLIP"),
        ({"image_processor_type": "ViTImageProcessor", "do_pad": True}, "the step do_pad, which Growset does not know"),
        ({"do_pad": None, "resample": 1}, "resample 1 is not known"),
        ({"resample": 2, "size": {"longest_edge": 30}}, "size .* is not known"),
        ({"size": {"height": 31, "width": 30}}, r"prepares images to \(31, 30\), while .* 30 x 30"),
        ({"size": {"height": 30, "width": 30}, "image_std": [1.0]}, "cannot be used"),
    ):
        edit_json(path, **changes)
        with pytest.raises(UserError, match=message):
            open_extractor(folder)


def test_the_nested_preprocessor_of_newer_folders_is_used_first(
    vit_folder: Path, copy_of: Callable[[Path], Path]
) -> None:
    folder = copy_of(vit_folder)
    before = read_folder(folder, "", kinds=["vit"])
    inner = {**before.preprocessor, "image_mean": [0.0, 0.0, 0.0]}
    write_json(folder / "processor_config.json", {"image_processor": inner, "processor_class": "X"})
    after = read_folder(folder, "", kinds=["vit"])
    assert read_preprocessing(after, "").mean == (0, 0, 0)
    assert after.hash_files() != before.hash_files()


def test_missing_and_foreign_files_are_named(
    clip_folder: Path, copy_of: Callable[[Path], Path], tmp_path: Path
) -> None:
    def validate(model: str) -> None:
        validate_clip(ClipSettings(model=model), tmp_path, NAMES)

    validate(str(clip_folder))
    with pytest.raises(UserError, match=r"clip\.model: the folder .*/nowhere does not exist"):
        validate("nowhere")
    with pytest.raises(UserError, match=r"run `hf download openai/tiny-clip --local-dir DIR` where there is internet"):
        validate("openai/tiny-clip")
    with pytest.raises(UserError, match="is neither a folder in"):
        validate("open--ai/tiny..clip")
    folder = copy_of(clip_folder)
    with pytest.raises(UserError, match="is a file; name the folder"):
        validate(str(folder / "config.json"))
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    for name in ("tokenizer.json", "preprocessor_config.json", "model.safetensors", "config.json"):
        (folder / name).rename(tmp_path / name)
        with pytest.raises(UserError, match=f"the folder {folder} has no {name}"):
            validate(folder.name)
        if name == "model.safetensors":
            (folder / "pytorch_model.bin").write_bytes(b"")
            with pytest.raises(UserError, match=r"pytorch_model\.bin is a pickle, which may run code"):
                validate(folder.name)
        (tmp_path / name).rename(folder / name)
    weights.write_bytes(whole[:-1])
    with pytest.raises(DamagedData, match=r"model\.safetensors is not a valid safetensors file"):
        validate(folder.name)
    weights.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\n")
    with pytest.raises(UserError, match="only a Git LFS pointer"):
        validate(folder.name)
    weights.write_bytes(whole)
    edit_json(folder / "config.json", quantization_config={"quant_method": "x"})
    with pytest.raises(UserError, match="holds quantised weights"):
        validate(folder.name)
    (folder / "config.json").write_text("{")
    with pytest.raises(DamagedData, match=r"config\.json is not valid JSON"):
        validate(folder.name)


def test_a_network_of_another_kind_is_refused(vit_folder: Path, clip_folder: Path, copy_of: Any) -> None:
    with pytest.raises(UserError, match="holds a network of type 'vit'; allowed: clip$"):
        open_clip(vit_folder)
    folder = copy_of(clip_folder)
    edit_json(folder / "config.json", model_type="llama")
    with pytest.raises(UserError, match=r"extractor\.model: .* type 'llama'; allowed: clip, clip_vision_model, "):
        validate_extractor(ExtractorSettings(model=str(folder)), folder)
    with pytest.raises(UserError, match=r"safety\.model: .* type 'llama'; allowed: clip, convnext, "):
        validate_safety(SafetySettings(model=str(folder), unsafe=["x"]), folder)


def test_weights_that_do_not_fit_are_an_error(vit_folder: Path, clip_folder: Path, copy_of: Any) -> None:
    from safetensors.torch import load_file, save_file

    folder = copy_of(vit_folder)
    tensors = load_file(folder / "model.safetensors")
    lost = next(name for name in tensors if name.endswith("layernorm_after.weight"))
    save_file({name: value for name, value in tensors.items() if name != lost}, folder / "model.safetensors")
    with pytest.raises(UserError, match="the weights in .* lack .*layer.*weight"):
        open_extractor(folder)
    save_file({**tensors, lost: torch.zeros(7)}, folder / "model.safetensors")
    with pytest.raises(
        UserError, match=r"the weights .*layernorm_after.weight are \[7\], and its config\.json needs \[32\]$"
    ):
        open_extractor(folder)
    edit_json(folder / "config.json", hidden_act="none of them")
    with pytest.raises(UserError, match=r"config\.json cannot be used: "):
        open_extractor(folder)
    with pytest.raises(UserError, match="the weights in .* lack classifier"):
        headless = copy_of(clip_folder)
        edit_json(headless / "config.json", id2label={"0": "a", "1": "b"})
        open_safety(headless, ["b"])


def test_loading_keys_of_a_config_are_ignored(vit_folder: Path, copy_of: Callable[[Path], Path]) -> None:
    folder = copy_of(vit_folder)
    edit_json(
        folder / "config.json",
        auto_map={"AutoModel": "code.Network"},
        attn_implementation="someone/kernel",
        _attn_implementation="someone/kernel",
        transformers_weights="../other.safetensors",
    )
    (folder / "code.py").write_text("raise AssertionError('code of the folder ran')")
    np.testing.assert_array_equal(
        open_extractor(folder).features(draw(2)), open_extractor(vit_folder).features(draw(2))
    )


def test_a_folder_in_half_precision_is_computed_in_single(vit_folder: Path, copy_of: Callable[[Path], Path]) -> None:
    from safetensors.torch import load_file, save_file

    folder = copy_of(vit_folder)
    tensors = load_file(folder / "model.safetensors")
    save_file({name: value.half() for name, value in tensors.items()}, folder / "model.safetensors")
    edit_json(folder / "config.json", dtype="float16")
    found = open_extractor(folder).features(draw(3))
    np.testing.assert_allclose(found, open_extractor(vit_folder).features(draw(3)), atol=0.05)


def test_weights_in_parts(vit_folder: Path, copy_of: Callable[[Path], Path]) -> None:
    from safetensors.torch import load_file, save_file

    folder = copy_of(vit_folder)
    tensors = sorted(load_file(folder / "model.safetensors").items())
    (folder / "model.safetensors").unlink()
    parts = {"a.safetensors": dict(tensors[::2]), "b.safetensors": dict(tensors[1::2])}
    for name, part in parts.items():
        save_file(part, folder / name)
    places = {key: name for name, part in parts.items() for key in part}
    index = folder / "model.safetensors.index.json"
    write_json(index, {"weight_map": places})
    whole, split = open_extractor(vit_folder), open_extractor(folder)
    np.testing.assert_array_equal(split.features(draw(2)), whole.features(draw(2)))
    assert split.name != whole.name and split.name.startswith("vit-")
    write_json(index, {"weight_map": {**places, "x": "../a.safetensors"}})
    with pytest.raises(UserError, match=r"names '\.\./a\.safetensors'; allowed: safetensors files of that folder"):
        open_extractor(folder)


def test_identity_is_that_of_the_used_files(clip_folder: Path, copy_of: Callable[[Path], Path]) -> None:
    def find(folder: Path) -> str:
        return read_folder(folder, "", kinds=["clip"], tokenizer=True).hash_files()

    folder, first = copy_of(clip_folder), find(clip_folder)
    (folder / "README.md").write_text("not used")
    assert find(folder) == first
    assert identify(read_folder(folder, "", kinds=["clip"], tokenizer=True), first, "clip") == first
    for name in ("config.json", "preprocessor_config.json", "tokenizer.json"):
        before = find(folder)
        (folder / name).write_text((folder / name).read_text() + "\n")
        assert find(folder) != before
    before, weights = find(folder), bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    assert find(folder) != before
    changed = read_folder(folder, "", kinds=["clip"], tokenizer=True)
    with pytest.raises(
        UserError, match=rf"clip\.sha256 is missing; the content of {folder} has {changed.hash_files()}"
    ):
        identify(changed, None, "clip")
    with pytest.raises(UserError, match=rf"clip\.sha256 does not fit {folder}: its content has {changed.hash_files()}"):
        identify(changed, first, "clip")


def test_a_name_on_the_hub_is_only_looked_up_in_the_cache(
    vit_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = tmp_path / "models--org--net" / "snapshots" / "abc"
    shutil.copytree(vit_folder, snapshot)
    (tmp_path / "models--org--net" / "refs").mkdir()
    (tmp_path / "models--org--net" / "refs" / "main").write_text("abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert find_folder("org/net", vit_folder, "extractor.model") == snapshot


def test_tokenizers_of_other_networks_are_refused(clip_folder: Path, copy_of: Callable[[Path], Path]) -> None:
    folder = copy_of(clip_folder)
    path = folder / "tokenizer.json"
    whole = path.read_text(encoding="utf-8")
    edit_json(path, post_processor=None)
    with pytest.raises(UserError, match="does not mark the start and end of a text"):
        open_clip(folder)
    path.write_text("{}")
    with pytest.raises(DamagedData, match=r"tokenizer\.json is not a valid tokenizer"):
        open_clip(folder)
    path.write_text(whole)
    config = json.loads((folder / "config.json").read_text())
    edit_json(folder / "config.json", text_config={**config["text_config"], "vocab_size": 100})
    with pytest.raises(UserError, match="has more tokens than the network"):
        open_clip(folder)


def test_a_header_that_does_not_match_the_file_is_damaged_data(
    vit_folder: Path, copy_of: Callable[[Path], Path]
) -> None:
    folder = copy_of(vit_folder)
    header = json.dumps({"x": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    with pytest.raises(DamagedData, match="not a valid safetensors file"):
        validate_extractor(ExtractorSettings(model=str(folder)), folder)


def test_the_recipe_must_name_as_many_classes_as_the_dataset_has(clip_folder: Path) -> None:
    settings = ClipSettings(model=str(clip_folder), class_names=["boot", "bag"])
    assert validate_clip(settings, clip_folder, ["0", "1"]).kind == "clip"
    with pytest.raises(UserError, match=r"clip\.class_names has 2 names; the dataset has 3 classes"):
        validate_clip(settings, clip_folder, NAMES)


@pytest.mark.parametrize("found", [None, "4.57.1", "6.0.0"])
def test_a_missing_or_untested_package_is_refused_with_the_command(
    found: str | None, clip_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(_: str) -> str:
        if found is None:
            raise PackageNotFoundError
        return found

    monkeypatch.setattr(requirements, "version", version)
    with pytest.raises(UserError, match=r'clip needs .* run: pip install -c constraints\.txt -e "\.\[clip\]"'):
        validate_clip(ClipSettings(model=str(clip_folder)), clip_folder, NAMES)


def test_a_recipe_must_state_the_content_of_its_networks(clip_folder: Path, vit_folder: Path) -> None:
    root, unsafe = clip_folder.parent, ("gore", "nude")
    settings = FilterSettings(
        clip=ClipSettings(model="clip"),
        safety=SafetySettings(model=str(vit_folder), unsafe=unsafe),
        extractor=ExtractorSettings(model=str(vit_folder)),
    )
    for key in ("clip", "safety", "extractor"):
        with pytest.raises(UserError, match=rf"filter\.{key}\.sha256 is missing; the content of .* has ") as caught:
            check_external_networks(settings, root, NAMES)
        stated = getattr(settings, key).model_copy(update={"sha256": str(caught.value)[-64:]})
        settings = settings.model_copy(update={key: stated})
    check_external_networks(settings, root, NAMES)
    moved = settings.clip.model_copy(update={"model": "elsewhere", "cut": Cut(threshold=0.5)})
    assert describe_external_networks(settings) == describe_external_networks(
        settings.model_copy(update={"clip": moved})
    )
    assert describe_external_networks(settings) != describe_external_networks(FilterSettings())

    images = draw(40, channels=1, height=12, width=12)
    labels = np.arange(40) % 3
    scorer = Scorer(tuple(small_resnet(1, 3, 8).eval() for _ in range(2)), 1.0, "fp32")
    witnesses = open_external_networks(settings, root, NAMES)
    computer = ScoreComputer(scorer, images[:30], labels[:30], labels[:30] % 2, images[30:], witnesses)
    scores = computer.compute_real(images[30:], labels[30:])
    expected = open_clip(clip_folder).agreement(images[30:], NAMES)
    np.testing.assert_allclose(scores["clip_agreement"], expected[np.arange(10), labels[30:]], rtol=1e-5)
    np.testing.assert_allclose(
        scores["unsafe_probability"], open_safety(vit_folder, unsafe).probability(images[30:]), rtol=1e-5
    )
    limits = set_limits(scores, labels[30:], 3, settings)
    assert {"unsafe", "clip_disagrees"} < {limit.rule.reason for limit in limits}
    extractor = open_measuring_network(settings, root)
    assert extractor is not None
    assert extractor.name.startswith("vit-")
    assert open_measuring_network(FilterSettings(), root) is None
    unknown = ScoreComputer(scorer, images[:30], labels[:30], labels[:30] % 2, images[30:], ExternalNetworks())
    assert np.isnan(unknown.compute_real(images[30:], labels[30:])["unsafe_probability"]).all()


def test_a_network_in_a_folder_is_a_second_reference_model(vit_folder: Path) -> None:
    root, settings = vit_folder.parent, ReferenceSettings(model="vit")
    with pytest.raises(UserError, match=r"verdict\.reference\.sha256 is missing; the content of .* has ") as caught:
        check_reference_network(settings, root)
    check_reference_network(settings.model_copy(update={"sha256": str(caught.value)[-64:]}), root)
    check_reference_network(None, root)
    assert open_reference_network(None, root) == {}
    ((name, describe),) = open_reference_network(settings, root).items()
    assert name.startswith("features of vit-")
    images = draw(24).permute(0, 2, 3, 1).numpy()
    images[::2] //= 4  # the network sees how bright an image is
    labels = np.arange(24) % 2
    fit = fit_reference(
        (images[:16], labels[:16]), (images[16:], labels[16:]), classes=2, metric="accuracy", seed=0,
        others={name: describe},
    )  # fmt: skip
    assert set(fit.choice.scores) == {*FEATURES, name}
    assert fit.choice.scores[name] > 0.9


def to_levels(images: torch.Tensor) -> torch.Tensor:
    return images.float() / 255


@pytest.mark.parametrize("shape", [(28, 28), (40, 33), (300, 300)])
def test_images_are_prepared_as_by_clips_processor_with_a_gradient(shape: tuple[int, int], clip_folder: Path) -> None:
    from transformers import CLIPImageProcessorPil, CLIPProcessor, CLIPTokenizer

    theirs = CLIPProcessor(
        CLIPImageProcessorPil.from_pretrained(clip_folder), CLIPTokenizer.from_pretrained(clip_folder)
    )
    preprocessing = read_preprocessing(read_folder(clip_folder, "", kinds=["clip"]), "")
    for channels in (1, 3):
        images = draw(3, channels, *shape)
        rgb = [image.permute(1, 2, 0).numpy() for image in images.expand(-1, 3, -1, -1)]
        expected = theirs(images=rgb, return_tensors="pt").pixel_values
        levels = to_levels(images).requires_grad_()
        found = prepare(levels, preprocessing)
        assert found.shape == expected.shape == (3, 3, SIDE, SIDE)
        assert (found.detach() - expected).abs().max() < 1e-3
        (slope,) = torch.autograd.grad(found[:, 0].sum(), levels)
        assert slope.isfinite().all() and (slope.flatten(1) != 0).any(1).all()


@pytest.fixture
def imagined(tmp_path: Path, clip_folder: Path) -> Path:
    """A workspace with a trained prior, a scorer, seed images of the classes a, b and c, and a CLIP."""
    (tmp_path / "recipes").mkdir()
    (tmp_path / "params.yaml").write_text("")
    write_prior(tmp_path / "latent", "latent")
    write_scorer(tmp_path / "scorer")
    write_seeds(tmp_path / "real")
    shutil.copytree(clip_folder, tmp_path / "clip")
    return tmp_path


def name_clip(root: Path, **keys: Any) -> ClipScorer:
    sha256 = read_folder(root / "clip", "", kinds=["clip"], tokenizer=True).hash_files()
    words = {"a": "ankle boot", "b": "bag", "c": "coat"}
    return ClipScorer(**{"model": "clip", "sha256": sha256, "class_names": words, **keys})


def open_prepared(root: Path, settings: Any) -> Any:
    train = read_shards(sorted((root / "real").iterdir()))
    found = prepare_scorer(
        settings, generator=root / "latent", scorer=root / "scorer", train=train, root=root, scratch=root
    )
    assert found is not None
    return found.open(root / "latent", train.rows["image_id"].to_list()), train


def test_a_clip_scores_as_the_library_does_and_its_gradient_reaches_the_image(imagined: Path) -> None:
    from transformers import CLIPImageProcessorPil, CLIPModel, CLIPProcessor, CLIPTokenizer

    templates = ("a photo of a {class}.", "art of the {class}")
    scorer, _ = open_prepared(imagined, name_clip(imagined, templates=templates))
    images = draw(4, channels=3, height=28, width=28)
    levels = to_levels(images).requires_grad_()
    answer = scorer.answer(levels, ["s0"] * 4)
    folder = imagined / "clip"
    processor = CLIPProcessor(CLIPImageProcessorPil.from_pretrained(folder), CLIPTokenizer.from_pretrained(folder))
    network = CLIPModel.from_pretrained(folder)
    with torch.inference_mode():
        logits = []
        for template in templates:
            texts = [template.replace("{class}", word) for word in ("ankle boot", "bag", "coat")]
            told = processor(
                text=texts, images=list(images.permute(0, 2, 3, 1).numpy()), return_tensors="pt", padding=True
            )
            found = network(**told)
            logits.append((found.text_embeds, found.image_embeds))
        texts = sum(text for text, _ in logits) / 2
        cosines = logits[0][1] @ (texts / texts.norm(dim=1, keepdim=True)).T
        expected = (network.logit_scale.exp() * cosines).log_softmax(1)
    torch.testing.assert_close(answer.log_probabilities.detach(), expected, atol=2e-4, rtol=1e-4)
    torch.testing.assert_close(answer.features.detach(), logits[0][1], atol=1e-4, rtol=1e-4)
    (slope,) = torch.autograd.grad(answer.log_probabilities[:, 1].sum(), levels)
    assert (slope.flatten(1) != 0).any(1).all()
    told = scorer.answer(levels, ["s0"] * 4, Statistics((0.5,), (0.25,)))
    assert (told.features - answer.features).abs().max() > 1e-3


def test_a_probe_reads_a_pretrained_backbone(imagined: Path, vit_folder: Path) -> None:
    sha256 = read_folder(vit_folder, "", kinds=["vit"]).hash_files()
    scorer, train = open_prepared(imagined, ProbeScorer(model=str(vit_folder), sha256=sha256))
    ids, images = train.rows["image_id"].to_list(), torch.from_numpy(train.images).permute(0, 3, 1, 2)
    features = torch.from_numpy(open_extractor(vit_folder).features(images))
    heads, folds = scorer.heads, torch.tensor([scorer.folds[name] for name in ids])
    standardised = (features - heads.mean[folds]) / heads.deviation[folds]
    logits = torch.einsum("nkd,nd->nk", heads.weights[folds], standardised) + heads.intercepts[folds]
    levels = to_levels(images).requires_grad_()
    answer = scorer.answer(levels, ids)
    expected = (logits / heads.temperature).log_softmax(1)
    assert (answer.log_probabilities.detach().argmax(1) == expected.argmax(1)).all()
    (slope,) = torch.autograd.grad(answer.log_probabilities[:, 0].sum(), levels)
    assert (slope.flatten(1) != 0).any(1).all()


def test_variants_are_guided_by_a_clip_and_drawn_again_from_what_is_stored(
    imagined: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imagination_start, "write_sheet", lambda path, rows: None)
    shards, lines = sorted((imagined / "real").iterdir()), list[str]()
    train = read_shards(shards)

    def start(force: bool) -> Any:
        settings = ImaginationSettings(scorer=name_clip(imagined), group=2, radius=3.0, force=force)
        sampler = SamplerSettings(solver="euler", steps=1, strength=0.5, imagination=settings)
        return start_imagination(
            imagined / "latent", sampler, imagined / "scorer", shards, train, root=imagined, scratch=imagined,
            sink=lines.append,
        )  # fmt: skip

    assert start(False).sampler.imagination.mode == "random" and "near chance" in lines[-1]  # random weights
    found = start(True)
    write_imagination(imagined / "latent", found, found.sampler, train, seed=1)
    settled, facts = (read_json(imagined / "latent" / name) for name in (IMAGINATION, IMAGINATION_FACTS))
    assert settled["scorer"]["class_names"] == list(LETTERS) and settled["mode"] == "guided"
    assert settled["scorer"]["prompts"][1] == ["a photo of a bag."] and "model" not in settled["scorer"]
    assert facts["scorer_model"] == "clip" and str(imagined) not in json.dumps([settled, facts])
    seeds = SeedImages(train.images, train.rows["image_id"].to_list(), train.labels)
    unit = list_parents(seeds.ids, seeds.labels.tolist())[0]
    spec = read_imagined(imagined / "latent", imagined / "scorer", shards)
    info = spec.read_info()
    feeds = make_feeds(info.inputs, info.shape, [Run(unit, 0, 2)], seed=1, seeds=seeds)
    images, rows = spec.open("cpu", 2).draw_recorded(feeds)
    assert images.shape[0] == 2 and (rows["z_before"] != rows["z_after"]).all()
    again = found.place(imagined / "latent", found.sampler).open("cpu", 2).draw(feeds)
    np.testing.assert_array_equal(images, again)
    # Its numbers are stored, and what sees images is not: another network in the folder would be another scorer.
    with (imagined / "clip" / "tokenizer.json").open("a") as file:
        file.write("\n")
    with pytest.raises(UserError, match=r"sampler\.imagination\.scorer\.sha256 does not fit .*clip: its content has"):
        read_imagined(imagined / "latent", imagined / "scorer", shards).open("cpu", 2)


def test_a_clip_that_does_not_fit_is_refused_before_anything_is_computed(imagined: Path) -> None:
    smoke = Path(__file__).parents[3] / "recipes" / "smoke.yaml"
    drawing = {"prior": {"kind": "latent", "pool": "others"}, "generator": {"kind": "prior"}}

    def check(names: tuple[str, ...] = LETTERS, **keys: Any) -> None:
        scorer = {**name_clip(imagined).model_dump(), **keys}
        sampler = {"strength": 0.4, "imagination": {"scorer": scorer}}
        content = {**read_yaml(smoke), "on_new_images": "retrain", **drawing, "sampler": sampler}
        check_scorer_of_imagination(parse_recipe(content, "mine.yaml"), imagined, names)

    check()
    for names, keys, message in (
        (LETTERS, {"sha256": None}, rf"{KEY}\.sha256 is missing; the content of .* has [0-9a-f]{{64}}"),
        (LETTERS, {"sha256": "0" * 64}, rf"{KEY}\.sha256 does not fit"),
        (LETTERS, {"model": "nowhere"}, rf"{KEY}\.model: the folder .*/nowhere does not exist"),
        ((*LETTERS, "d"), {}, rf"{KEY}\.class_names has no name for class 'd'"),
        (LETTERS, {"templates": ("{class}" + "b" * 60,)}, "and this CLIP reads 40; shorten it"),
        (LETTERS, {"kind": "probe", "templates": None}, "templates has no effect with kind: probe; it belongs to clip"),
    ):
        with pytest.raises(UserError, match=message):
            check(names, **keys)
    weights = imagined / "clip" / "model.safetensors"
    weights.rename(imagined / "clip" / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"pytorch_model\.bin is a pickle, which may run code"):
        check(sha256="0" * 64)


def test_a_plan_knows_what_a_networks_answer_costs(clip_folder: Path, tmp_path: Path) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    network = open_clip(clip_folder).network
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.get_image_features(pixel_values=torch.zeros(1, 3, SIDE, SIDE))
    guessed = count_products(read_folder(clip_folder, "", kinds=["clip"]))
    assert 0.5 < guessed / counter.get_total_flops() < 2
    build(tmp_path, "resnet", "ResNetModel")
    folder = read_folder(tmp_path, "", kinds=["resnet"])
    sided = [replace(folder, config={**folder.config, "image_size": side}) for side in (224, [224, 224])]
    assert count_products(folder) == count_products(sided[0]) == count_products(sided[1]) > 0
    smoke = parse_recipe(read_yaml(Path(__file__).parents[3] / "recipes" / "smoke.yaml"), "mine.yaml")
    assert guess_judging(smoke, tmp_path) is None
