"""Prepare images for a pretrained network as its folder prescribes: resize, crop, rescale, normalise.

The steps come from the folder's preprocessor config, with the defaults of its processor in `transformers`, and are
applied to whole batches. A test compares them with that library's processors. An unknown step is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops.errors import UserError
from ops.pretrained.kinds import KINDS

if TYPE_CHECKING:
    from torch import Tensor

    from ops.pretrained.folder import ModelFolder

_CLIP_MEAN, _CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_HALF = {"image_mean": (0.5, 0.5, 0.5), "image_std": (0.5, 0.5, 0.5)}
_CLIP: dict[str, Any] = {
    "size": {"shortest_edge": 224},
    "crop_size": 224,
    "do_center_crop": True,
    "resample": 3,
    "image_mean": _CLIP_MEAN,
    "image_std": _CLIP_STD,
}
# The defaults of each processor. `square`: whether a size of one number is both sides, or the shorter one.
DEFAULTS: dict[str, dict[str, Any]] = {
    "BitImageProcessor": {**_CLIP, "square": False},
    "CLIPImageProcessor": {**_CLIP, "square": False},
    "ConvNextImageProcessor": {
        **_HALF,
        "size": {"shortest_edge": 384},
        "resample": 3,
        "crop_pct": 224 / 256,
        "square": False,
    },
    "DeiTImageProcessor": {**_HALF, "size": 256, "crop_size": 224, "do_center_crop": True, "resample": 3},
    "SiglipImageProcessor": {**_HALF, "size": {"height": 224, "width": 224}, "resample": 3, "square": False},
    "ViTImageProcessor": {**_HALF, "size": 224, "resample": 2},
}
_MODES = {2: "bilinear", 3: "bicubic"}  # Pillow's numbers
_STEPS = {"do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_convert_rgb"}
_SQUEEZED_FROM = 384  # ConvNeXT's processor crops below this side, and from it on resizes both sides without a crop


@dataclass(frozen=True)
class Preprocessing:
    """The steps in order; None leaves a step out.

    resize: (height, width), or the length of the shorter side, with the other in proportion. mode: `bilinear` or
    `bicubic`, both with anti-aliasing. crop: (height, width) from the middle, padded with black where the image is
    smaller. scale: factor of the grey levels. mean, std: per channel, after scaling.
    """

    resize: tuple[int, int] | int | None
    mode: str
    crop: tuple[int, int] | None
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def find_resized(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of such an image after resizing, before the crop."""
        if self.resize is None:
            return height, width
        if isinstance(self.resize, tuple):
            return self.resize
        if width <= height:
            return int(self.resize * height / width), self.resize
        return self.resize, int(self.resize * width / height)

    def apply(self, images: Tensor) -> Tensor:
        """float32 [n, 3, h, w] of uint8 images [n, C, H, W], C of 1 (grey becomes RGB) or 3; on their device.

        Resized values equal Pillow's to within one grey level; from Pillow 13 on only where Pillow too resizes columns
        before rows, as for square images. ValueError for images of another type or number of channels.
        """
        import torch

        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3):
            raise ValueError(f"images are {images.dtype} {list(images.shape)}; allowed: uint8 [n, 1 or 3, H, W]")
        size = self.find_resized(*images.shape[2:])
        x = images.float()
        if size != tuple(images.shape[2:]):
            # Rounded to grey levels between the passes, as in Pillow: sharp edges overshoot less than in a float pass.
            for target in ((x.shape[2], size[1]), size):
                x = _resize(x, target, self.mode)
        if self.crop is not None:
            x = crop_middle(x, self.crop)
        # Grey becomes RGB only here, so that the steps above need a third of the work.
        mean, std = (torch.tensor(v, device=x.device).view(1, 3, 1, 1) for v in (self.mean, self.std))
        return (x * self.scale).expand(-1, 3, -1, -1).sub(mean).div_(std)


