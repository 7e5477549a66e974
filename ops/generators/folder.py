"""A generator as a directory (design, contract 6): config.json, model.safetensors, ONNX, card.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops.errors import DamagedData
from ops.files.storage import read_json, replace_file, write_json, write_text

if TYPE_CHECKING:
    from ops.generators.denoising.network import ConditionalUNet

WEIGHTS, CONFIG, CARD, NET = "model.safetensors", "config.json", "card.md", "net.onnx"


def sampler_name(steps: int) -> str:
    """File name of the sampler of `steps` steps."""
    return f"sampler_{steps}.onnx"


def variant_name(sampler: Path, precision: str) -> str:
    """File name of a sampler's variant of another precision."""
    return f"{sampler.stem}.{precision}.onnx"


def find_fastest(folder: Path) -> Path:
    """The variant of the sampler that was accepted, or the sampler itself; DamagedData as `find_sampler`."""
    sampler = find_sampler(folder)
    return next((path for path in sorted(folder.glob(variant_name(sampler, "*")))), sampler)


def find_sampler(folder: Path) -> Path:
    """The one fp32 sampler of a generator directory; DamagedData if there is none or more than one."""
    found = sorted(path for path in folder.glob("sampler*.onnx") if re.fullmatch(r"sampler(_\d+)?", path.stem))
    if len(found) != 1:
        raise DamagedData(f"{folder} must hold one sampler_<steps>.onnx; it holds {len(found)}")
    return found[0]


def read_config(folder: Path) -> dict[str, Any]:
    """config.json; DamagedData if it is missing, no JSON or says no kind and no classes."""
    path = folder / CONFIG
    try:
        config = read_json(path)
    except FileNotFoundError:
        raise DamagedData(f"{folder} is no generator: it holds no {CONFIG}") from None
    lacking = [] if not isinstance(config, dict) else [key for key in ("kind", "class_names") if key not in config]
    if not isinstance(config, dict) or lacking:
        raise DamagedData(f"{path} describes no generator: {lacking[0] if lacking else 'an object'} is missing")
    return config


def save_network(folder: Path, network: ConditionalUNet, config: dict[str, Any]) -> None:
    """Write weights and config."""
    from safetensors.torch import save_file

    with replace_file(folder / WEIGHTS) as temporary:
        save_file({name: value.contiguous() for name, value in network.state_dict().items()}, temporary)
    write_json(folder / CONFIG, config)


def load_network(folder: Path) -> tuple[ConditionalUNet, dict[str, Any]]:
    """The network in evaluation mode and its config; DamagedData if the weights are not there or do not fit."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from ops.generators.denoising.network import build_network

    config, path = read_config(folder), folder / WEIGHTS
    try:
        network = build_network(config)
        network.load_state_dict(load_file(path))
    except FileNotFoundError:
        raise DamagedData(f"{folder} holds no {WEIGHTS}") from None
    except KeyError as error:
        raise DamagedData(f"{folder / CONFIG} does not describe the network: {error.args[0]} is missing") from None
    except (RuntimeError, SafetensorError) as error:
        raise DamagedData(f"{path} does not fit {CONFIG}: {str(error).splitlines()[-1].strip()}") from None
    return network.eval(), config


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
