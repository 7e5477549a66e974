"""Arms that begin with a prior's encoder: the probe against scikit-learn, the slower encoder, and what is stored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from ops.classifiers.data import TrainingSet
from ops.classifiers.ingredients import Training, Validation
from ops.classifiers.networks.classifier import Classifier, normalise
from ops.classifiers.networks.prior_encoder import open_encoder
from ops.classifiers.reference import fitting
from ops.classifiers.reference.fitting import STRENGTHS
from ops.classifiers.runs import read_weights
from ops.classifiers.stored import load_classifier, save_classifiers
from ops.classifiers.trainers.fine_tuned import build_in_two, start_with_encoder
from ops.classifiers.training import train
from ops.errors import DamagedData
from ops.generators.encoding import EncodingKind
from ops.generators.folder import WEIGHTS
from ops.generators.instance.network import build_networks
from ops.generators.latent.network import build_latent_flow
from ops.generators.registry import KINDS
from ops.generators.stored_network import save_network
from ops.recipe.arms import Arm, SmallResNet
from ops.recipe.classifiers import ClassifierSettings
from ops.recipe.kinds import PRIORS
from ops.training.loop import Learner

SHARED = {
    "class_names": [], "labelled": False, "drops_labels": False, "channels": 1, "height": 12, "width": 12,
    "widths": [8], "layers_per_block": 1, "unshuffle": 1, "dropout": 0.0, "conditions": 0,
}  # fmt: skip
CONFIGS: dict[str, dict[str, Any]] = {
    "instance": {**SHARED, "kind": "instance", "features": 4, "encoder_widths": [8, 16]},
    "latent": {
        **SHARED, "kind": "latent", "latent_shape": [2, 3, 3], "halvings": 2, "autoencoder_width": 8,
        "autoencoder_blocks": 1,
    },
}  # fmt: skip
BUILDS: dict[str, Callable[[dict[str, Any]], nn.Module]] = {"instance": build_networks, "latent": build_latent_flow}
BUDGET = ClassifierSettings(steps=4, batch_size=8, network=SmallResNet(width=4), precision="fp32")


def make_toys(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noise with a bright part, whose place is the class."""
    rng = np.random.default_rng(seed)
    images, labels = rng.integers(0, 160, (count, 1, 12, 12)), np.arange(count) % 3
    for image, label in zip(images, labels, strict=True):
        image[0, 4 * label : 4 * label + 4] += 60
    return torch.from_numpy(images.astype(np.uint8)), torch.from_numpy(labels)


DATA = TrainingSet(*make_toys(24, 0), np.ones(24), 3)
HELD = make_toys(30, 1)
VALIDATION = Validation(HELD[0], HELD[1].numpy(), "accuracy")


