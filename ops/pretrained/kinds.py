"""The architectures that can be opened, by `model_type` of config.json: their classes in `transformers`, and how.

A new one is a line here and a tiny network of it in the tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Kind:
    """network: the class whose features are taken. pooling: which of its outputs they are: the embedding that it shares
    with texts, its pooled output, or its class token. processor: what prepares its images where the folder does not
    say. classifier: the class with a head, if there is one. one_size: it takes images of one size alone.
    """

    network: str
    pooling: Literal["projected", "pooled", "class_token"]
    processor: str
    classifier: str | None = None
    one_size: bool = False


# ViT's and DeiT's own pooler is for a task, and most folders do not hold it: hence their class tokens.
KINDS = {
    "clip": Kind("CLIPModel", "projected", "CLIPImageProcessor", "CLIPForImageClassification", one_size=True),
    "clip_vision_model": Kind("CLIPVisionModel", "pooled", "CLIPImageProcessor", one_size=True),
    "convnext": Kind("ConvNextModel", "pooled", "ConvNextImageProcessor", "ConvNextForImageClassification"),
    "convnextv2": Kind("ConvNextV2Model", "pooled", "ConvNextImageProcessor", "ConvNextV2ForImageClassification"),
    "deit": Kind("DeiTModel", "class_token", "DeiTImageProcessor", "DeiTForImageClassification", one_size=True),
    "dinov2": Kind("Dinov2Model", "pooled", "BitImageProcessor", "Dinov2ForImageClassification"),
    "dinov2_with_registers": Kind(
        "Dinov2WithRegistersModel", "pooled", "BitImageProcessor", "Dinov2WithRegistersForImageClassification"
    ),
    "resnet": Kind("ResNetModel", "pooled", "ConvNextImageProcessor", "ResNetForImageClassification"),
    "siglip": Kind("SiglipModel", "projected", "SiglipImageProcessor", "SiglipForImageClassification", one_size=True),
    "swin": Kind("SwinModel", "pooled", "ViTImageProcessor", "SwinForImageClassification"),
    "vit": Kind("ViTModel", "class_token", "ViTImageProcessor", "ViTForImageClassification", one_size=True),
}
CLASSIFIERS = {name: kind.classifier for name, kind in KINDS.items() if kind.classifier is not None}
EXTRACTORS = tuple(KINDS)
