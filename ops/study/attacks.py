"""Accuracy under white-box attacks: images are changed a little, by the network's own gradient, to make it wrong.

FGSM (Goodfellow, Shlens & Szegedy, ICLR 2015): x' = x + ε sign(∇ loss). I-FGSM (Kurakin, Goodfellow & Bengio, 2017):
several such steps, here ten of ε / 10 as in mixup's paper (Zhang et al., ICLR 2018). Several networks that answer
together are attacked together, through the mean of their probabilities. Changed images are not rounded to grey levels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import nll_loss

from ops.classifiers.networks.classifier import normalise
from ops.machine.memory import keep_freed_memory
from ops.machine.parallel import start_threads

EPSILON = 8 / 255  # largest change of a pixel, whose range is 0..1
ITERATIONS = 10  # of I-FGSM
IMAGES = 1000  # at most, because a gradient costs three answers
BATCH = 100


@dataclass(frozen=True, eq=False)
class Asked:
    """Networks that answer together, in evaluation mode, and what they were asked.

    images: uint8 [n, C, H, W] and labels: int64 [n], on the CPU. device, precision: of the networks.
    """

    networks: Sequence[nn.Module]
    images: Tensor
    labels: Tensor
    device: str = "cpu"
    precision: str = "auto"

    def answer(self, images: Tensor) -> Tensor:
        """Logarithms of the mean probabilities, float64 [n, K], of float images in 0..1.

        In float64, so that the gradient of a network that is very sure does not vanish.
        """
        each = torch.stack([network(images * 2 - 1).double().log_softmax(dim=1) for network in self.networks])
        return each.logsumexp(dim=0) - float(np.log(len(self.networks)))


def score_attacked(asked: Asked, iterations: int, *, epsilon: float = EPSILON) -> float:
    """The accuracy, in 0..1, on at most IMAGES attacked images."""
    keep_freed_memory()
    rows = torch.from_numpy(choose_rows(asked.labels.numpy(), IMAGES))
    images, labels = (normalise(asked.images[rows]) + 1) / 2, asked.labels[rows]

    def count_correct(batch: tuple[Tensor, Tensor]) -> int:
        own, truth = (each.to(asked.device) for each in batch)
        changed = attack(asked.answer, own, truth, epsilon=epsilon, iterations=iterations)
        with torch.inference_mode():
            return int((asked.answer(changed).argmax(dim=1) == truth).sum())

    batches = list(zip(images.split(BATCH), labels.split(BATCH), strict=True))
    if asked.device != "cpu":
        return sum(map(count_correct, batches)) / len(rows)
    with start_threads() as pool:
        return sum(pool.map(count_correct, batches)) / len(rows)


def choose_rows(labels: np.ndarray, most: int) -> np.ndarray:
    """At most `most` rows, evenly over the classes and over the images of each, int64."""
    by_class = np.argsort(labels, kind="stable")
    number = min(most, len(labels))
    return np.sort(by_class[np.arange(number) * len(labels) // number])


def attack(
    answer: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor, *, epsilon: float, iterations: int
) -> Tensor:
    """Images within `epsilon` of `images`, after `iterations` steps of epsilon / iterations; one step is FGSM.

    answer: log probabilities [n, K] of images. images: float [n, C, H, W] in 0..1. labels: int64 [n].
    """
    lowest, highest = (images - epsilon).clamp(min=0), (images + epsilon).clamp(max=1)
    changed = images
    for _ in range(iterations):
        x = changed.detach().requires_grad_()
        loss = nll_loss(answer(x), labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, x)
        changed = (changed + epsilon / iterations * gradient.sign()).clamp(lowest, highest)
    return changed
