"""Stems of the small network compared at 64 pixels a side: equal steps, three seeds, judged on validation only.

Training and validation images are letters in matplotlib's own fonts, rendered in random size, place, slant and colours.
The stem is the part before the network's second stage. Smaller images use the stem that halves the side once; because
of this measurement larger ones use the stem with two layers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median
from unittest.mock import patch

import matplotlib
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn

from benchmarks.parts.harness import Row, write_result
from ops.classifiers import networks
from ops.classifiers.answering import predict
from ops.classifiers.data import TrainingSet
from ops.classifiers.networks.layers import Residual, average_places, conv_norm
from ops.classifiers.training import train
from ops.recipe.arms import Arm, SmallResNet
from ops.recipe.classifiers import ClassifierSettings

SIDE, LETTERS = 64, "ABEFHKMNRS"
TRAIN, VALIDATION, SEEDS = 1000, 1000, 3
BUDGET = ClassifierSettings(steps=400, batch_size=32)
FONTS = (
    "DejaVuSans",
    "DejaVuSans-Oblique",
    "DejaVuSansMono",
    "DejaVuSerif",
    "DejaVuSerif-Italic",
    "STIXGeneral",
    "cmtt10",
)
FIRST = "halved once"


def stem(*layers: nn.Module) -> list[nn.Module]:
    """Each layer with a ReLU after it."""
    return [part for layer in layers for part in (layer, nn.ReLU(inplace=True))]


STEMS: dict[str, Callable[[int, int], list[nn.Module]]] = {
    FIRST: lambda channels, width: [*stem(conv_norm(channels, width, 2)), Residual(width, width)],
    "halved once, two layers": lambda channels, width: [
        *stem(conv_norm(channels, width, 2), conv_norm(width, width)), Residual(width, width),
    ],
    "halved twice": lambda channels, width: [
        *stem(conv_norm(channels, width, 2), conv_norm(width, width, 2)), Residual(width, width),
    ],
    "halved twice, a block between": lambda channels, width: [
        *stem(conv_norm(channels, width // 2, 2)), Residual(width // 2, width // 2),
        *stem(conv_norm(width // 2, width, 2)), Residual(width, width),
    ],
}  # fmt: skip


class Body(nn.Sequential):
    """The small network with another stem."""

    def __init__(self, name: str, settings: SmallResNet, shape: tuple[int, int, int]) -> None:
        width = settings.width
        super().__init__(
            *STEMS[name](shape[0], width), *stem(conv_norm(width, 2 * width, 2)), Residual(2 * width, 2 * width)
        )
        self.feature_size = 2 * width

    def forward(self, x: Tensor) -> Tensor:
        return average_places(super().forward(x))


def run() -> Path:
    """Train and judge every stem, write results/stems.json."""
    torch.set_num_threads(1)
    data, held_out = draw_letters(TRAIN, seed=0), draw_letters(VALIDATION, seed=1)
    accuracies: dict[str, list[float]] = {name: [] for name in STEMS}
    seconds: dict[str, list[float]] = {name: [] for name in STEMS}
    for seed in range(SEEDS):
        for name in STEMS:
            with patch.dict(networks.BODIES, small_resnet=lambda *given, name=name: Body(name, *given)):
                started = time.perf_counter()
                model = train(data, Arm(), BUDGET, learning_rate=0.02, weight_decay=0.1, seed=seed)
            seconds[name].append(time.perf_counter() - started)
            answers = predict(model, held_out.images).argmax(1)
            accuracies[name].append(float((answers == held_out.labels).float().mean()))
            print(f"{name}, seed {seed}: {100 * accuracies[name][-1]:.1f} %, {seconds[name][-1]:.0f} s", flush=True)
    rows = [Row(f"{name}: accuracy", round(100 * mean(found), 2), "%") for name, found in accuracies.items()]
    rows += [Row(f"{name}: seconds of a training", round(median(found), 1), "s") for name, found in seconds.items()]
    gains = {f"stem_points: {n}": 100 * (mean(found) - mean(accuracies[FIRST])) for n, found in accuracies.items()}
    return write_result("stems", rows, gains, accuracies=accuracies, steps=BUDGET.steps, batch_size=BUDGET.batch_size)


def draw_letters(count: int, seed: int) -> TrainingSet:
    """Letters uint8 [count, 3, 64, 64], equally many of each."""
    rng = np.random.default_rng(seed)
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    labels = np.arange(count) % len(LETTERS)
    images = []
    for label in labels:
        font = ImageFont.truetype(folder / f"{FONTS[rng.integers(len(FONTS))]}.ttf", int(rng.integers(28, 52)))
        mask = Image.new("L", (SIDE, SIDE))
        place = tuple(rng.integers(26, SIDE - 26, 2).tolist())
        ImageDraw.Draw(mask).text(place, LETTERS[label], fill=255, font=font, anchor="mm")
        opacity = np.asarray(mask.rotate(float(rng.uniform(-10, 10)), Image.Resampling.BILINEAR))[..., None] / 255
        ground, ink = rng.uniform(0, 255, (2, 3))
        pixels = ground + opacity * (ink - ground) + rng.normal(0, 6, (SIDE, SIDE, 3))
        images.append(pixels.clip(0, 255).astype(np.uint8).transpose(2, 0, 1))
    return TrainingSet(torch.from_numpy(np.stack(images)), torch.from_numpy(labels), np.ones(count), len(LETTERS))
