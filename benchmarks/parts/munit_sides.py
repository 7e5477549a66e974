"""The sides of the benchmark `munit`: trainings that take a step when told to, and engines that draw variants.

Networks are untrained, and pixels random, because speed does not depend on them. The module measures nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.parts.engines import ONNX_BATCH, TORCH_BATCH
from benchmarks.parts.published_munit import PublishedMunit, train_published
from benchmarks.parts.stepping import Steps
from ops.generators.feeds import IMAGE, NOISE, Feeds, count_rows, cut_feeds
from ops.generators.munit.fitting import learn
from ops.generators.munit.network import Munit, build_makers, build_munit, describe_munit
from ops.generators.munit_kind import MunitGenerator
from ops.generators.onnx.coded import CodedDrawer
from ops.generators.onnx.engine import Sampler
from ops.machine.parallel import start_threads
from ops.machine.precision import compute_in, resolve_precision
from ops.recipe.munit import MunitSettings
from ops.recipe.sampler import SamplerSettings
from ops.training.checkpoint import Checkpoints

CLASSES = 10
PUBLISHED, SINGLE = "published, fp32", "published, batch of 1, fp32"
EAGER, EAGER_BF16, ONNX, CODED = "eager torch fp32", "eager torch bf16", "onnxruntime", "onnxruntime, encoded once"

Shape = tuple[int, ...]
"""Channels, height, width."""

Engine = Callable[[Feeds], np.ndarray]
"""Noise and seed images to variants uint8 [n, H, W, C]."""


@dataclass(frozen=True)
class Side:
    """`take` takes a training step, which varies the content of so many images."""

    take: Callable[[], object]
    images: int


@contextmanager
def start_sides(settings: MunitSettings, images: Tensor, cores: int) -> Iterator[dict[str, Side]]:
    """Every side's training on uint8 images [n, C, H, W], about to take its first step.

    Ours with one branch and with two, in the format that `auto` chooses here and in fp32, on the threads that
    `start_threads` starts; the published networks of the same width and blocks, with the same batch and with a single
    image, on `cores` threads of torch's own.
    """
    batch, sides, labels = settings.batch_size, dict[str, Side](), torch.arange(len(images)) % CLASSES
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for branches in (1, 2):
            ours = settings.model_copy(update={"branches": branches})
            for precision in dict.fromkeys((resolve_precision("auto"), "fp32")):
                steps = Steps(partial(train_ours, ours, images, labels, precision, folder))
                stack.callback(steps.end)
                sides[f"ours, {describe_branches(branches)}, {precision}"] = Side(steps.take, branches * batch)
        for name, size in ((PUBLISHED, batch), (SINGLE, 1)):
            go_on = train_published(build_published(settings, images.shape[1:]), images, labels, batch_size=size)
            sides[name] = Side(partial(compute_on, cores, go_on), 2 * size)
        yield sides


def train_ours(
    settings: MunitSettings,
    images: Tensor,
    labels: Tensor,
    precision: str,
    folder: Path,
    on_step: Callable[[int, float], None],
) -> None:
    """The stage's training, which is not meant to come to its checkpoint, the last step."""
    munit, checkpoints = build_ours(settings, images.shape[1:]), Checkpoints(folder, 1)
    with start_threads() as pool:
        learn(munit, settings, images, labels, checkpoints, seed=0, pool=pool, precision=precision, on_step=on_step)


def compute_on(cores: int, go: Callable[[], None]) -> None:
    """Call it with so many threads of torch's own, as a plain loop has them."""
    torch.set_num_threads(cores)
    go()


def open_engines(generator: MunitGenerator, folder: Path) -> dict[str, Engine]:
    """The same generator in torch, as one file and as two halves; it is exported into the empty `folder`."""
    exported, scratch = folder / "exported", folder / "scratch"
    for place in (exported, scratch):
        place.mkdir()
    path = generator.export(exported, SamplerSettings(), scratch)
    coded = CodedDrawer(path, batch_size=ONNX_BATCH)
    engines: dict[str, Engine] = {EAGER: partial(draw_eagerly, generator, "fp32")}
    if resolve_precision("auto") == "bf16":
        engines[EAGER_BF16] = partial(draw_eagerly, generator, "bf16")
    engines[ONNX] = Sampler(path, batch_size=ONNX_BATCH).draw
    engines[CODED] = lambda feeds: coded.with_batch_size(ONNX_BATCH).draw(feeds)  # a copy remembers no seed image yet
    return engines


def draw_eagerly(generator: MunitGenerator, precision: str, feeds: Feeds) -> np.ndarray:
    """By the networks themselves, in batches that suit torch."""
    parts = [cut_feeds(feeds, slice(i, i + TORCH_BATCH)) for i in range(0, count_rows(feeds), TORCH_BATCH)]
    tensors = [{name: torch.from_numpy(array) for name, array in part.items()} for part in parts]
    with compute_in(precision):
        return torch.cat([generator.sample(part, SamplerSettings()) for part in tensors]).numpy()


def make_feeds(shape: Shape, seeds: int, each: int) -> dict[str, np.ndarray]:
    """Random seed images, each `each` times in a row, and noise."""
    rng, (channels, height, width) = np.random.default_rng(0), shape
    images = rng.integers(0, 256, (seeds, height, width, channels), np.uint8)
    noise = rng.standard_normal((seeds * each, *shape)).astype(np.float32)
    return {NOISE: noise, IMAGE: images.repeat(each, axis=0)}


def make_untrained(settings: MunitSettings, shape: Shape) -> MunitGenerator:
    """A generator that no step was taken with."""
    config = describe_config(settings, shape)
    makers = build_makers(config).eval()
    with torch.no_grad():
        for parameter in makers.parameters():
            if parameter.ndim == 1:  # untrained shifts add zero; an engine might leave them out
                parameter.add_(0.1 * torch.randn_like(parameter))
    return MunitGenerator(makers, config)


def build_ours(settings: MunitSettings, shape: Shape) -> Munit:
    """Our networks, newly initialised."""
    return build_munit(describe_config(settings, shape), spectral_norm=settings.spectral_norm)


def build_published(settings: MunitSettings, shape: Shape) -> PublishedMunit:
    """The published networks of the same width and number of blocks."""
    return PublishedMunit(shape[0], width=settings.width, blocks=settings.blocks)


def describe_config(settings: MunitSettings, shape: Shape) -> dict[str, Any]:
    """config.json of a generator of such images."""
    sides = dict(zip(("channels", "height", "width"), shape, strict=True))
    return {"kind": "munit", "class_names": [str(c) for c in range(CLASSES)], **sides, **describe_munit(settings)}


def describe_branches(branches: int) -> str:
    """Such as `2 branches`."""
    return "1 branch" if branches == 1 else f"{branches} branches"
