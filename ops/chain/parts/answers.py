"""Stored classifiers' answers on the test images: the only place where classifiers see test pixels.

The weights are loaded from disk, so the networks that are judged are those that were stored, in the number format in
which they were trained and selected. Each network's answers are a file in the scratch folder, so a resumed run does
not look at the test images again for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ops.classifiers.answering import predict, settle_undefined
from ops.classifiers.sharing import WORKER_SHARE
from ops.classifiers.stored import load_classifier
from ops.files.storage import replace_file
from ops.machine.parallel import map_processes, shared, worth_workers
from ops.machine.progress import Progress


@dataclass(frozen=True)
class Network:
    """One trained classifier: its arm and seed, the file with its arm's networks, and how it is evaluated.

    precision : number format it was trained in. mirrored : whether mirrored images are evaluated too.
    keeps_probabilities : whether its probabilities are stored, for an ensemble.
    """

    arm: str
    seed: int
    path: Path
    precision: str
    mirrored: bool = False
    keeps_probabilities: bool = False

    @property
    def file_name(self) -> str:
        return f"{self.arm}_{self.seed}.npz"


@dataclass(frozen=True)
class Answers:
    """One network's answers on n test images.

    correct : bool [n], whether the most probable class is the label.
    confidence : float32 [n] in 0..1, the probability of that class.
    mirrored : bool [n], the same for the mean of the probabilities of image and mirrored image; None if not evaluated.
    probabilities : float32 [n, K]; None if not stored.
    """

    correct: np.ndarray
    confidence: np.ndarray
    mirrored: np.ndarray | None
    probabilities: np.ndarray | None


def find_unevaluated(networks: Sequence[Network], scratch: Path) -> list[Network]:
    """Networks whose answers are not in the scratch folder."""
    return [network for network in networks if not (scratch / network.file_name).exists()]


def evaluate(
    networks: Sequence[Network],
    images: np.ndarray,
    labels: np.ndarray,
    *,
    scratch: Path,
    workers: int,
    progress: Progress,
) -> None:
    """Write each network's answers about `images` uint8 [n, C, H, W] with `labels` int [n] into the scratch folder."""
    scratch.mkdir(parents=True, exist_ok=True)
    share = {"images": images, "labels": labels, "scratch": scratch}
    work = sum(1 + network.mirrored for network in networks) * len(images)
    progress.begin(0)
    for done, _ in enumerate(
        map_processes(_evaluate_one, networks, workers=worth_workers(workers, work, 4 * WORKER_SHARE), share=share),
        start=1,
    ):
        progress.update(done)


def read_answers(network: Network, scratch: Path) -> Answers:
    """The answers that `evaluate` wrote for a network."""
    with np.load(scratch / network.file_name, allow_pickle=False) as file:
        return Answers(*(file.get(name) for name in ("correct", "confidence", "mirrored", "probabilities")))


def _evaluate_one(network: Network) -> None:
    images, labels = torch.from_numpy(shared("images")), shared("labels")
    model = load_classifier(network.path, network.seed)
    logits = settle_undefined(predict(model, images, precision=network.precision))
    probabilities = logits.softmax(1)
    found: dict[str, Any] = {
        "correct": find_correct(logits, labels),
        "confidence": probabilities.amax(dim=1).numpy(),
    }
    if network.keeps_probabilities:
        found["probabilities"] = probabilities.numpy()
    if network.mirrored:
        flipped = settle_undefined(predict(model, images.flip(3), precision=network.precision)).softmax(1)
        found["mirrored"] = find_correct((probabilities + flipped) / 2, labels)
    with replace_file(shared("scratch") / network.file_name) as temporary, temporary.open("wb") as file:
        np.savez(file, **found)


def find_correct(scores: Tensor | np.ndarray, labels: np.ndarray) -> np.ndarray:
    """bool [n]: whether the class with the highest score (logit or probability) in each row [n, K] is the label [n]."""
    return np.asarray(np.asarray(scores).argmax(1) == labels)
