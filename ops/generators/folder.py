"""A generator as a directory (design, contract 6): config.json, model.safetensors, ONNX, card.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ops.errors import DamagedData
from ops.generators.flow import FlowUNet
from ops.storage import read_json, replace_file, write_json, write_text

WEIGHTS, CONFIG, CARD, NET = "model.safetensors", "config.json", "card.md", "net.onnx"


def sampler_name(steps: int) -> str:
    """File name of the sampler of `steps` steps."""
    return f"sampler_{steps}.onnx"


def find_sampler(folder: Path) -> Path:
    """The one sampler of a generator directory; DamagedData if there is none or more than one."""
    found = sorted(folder.glob("sampler_*.onnx"))
    if len(found) != 1:
        raise DamagedData(f"{folder} must hold one sampler_<steps>.onnx; it holds {len(found)}")
    return found[0]


def build_model(config: dict[str, Any]) -> FlowUNet:
    """The network a config describes, freshly initialised."""
    return FlowUNet(
        channels=config["channels"],
        height=config["height"],
        width=config["width"],
        classes=len(config["class_names"]),
        widths=tuple(config["widths"]),
        layers_per_block=config["layers_per_block"],
        unshuffle=config["unshuffle"],
    )


def save_generator(folder: Path, model: FlowUNet, config: dict[str, Any]) -> None:
    """Write weights and config."""
    with replace_file(folder / WEIGHTS) as temporary:
        save_file({name: value.contiguous() for name, value in model.state_dict().items()}, temporary)
    write_json(folder / CONFIG, config)


def load_generator(folder: Path) -> tuple[FlowUNet, dict[str, Any]]:
    """The network in evaluation mode and its config; DamagedData if the weights do not fit."""
    config = read_json(folder / CONFIG)
    model = build_model(config)
    try:
        model.load_state_dict(load_file(folder / WEIGHTS))
    except (RuntimeError, SafetensorError) as error:
        raise DamagedData(f"{folder / WEIGHTS} does not fit {CONFIG}: {str(error).splitlines()[-1].strip()}") from None
    return model.eval(), config


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
