"""Tiny pipelines of diffusers' real classes with random weights, as folders. They draw noise: nothing is quality."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

SIDE = 32  # pixels at which they draw
EMBEDDED = 16  # numbers of an image embedding
TEXT = 32  # numbers of an embedded token


def write_pipeline(folder: Path, *, flag: bool = False, prediction: str = "epsilon", **changes: Any) -> Path:
    """A Stable Diffusion; `flag`: whether its safety checker flags every image or none. `changes` are of the unet."""
    from diffusers import DDIMScheduler, StableDiffusionPipeline
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPConfig

    torch.manual_seed(0)
    checker = StableDiffusionSafetyChecker(CLIPConfig(vision_config=_vision(), projection_dim=EMBEDDED))
    for name in ("concept_embeds_weights", "special_care_embeds_weights"):
        getattr(checker, name).data.fill_(-2.0 if flag else 2.0)  # a cosine is above or below
    pipe = StableDiffusionPipeline(
        unet=_unet(**changes),
        vae=_vae(),
        text_encoder=_text_encoder(),
        tokenizer=_tokenizer(),
        scheduler=DDIMScheduler(
            beta_schedule="scaled_linear", clip_sample=False, steps_offset=1, prediction_type=prediction
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.save_pretrained(folder)
    checker.save_pretrained(folder / "safety_checker")
    _write_processor(folder)
    index = json.loads((folder / "model_index.json").read_text())
    index |= {"safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"]}
    index |= {"feature_extractor": ["transformers", "CLIPImageProcessor"]}
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


def write_unclip(folder: Path) -> Path:
    """A Stable unCLIP of image variation."""
    from diffusers import DDIMScheduler, DDPMScheduler, StableUnCLIPImg2ImgPipeline
    from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import StableUnCLIPImageNormalizer
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(0)
    normalizer = StableUnCLIPImageNormalizer(EMBEDDED)
    normalizer.mean.data.normal_(std=0.1)
    normalizer.std.data.uniform_(0.5, 1.5)
    pipe = StableUnCLIPImg2ImgPipeline(
        feature_extractor=None,
        image_encoder=_spread(CLIPVisionModelWithProjection(CLIPVisionConfig(**_vision(), projection_dim=EMBEDDED))),
        image_normalizer=normalizer,
        image_noising_scheduler=DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
        tokenizer=_tokenizer(),
        text_encoder=_text_encoder(),
        unet=_unet(class_embed_type="projection", projection_class_embeddings_input_dim=2 * EMBEDDED),
        scheduler=DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False),
        vae=_vae(),
    )
    pipe.save_pretrained(folder)
    _write_processor(folder)
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(
        json.dumps(index | {"feature_extractor": ["transformers", "CLIPImageProcessor"]})
    )
    return folder


def _unet(**changes: Any) -> Any:
    from diffusers import UNet2DConditionModel

    settings: dict[str, Any] = {
        "sample_size": SIDE // 2,
        "block_out_channels": (32, 32),
        "layers_per_block": 1,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "cross_attention_dim": TEXT,
        "attention_head_dim": 4,
        "norm_num_groups": 8,
    }
    return UNet2DConditionModel(**settings | changes)


def _vae() -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(16, 16),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=8,
        sample_size=SIDE,
        scaling_factor=0.9,
    )


def _text_encoder() -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel

    settings = {"hidden_size": TEXT, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4}
    ends = {"bos_token_id": 180, "eos_token_id": 181, "pad_token_id": 181}
    return _spread(CLIPTextModel(CLIPTextConfig(**settings, **ends, vocab_size=200, max_position_embeddings=77)))


def _tokenizer() -> Any:
    """CLIP's own, with single characters as tokens."""
    from tokenizers import pre_tokenizers
    from transformers import CLIPTokenizer

    characters = sorted(pre_tokenizers.ByteLevel.alphabet())[:90]
    pieces = [*characters, *(character + "</w>" for character in characters), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}, merges=[], model_max_length=77)


def _vision() -> dict[str, Any]:
    return {
        "hidden_size": 32,
        "intermediate_size": 40,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "image_size": 30,
        "patch_size": 6,
    }


def _spread(network: Any) -> Any:
    """By default all inputs would have nearly equal features."""
    for tensor in network.parameters():
        torch.nn.init.normal_(tensor, std=0.2)
    return network


def _write_processor(folder: Path) -> None:
    (folder / "feature_extractor").mkdir(exist_ok=True)
    settings = {"size": {"shortest_edge": 30}, "crop_size": {"height": 30, "width": 30}}
    content = {"image_processor_type": "CLIPImageProcessor", **settings}
    (folder / "feature_extractor" / "preprocessor_config.json").write_text(json.dumps(content))
