"""Training images per second of the demo's classifier: an arm's own training against the loops a user would write.

Ours is `ops.classifiers.training.train` with mirroring and shifts, from the start each time, on one core as the stages
run it. The other sides are `benchmarks.parts.plain_classifier`: a DataLoader, and images that stay in memory. Rows in
fp32 separate the number format from the rest. Ours pays for Muon, which needs about half of AdamW's steps.

The row of convolutions alone is the limit of everything around them: they run forward and backward on the tensors that
they meet in a step, and nothing else does. `of_matrix_product` compares the step's products with a matrix product in
the same number format and process; it counts what padding multiplies by zero, which kernels skip.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.parts.harness import Row, interleave, use_cores, write_result
from benchmarks.parts.plain_classifier import (
    SHIFT,
    build_plain_network,
    gather_batches,
    load_batches,
    train_plainly,
)
from ops.classifiers.answering import predict
from ops.classifiers.augmentations.flip_crop import flip_and_shift
from ops.classifiers.data import TrainingSet
from ops.classifiers.networks.classifier import Classifier
from ops.classifiers.networks.layers import Conv
from ops.classifiers.training import train
from ops.machine.parallel import use_threads
from ops.machine.precision import compute_in, resolve_precision
from ops.recipe.arms import Arm, FlipCrop, SmallResNet
from ops.recipe.classifiers import ClassifierSettings

SHAPES = {"28 x 28": (1, 28, 28), "32 x 32 colour": (3, 32, 32)}
IMAGES, CLASSES, BATCH = 1_000, 10, 64
STEPS, ROUNDS = 30, 5
LOADERS = (0, 2)  # worker processes of the DataLoader
SIDE = 1_024  # of the matrices that state the processor's rate


def run(steps: int = STEPS, rounds: int = ROUNDS) -> Path:
    """Measure, write results/classifier_training.json."""
    torch.manual_seed(0)
    auto, rows = resolve_precision("auto"), list[Row]()
    ratios: dict[str, float] = {}
    with use_cores(1), use_threads(1):
        product = measure_product(auto)
        for name, shape in SHAPES.items():
            data = make_images(shape)
            sides: dict[str, Callable[[], object]] = {
                f"ours, {precision}": train_ours(data, precision, steps) for precision in dict.fromkeys((auto, "fp32"))
            }
            sides[f"convolutions alone, {auto}"] = convolve(data, auto, steps)
            sides["in memory, fp32"] = train_resident(data, steps)
            for loaders in LOADERS:
                sides[f"DataLoader, fp32, {loaders} workers"] = train_loaded(data, loaders, steps)
            rates = {side: steps * BATCH / seconds for side, seconds in interleave(sides, repeats=rounds).items()}
            rates |= {"ours, answers": measure_answers(data, rounds)}
            rows += [Row(f"{name}: {side}", round(rate, 1), "images/s") for side, rate in rates.items()]
            best = max(rate for side, rate in rates.items() if side.startswith("DataLoader"))
            ratios |= {
                f"training_vs_dataloader, {name}": rates[f"ours, {auto}"] / best,
                f"training_vs_eager_fp32, {name}": rates[f"ours, {auto}"] / rates["in memory, fp32"],
                f"training_auto_vs_fp32, {name}": rates[f"ours, {auto}"] / rates["ours, fp32"],
                f"training_vs_convolutions_alone, {name}": rates[f"ours, {auto}"]
                / rates[f"convolutions alone, {auto}"],
                f"of_matrix_product, {name}": rates[f"ours, {auto}"] * count_flops(shape) / product,
            }
    rows.append(Row(f"matrix product, {auto}", round(product / 1e9, 1), "GFLOP/s"))
    return write_result("classifier_training", rows, ratios, batch_size=BATCH)


def make_images(shape: tuple[int, int, int]) -> TrainingSet:
    """Random pixels and labels in equal numbers, because speed does not depend on the content."""
    images = torch.randint(0, 256, (IMAGES, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return TrainingSet(images, torch.arange(IMAGES) % CLASSES, np.ones(IMAGES), CLASSES)


def train_ours(data: TrainingSet, precision: str, steps: int) -> Callable[[], object]:
    """The stage's training of one network, from its start."""
    arm = Arm(augmentation=FlipCrop())
    budget = ClassifierSettings.model_validate({"steps": steps, "batch_size": BATCH, "precision": precision})
    return lambda: train(data, arm, budget, learning_rate=0.02, weight_decay=0.1, seed=0)


def train_resident(data: TrainingSet, steps: int) -> Callable[[], object]:
    """Eager fp32 on images that stay in memory, augmented as ours; it continues where it stopped."""
    batches = gather_batches(data.images, data.labels, BATCH, lambda batch: flip_and_shift(batch, SHIFT))
    go_on = train_plainly(build_plain_network(data.shape, CLASSES), batches)
    return lambda: go_on(steps)


def train_loaded(data: TrainingSet, loaders: int, steps: int) -> Callable[[], object]:
    """The loop around a DataLoader, which continues where it stopped."""
    batches = load_batches(data.images, data.labels, BATCH, loaders)
    go_on = train_plainly(build_plain_network(data.shape, CLASSES), batches)
    return lambda: go_on(steps)


def convolve(data: TrainingSet, precision: str, steps: int) -> Callable[[], object]:
    """The convolutions of so many steps, forward and backward, each on what it meets in a training step."""
    network, met = Classifier(SmallResNet(), data.shape, CLASSES), list[tuple[nn.Module, Tensor, Tensor]]()

    def keep(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        images = inputs[0].detach().requires_grad_(bool(met))  # the first one needs no gradient of the images
        met.append((module, images, output.detach().clone()))

    hooks = [m.register_forward_hook(keep) for m in network.modules() if isinstance(m, Conv)]
    images = data.images[:BATCH].float().contiguous(memory_format=torch.channels_last)
    with torch.no_grad(), compute_in(precision):
        network(images)
    for hook in hooks:
        hook.remove()

    def go() -> None:
        for _ in range(steps):
            for module, images, gradient in met:
                with compute_in(precision):
                    output = module(images)
                output.backward(gradient)
                images.grad = module.weight.grad = None

    return go


def measure_answers(data: TrainingSet, rounds: int) -> float:
    """Images a second that our trained network answers."""
    model = Classifier(SmallResNet(), data.shape, CLASSES).eval()
    return IMAGES / interleave({"answers": lambda: predict(model, data.images)}, repeats=rounds)["answers"]


def count_flops(shape: tuple[int, int, int]) -> float:
    """Floating-point operations of one image's training step: products forward and backward."""
    model, images = Classifier(SmallResNet(), shape, CLASSES), torch.zeros(2, *shape)
    with FlopCounterMode(display=False) as counter:
        model(images).sum().backward()
    return counter.get_total_flops() / len(images)


def measure_product(precision: str) -> float:
    """Operations a second of a matrix product in this format: the best of a few, as other processes only slow it."""
    matrix = torch.randn(SIDE, SIDE, dtype=torch.bfloat16 if precision == "bf16" else torch.float32)
    seconds = []
    for _ in range(10):
        started = time.perf_counter()
        torch.mm(matrix, matrix)
        seconds.append(time.perf_counter() - started)
    return 2 * SIDE**3 / min(seconds)
