"""A generator as a directory (design, contract 6): config.json, model.safetensors, ONNX, card.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ops.errors import DamagedData
from ops.files.storage import read_json, write_text

WEIGHTS, CONFIG, CARD, NET = "model.safetensors", "config.json", "card.md", "net.onnx"
LABELLED = "labelled"  # in config.json, False: it knows no classes, and its images have the labels of seed images
PSEUDO = "pseudo_labelled"  # in config.json: the pool that it learnt from with labels of a probe, and how many images
SETTINGS = "settings"  # in config.json: of a generator whose weights lie elsewhere, the recipe's section
ORIGIN = "origin"  # in config.json: of weights that learnt elsewhere and lie here, their folder, hash and licence
DRAWN_WITH = "sampler"  # in config.json, too: the recipe's section of this name
SPOKEN = "spoken"  # in config.json: of a generator with prompts, each class and what these call it
FLAGS = "flags_unsafe"  # in config.json, True: its own safety checker looks; the images that it flags are black
SAMPLER = "sampler.onnx"  # of a kind without steps
CONTENT, DECODER = "content.onnx", "decoder.onnx"  # the halves of a sampler that encodes each seed image once
ENCODER = "encoder.onnx"  # of latents, beside a decoder


def sampler_name(steps: int) -> str:
    """File name of the sampler of `steps` steps."""
    return f"sampler_{steps}.onnx"


def variant_name(sampler: Path, precision: str) -> str:
    """File name of a sampler's variant in another precision."""
    return f"{sampler.stem}.{precision}.onnx"


def find_fastest(folder: Path) -> Path:
    """The accepted variant of the sampler, or the sampler itself; DamagedData as `find_sampler`."""
    sampler = find_sampler(folder)
    return next((path for path in sorted(folder.glob(variant_name(sampler, "*")))), sampler)


def find_sampler(folder: Path) -> Path:
    """The one fp32 sampler of a generator directory; DamagedData if there is none or more than one."""
    found = sorted(path for path in folder.glob("sampler*.onnx") if re.fullmatch(r"sampler(_\d+)?", path.stem))
    if len(found) != 1:
        raise DamagedData(f"{folder} must hold one sampler_<steps>.onnx; it holds {len(found)}")
    return found[0]


def read_config(folder: Path) -> dict[str, Any]:
    """config.json; DamagedData if it is missing, is not JSON, or lacks the kind or the class names."""
    path = folder / CONFIG
    try:
        config = read_json(path)
    except FileNotFoundError:
        raise DamagedData(f"{folder} is not a generator: it holds no {CONFIG}") from None
    lacking = [] if not isinstance(config, dict) else [key for key in ("kind", "class_names") if key not in config]
    if not isinstance(config, dict) or lacking:
        raise DamagedData(f"{path} does not describe a generator: {lacking[0] if lacking else 'an object'} is missing")
    return config


def is_labelled(config: dict[str, Any]) -> bool:
    """Whether a generator with this config was taught the classes that it draws."""
    return bool(config.get(LABELLED, True))


def write_card(folder: Path, config: dict[str, Any], facts: dict[str, str]) -> None:
    """card.md: what this generator is, what it was trained on, and how it was checked."""
    lines = [
        f"# Generator `{config['kind']}`",
        "",
        f"Draws {config['height']}x{config['width']}x{config['channels']} images of {len(config['class_names'])}"
        f" classes: {', '.join(config['class_names'])}.",
        "",
        *(f"- {name}: {value}" for name, value in facts.items()),
        "",
    ]
    write_text(folder / CARD, "\n".join(lines))