def read_preprocessing(folder: ModelFolder, key: str) -> Preprocessing:
    """The steps that the folder prescribes.

    UserError, with the recipe's section `key`, for an unknown processor or step.
    """
    config, where = folder.preprocessor, folder.path
    name = _find_name(config) or KINDS[folder.kind].processor
    if name not in DEFAULTS:
        raise UserError(f"{key}.model: {where} prepares images with {name}; allowed: {', '.join(DEFAULTS)}")
    options = {**DEFAULTS[name], **{entry: value for entry, value in config.items() if value is not None}}
    unknown = [entry for entry in options if entry.startswith("do_") and entry not in _STEPS and options[entry] is True]
    unknown += [entry for entry in ("use_square_size",) if options.get(entry)]
    if unknown:
        raise UserError(f"{key}.model: {where} prepares images with the step {unknown[0]}, which Growset does not know")
    try:
        return _build(options)
    except (ArithmeticError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{key}.model: the preprocessor config in {where} cannot be used: {error}") from None


def _build(options: dict[str, Any]) -> Preprocessing:
    resize = _read_size(options["size"], bool(options.get("square", True))) if options.get("do_resize", True) else None
    crop = _read_size(options["crop_size"], True) if options.get("do_center_crop", False) else None
    if resize is not None and "crop_pct" in options:
        if not isinstance(resize, int):
            raise ValueError("its size must be {shortest_edge: ...}")
        if resize < _SQUEEZED_FROM:
            resize, crop = int(resize / options["crop_pct"]), (resize, resize)
        else:
            resize = (resize, resize)
    if isinstance(crop, int):
        raise ValueError("its crop_size must have a height and a width")
    if resize is not None and options["resample"] not in _MODES:
        raise ValueError(f"resample {options['resample']} is not known; allowed: 2 (bilinear), 3 (bicubic)")
    normalise = options.get("do_normalize", True)
    return Preprocessing(
        resize=resize,
        mode=_MODES.get(options["resample"], "bicubic"),
        crop=crop,
        scale=float(options.get("rescale_factor", 1 / 255)) if options.get("do_rescale", True) else 1.0,
        mean=_read_channels(options["image_mean"]) if normalise else (0.0, 0.0, 0.0),
        std=_read_channels(options["image_std"]) if normalise else (1.0, 1.0, 1.0),
    )


def _find_name(config: Mapping[str, Any]) -> str:
    name = str(config.get("image_processor_type") or config.get("feature_extractor_type") or "")
    return name.replace("FeatureExtractor", "ImageProcessor").removesuffix("Fast").removesuffix("Pil")


def _read_size(size: Any, square: bool) -> tuple[int, int] | int:
    if isinstance(size, int) and size > 0:
        return (size, size) if square else size
    if isinstance(size, dict) and all(isinstance(side, int) and side > 0 for side in size.values()):
        if set(size) == {"height", "width"}:
            return size["height"], size["width"]
        if set(size) == {"shortest_edge"}:
            return size["shortest_edge"]
    raise ValueError(f"size {size} is not known; allowed: a number, {{height, width}}, {{shortest_edge}}")


def _read_channels(values: Any) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in ([values] * 3 if isinstance(values, float) else values))
    return red, green, blue


def _resize(x: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    import torch.nn.functional as F

    return F.interpolate(x, size, mode=mode, align_corners=False, antialias=True).add_(0.5).floor_().clamp_(0, 255)


def crop_middle(x: Tensor, size: tuple[int, int]) -> Tensor:
    """The middle (height, width) of images [n, C, H, W]; where they are smaller, zeros around them."""
    import torch.nn.functional as F

    (height, width), (wanted_height, wanted_width) = x.shape[2:], size
    missing_rows, missing_columns = max(wanted_height - height, 0), max(wanted_width - width, 0)
    above, left = -(-missing_rows // 2), -(-missing_columns // 2)
    x = F.pad(x, (left, missing_columns - left, above, missing_rows - above))
    top, start = (x.shape[2] - wanted_height) // 2, (x.shape[3] - wanted_width) // 2
    return x[:, :, top : top + wanted_height, start : start + wanted_width]