@pytest.fixture(scope="module", params=["instance", "latent"])
def prior(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prior that was not trained: its encoder is a random one."""
    folder: Path = tmp_path_factory.mktemp(request.param)
    torch.manual_seed(0)
    save_network(folder, BUILDS[request.param](CONFIGS[request.param]), CONFIGS[request.param])
    return folder


def fit(prior: Path, trainer: Any, seed: int = 3, **keys: Any) -> Classifier:
    arm = Arm.model_validate({"trainer": trainer, **keys})
    return train(DATA, arm, BUDGET, learning_rate=0.02, weight_decay=0.1, seed=seed, prior=prior, validation=VALIDATION)


def test_kinds_say_whether_they_have_an_encoder() -> None:
    for name, settings in PRIORS.items():
        assert settings.encodes == isinstance(KINDS[name], EncodingKind)


def test_a_probe_is_the_logistic_regression_on_the_encoders_features_that_is_best_on_validation(
    prior: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "ROUNDS", 2000)
    monkeypatch.setattr(fitting, "TOLERANCE", 1e-8)
    network = fit(prior, "probe")
    _, encoder = open_encoder(prior)
    with torch.no_grad():
        seen, held = (encoder(normalise(images)).numpy().astype(np.float64) for images in (DATA.images, HELD[0]))
        logits = network(normalise(HELD[0]))
    mean, scale = seen.mean(axis=0), np.maximum(seen.std(axis=0), 1e-3 * seen.std(axis=0).max())
    tried = []
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength / seen.shape[1], max_iter=2000, tol=1e-8)
        model.fit((seen - mean) / scale, DATA.labels.numpy())
        answers = model.predict_proba((held - mean) / scale)
        right = float((answers.argmax(axis=1) == HELD[1].numpy()).mean())
        loss = -np.log(np.maximum(answers[np.arange(30), HELD[1].numpy()], 1e-9)).mean()
        tried.append((right, -loss, answers))
    best = max(tried, key=lambda each: each[:2])[2]
    assert np.abs(logits.double().softmax(dim=1).numpy() - best).max() < 0.02


def test_a_probe_without_views_is_the_same_for_all_seeds_and_leaves_the_encoder_as_it_is(prior: Path) -> None:
    one, other = fit(prior, {"kind": "probe", "views": 0}, augmentation="flip_crop"), fit(prior, "probe", seed=4)
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())
    varied = fit(prior, "probe", augmentation="flip_crop")
    assert not torch.equal(varied.head.weight, one.head.weight)
    _, encoder = open_encoder(prior)
    found = varied.body.encoder.state_dict()
    assert all(torch.equal(value, found[name]) for name, value in encoder.state_dict().items())


def test_the_encoder_learns_more_slowly_than_the_last_layer(prior: Path) -> None:
    """One step of SGD: a parameter moves by its share of the rate times 1.9 of its gradient, Nesterov's first step."""
    training = Training(DATA, Arm(trainer="fine_tuned"), BUDGET, 0.5, 0.0, 3, prior=prior)
    torch.manual_seed(0)
    network = start_with_encoder(training).train()
    optimizers = build_in_two(network, 0.5, 0.0, optimizer="sgd", share=0.1)

    def find_loss(step: int) -> Tensor:
        return nn.functional.cross_entropy(network(normalise(DATA.images)), DATA.labels)

    learner = Learner(network, find_loss, optimizers, lambda step: {"lr": 0.5})
    learner.find_gradient(0)
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    gradients = {name: value.grad for name, value in network.named_parameters()}
    for move in learner.list_moves(0, {}, None):
        move()
    for name, value in network.named_parameters():
        share, gradient = (1.0 if name.startswith("head") else 0.1), gradients[name]
        if gradient is not None:
            torch.testing.assert_close(value.detach(), before[name] - 0.5 * share * 1.9 * gradient)


def test_features_have_mean_0_and_variance_1_on_the_training_images(prior: Path) -> None:
    network = start_with_encoder(Training(DATA, Arm(), BUDGET, 0.02, 0.1, 3, prior=prior))
    with torch.no_grad():
        features = network.features(normalise(DATA.images))
    torch.testing.assert_close(features.mean(dim=0), torch.zeros(features.shape[1]), atol=1e-4, rtol=0)
    assert float(features.std(dim=0, correction=0).max()) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("trainer", ["probe", "fine_tuned"])
def test_a_stored_network_answers_without_the_prior(prior: Path, trainer: str, tmp_path: Path) -> None:
    network = fit(prior, trainer)
    save_classifiers(tmp_path / "arm.safetensors", {3: read_weights(network)}, network.description)
    again = load_classifier(tmp_path / "arm.safetensors", 3)
    with torch.no_grad():
        images = normalise(HELD[0])
        assert torch.equal(again(images), network(images))


def test_an_encoder_with_damaged_weights_is_refused(prior: Path, tmp_path: Path) -> None:
    for path in prior.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes()[:200] if path.name == WEIGHTS else path.read_bytes())
    with pytest.raises(DamagedData, match=WEIGHTS):
        open_encoder(tmp_path)
