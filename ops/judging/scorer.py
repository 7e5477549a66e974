"""The scorer: cross-fitted classifiers, trained on real images, that score generated images.

Fold f's network never sees the images of fold f, so its accuracy on them is unbiased. A temperature fitted on those
held-out predictions calibrates the probabilities (Guo et al. 2017). A generated image is scored by all networks
together, a variant of a training image by the one network that did not see that image. The scorer is trained neither
on generated images nor on test images. Where all images are of one class there is nothing to learn: its networks stay
as they were drawn, and their features are those of random networks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from scipy.optimize import minimize_scalar
from torch import Tensor

from ops.classifiers.answering import predict
from ops.classifiers.data import TrainingSet
from ops.classifiers.networks.classifier import Classifier
from ops.classifiers.sharing import WORKER_SHARE
from ops.classifiers.statistics import reestimate_statistics
from ops.classifiers.training import train
from ops.datasets.folds import assign_folds
from ops.files.storage import read_json, replace_file, write_json
from ops.machine.parallel import map_processes, shared, worth_workers
from ops.machine.precision import resolve_precision
from ops.recipe.arms import Arm, SmallResNet

if TYPE_CHECKING:
    from ops.recipe.classifiers import ScorerSettings

FOLDS = "folds"  # a tensor beside the networks': the fold of each training image


@dataclass(frozen=True)
class FoldResult:
    """A fold's weights and its logits [m, K] on the images `held_out` [m] that it did not see."""

    fold: int
    state: dict[str, Tensor]
    held_out: np.ndarray
    logits: np.ndarray


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature in 0.05..20 that minimises the negative log-likelihood of held-out logits [n, K]."""

    def loss(log_temperature: float) -> float:
        return negative_log_likelihood(softmax(logits / np.exp(log_temperature)), labels)

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded").x))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities [n, K] of logits [n, K]."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def negative_log_likelihood(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean of -log p(label); probabilities below 1e-12 count as 1e-12."""
    return float(-np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-12)).mean())


def train_fold(fold: int) -> FoldResult:
    """Train one fold, in a worker whose pool shares the data."""
    images, labels, folds = shared("images"), shared("labels"), shared("folds")
    settings, classes, seed = shared("settings"), shared("classes"), shared("seed")
    inside = folds != fold
    data = TrainingSet(
        torch.from_numpy(images[inside]), torch.from_numpy(labels[inside]), np.ones(inside.sum()), classes
    )
    if classes == 1:
        model = _draw_network(data, settings, seed + fold)
    else:
        model = train(
            data,
            shared("arm"),
            settings,
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            seed=seed + fold,
        )
    logits = predict(model, torch.from_numpy(images[~inside]), precision=settings.precision).numpy()
    return FoldResult(fold, model.state_dict(), np.flatnonzero(~inside), logits)


def _draw_network(data: TrainingSet, settings: ScorerSettings, seed: int) -> Classifier:
    """A network of random weights with the normalisation statistics of these images, in evaluation mode."""
    torch.manual_seed(seed)
    model = Classifier(settings.network, data.shape, data.classes)
    reestimate_statistics(model, data.images, precision=resolve_precision(settings.precision, "cpu"), device="cpu")
    return model.eval()


def train_folds(
    images: np.ndarray,
    labels: np.ndarray,
    classes: int,
    settings: ScorerSettings,
    *,
    seed: int,
    workers: int,
    units: np.ndarray | None = None,
) -> list[FoldResult]:
    """All folds in order; images uint8 [n, C, H, W], labels int64 [n], units int [n] that stay in one fold."""
    share = {
        "images": images,
        "labels": labels,
        "classes": classes,
        "seed": seed,
        "folds": assign_folds(labels, settings.folds, seed, units),
        "arm": Arm(augmentation=settings.augmentation),
        "settings": settings,
    }
    workers = worth_workers(workers, settings.folds * settings.steps * settings.batch_size, WORKER_SHARE)
    results = map_processes(train_fold, range(settings.folds), workers=workers, share=share)
    return sorted(results, key=lambda result: result.fold)


