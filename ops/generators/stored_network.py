"""A network in a generator's directory: its weights and the config.json that it is built from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from ops.errors import DamagedData
from ops.files.storage import replace_file, write_json
from ops.generators.folder import CONFIG, WEIGHTS, read_config

Network = TypeVar("Network", bound=nn.Module)


def save_network(folder: Path, network: nn.Module, config: dict[str, Any]) -> None:
    """Write weights and config."""
    with replace_file(folder / WEIGHTS) as temporary:
        save_file({name: value.contiguous() for name, value in network.state_dict().items()}, temporary)
    write_json(folder / CONFIG, config)


def load_network(folder: Path, build: Callable[[dict[str, Any]], Network]) -> tuple[Network, dict[str, Any]]:
    """The network that `build` makes from the config, in evaluation mode, and the config.

    DamagedData if the weights are missing or do not fit.
    """
    config, path = read_config(folder), folder / WEIGHTS
    try:
        network = build(config)
        network.load_state_dict(load_file(path))
    except FileNotFoundError:
        raise DamagedData(f"{folder} holds no {WEIGHTS}") from None
    except KeyError as error:
        raise DamagedData(f"{folder / CONFIG} does not describe the network: {error.args[0]} is missing") from None
    except (RuntimeError, SafetensorError) as error:
        raise DamagedData(f"{path} does not fit {CONFIG}: {str(error).splitlines()[-1].strip()}") from None
    return network.eval(), config
