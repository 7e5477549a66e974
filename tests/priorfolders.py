"""Folders of stages that imagination reads, with small networks of random weights: priors, a scorer, seed images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ops.classifiers.networks.classifier import Classifier
from ops.datasets.pixels import PixelDataset, build_rows, write_shards
from ops.generators.denoising.network import build_network, describe_network
from ops.generators.instance.contrast import standardise
from ops.generators.instance.network import build_networks, describe_encoder
from ops.generators.latent.network import build_latent_flow, describe_autoencoder
from ops.generators.prior_kind import SEEN
from ops.generators.stored_network import save_network
from ops.judging.scorer import FoldResult, save_scorer
from ops.machine.parallel import start_threads
from ops.recipe.classifiers import ScorerSettings
from ops.recipe.denoisers import FlowSettings
from ops.recipe.instance import EncoderSettings, InstanceSettings
from ops.recipe.latent import LatentSettings
from tests.perturb import draw_seeds

SHAPE = (1, 10, 12)  # (C, H, W)
NAMES = ("a", "b", "c")
LABELS = (0, 1, 2, 0, 1, 2)


def write_prior(folder: Path, kind: str) -> None:
    """A generator's directory of kind `prior`, whose prior is a flow, in pixels, in latents or of features."""
    channels, height, width = SHAPE
    config: dict[str, Any] = {
        "kind": "prior", "channels": channels, "height": height, "width": width, "class_names": list(NAMES),
        "labelled": False, SEEN: {"kind": kind, "pool": "others", "images": 9, "licence": "CC0-1.0"},
    }  # fmt: skip
    torch.manual_seed(3)
    folder.mkdir(parents=True)
    if kind == "flow":
        config |= describe_network(FlowSettings(widths=(8, 16), unshuffle=2), channels)
        return save_network(folder, shake(build_network(config)), config)
    if kind == "instance":
        own = EncoderSettings(width=8, features=6)
        config |= describe_encoder(own, SHAPE) | describe_network(InstanceSettings(widths=(16,), encoder=own), channels)
        networks = shake(build_networks(config)).eval()
        images = torch.from_numpy(draw_seeds(SHAPE, LABELS * 8).images).permute(0, 3, 1, 2)
        with torch.no_grad(), start_threads() as pool:
            standardise(networks.encoder, images, pool, "cpu")
            networks.flow.told[2].weight.mul_(20)  # so that it listens to what it is told
        return save_network(folder, networks, config)
    settings = LatentSettings.model_validate({"kind": "latent", "widths": (8, 16), "autoencoder": {"width": 8}})
    config |= describe_autoencoder(settings.autoencoder, SHAPE) | describe_network(settings, channels)
    return save_network(folder, shake(build_latent_flow(config)), config)


def shake(network: Any) -> Any:
    """The network with no weight at 0, where some layers begin."""
    for value in network.parameters():
        value.data += 0.05 * torch.randn_like(value)
    return network


def write_scorer(
    folder: Path, shape: tuple[int, int, int] = SHAPE, classes: Sequence[int] = LABELS, names: Sequence[str] = NAMES
) -> None:
    """The output of the stage scorer, for images of these classes: two folds of random networks."""
    folder.mkdir(parents=True)
    settings, labels = ScorerSettings(folds=2, width=8), np.array(classes)
    results = []
    for fold in range(2):
        torch.manual_seed(5 + fold)
        network = Classifier(settings.network, shape, len(names)).eval()
        held_out = np.flatnonzero(np.arange(len(labels)) % 2 == fold)
        answers = np.eye(len(names), dtype=np.float32)[labels[held_out]]
        results.append(FoldResult(fold, shake(network).state_dict(), held_out, answers))
    save_scorer(folder, results, settings, labels, len(names), shape[0])


def write_seeds(
    folder: Path, shape: tuple[int, int, int] = SHAPE, classes: Sequence[int] = LABELS, names: Sequence[str] = NAMES
) -> tuple[Path, ...]:
    """Shards of seed images s0, s1, … of these classes."""
    seeds = draw_seeds(shape, classes)
    rows = build_rows(seeds.labels, list(seeds.ids), split="train")
    return tuple(write_shards(folder, PixelDataset(seeds.images, rows, tuple(names)), prefix="train"))