def save_scorer(
    folder: Path, results: list[FoldResult], settings: ScorerSettings, labels: np.ndarray, classes: int, channels: int
) -> dict[str, float]:
    """Write scorer.safetensors and config.json; returns the cross-fitted accuracy, temperature and loss."""
    logits, folds = np.empty((len(labels), classes), np.float32), np.empty(len(labels), np.int64)
    for result in results:
        logits[result.held_out], folds[result.held_out] = result.logits, result.fold
    temperature = fit_temperature(logits, labels)
    tensors = {f"{r.fold}/{name}": value.contiguous() for r in results for name, value in r.state.items()}
    tensors[FOLDS] = torch.from_numpy(folds)
    with replace_file(folder / "scorer.safetensors") as temporary:
        save_file(tensors, temporary)
    metrics = {
        "cross_fitted_accuracy": float((logits.argmax(1) == labels).mean()),
        "temperature": temperature,
        "negative_log_likelihood": negative_log_likelihood(softmax(logits / temperature), labels),
    }
    config = {
        "folds": len(results),
        "classes": classes,
        "channels": channels,
        "network": settings.network.model_dump(mode="json"),
        "precision": settings.precision,
        **metrics,
    }
    write_json(folder / "config.json", config)
    return metrics


@dataclass(frozen=True)
class Scorer:
    """A loaded scorer: the folds' networks and the temperature.

    folds: int64 [n], for each training image the network that did not see it.
    """

    models: tuple[Classifier, ...]
    temperature: float
    precision: str
    folds: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

    def features(self, images: Tensor) -> list[np.ndarray]:
        """Each fold's pooled penultimate features, float32 [n, d], of uint8 images [n, C, H, W]."""
        return [self.fold_features(fold, images) for fold in range(len(self.models))]

    def fold_features(self, fold: int, images: Tensor) -> np.ndarray:
        """The features of one fold's network alone; unbiased on that fold's images, which it did not see."""
        return predict(self.models[fold].features, images, precision=self.precision).numpy()

    def judge_apart(self, images: Tensor, networks: np.ndarray) -> np.ndarray:
        """Calibrated logits float64 [n, K] of uint8 images [n, C, H, W], each by the network that `networks` [n] names.

        Their softmax is that of `examine`, where a probability near 1 is rounded to 1.
        """
        found = []
        for number, model in enumerate(self.models):
            own = networks == number
            logits = predict(model, images[torch.from_numpy(np.flatnonzero(own))], precision=self.precision).numpy()
            found.append(_scatter_rows(logits.astype(np.float64) / self.temperature, own, 0.0))
        return np.sum(found, axis=0)

    def examine(self, images: Tensor, networks: np.ndarray | None = None) -> tuple[np.ndarray, list[np.ndarray]]:
        """Mean calibrated probabilities float [n, K] of uint8 images [n, C, H, W], and `features`, in one pass.

        `networks` int [n] names the one network that judges each image; its features by the others are NaN.
        """
        parts, features = [], []
        for number, model in enumerate(self.models):
            asked = images if networks is None else images[torch.from_numpy(np.flatnonzero(networks == number))]
            # Features and logits together, so that the head runs in the same number format.
            both = predict(partial(_stack_outputs, model), asked, precision=self.precision).numpy()
            features.append(both[:, : model.feature_size])
            parts.append(softmax(both[:, model.feature_size :] / self.temperature))
        if networks is None:
            return np.mean(parts, axis=0), features
        return sum(_scatter_rows(part, networks == f, 0.0) for f, part in enumerate(parts)), [  # type: ignore[return-value]
            _scatter_rows(found, networks == f, np.nan) for f, found in enumerate(features)
        ]


def _scatter_rows(values: np.ndarray, chosen: np.ndarray, rest: float) -> np.ndarray:
    """[n, d]: the rows `values` [m, d], in order, where `chosen` bool [n] is true, and `rest` elsewhere."""
    spread = np.full((len(chosen), values.shape[1]), rest, values.dtype)
    spread[chosen] = values
    return spread


def _stack_outputs(model: Classifier, x: Tensor) -> Tensor:
    """Features and logits side by side, [n, d + K]."""
    features = model.features(x)
    return torch.cat([features, model.head(features)], dim=1)


def load_scorer(folder: Path) -> Scorer:
    """The scorer that `save_scorer` wrote."""
    config, tensors = read_json(folder / "config.json"), load_file(folder / "scorer.safetensors")
    network = SmallResNet.model_validate(config["network"])  # its stem is set, so the images' size is not stored
    models = []
    for fold in range(config["folds"]):
        model = Classifier(network, (config["channels"], 0, 0), config["classes"])
        prefix = f"{fold}/"
        model.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
        models.append(model.eval())
    return Scorer(tuple(models), config["temperature"], config["precision"], tensors[FOLDS].numpy())
