"""The supported architectures by `model_type` of config.json: their classes in `transformers` and their settings.

A new one needs a line here and a tiny network of its kind in the tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Kind:
    """network: the class that computes the features. pooling: the output that is used: the embedding shared with texts
    (`projected`), the pooled output, or the class token. processor: prepares images if the folder names none.
    classifier: the class with a head, if there is one. one_size: whether images must have one fixed size.
    """

    network: str
    pooling: Literal["projected", "pooled", "class_token"]
    processor: str
    classifier: str | None = None
    one_size: bool = False


# ViT and DeiT use the class token, because their pooler is trained for one task and most folders do not hold it.
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
