"""Label-free scores of an encoder: known networks, the weights that a training began with, untouched draws."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ops.classifiers.data import TrainingSet
from ops.classifiers.ingredients import Training, Validation
from ops.classifiers.networks.classifier import Classifier, normalise
from ops.classifiers.trainers import contrastive
from ops.recipe.arms import Arm, SmallResNet
from ops.recipe.classifiers import ClassifierSettings
from ops.recipe.ingredients.views import Views
from ops.study import label_free
from ops.study.label_free import Encoder

IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (40, 1, 16, 16), dtype=np.uint8))
STILL = Views(crop=1.0, jitter=0.0, blur=0.0, flip=0.0, grey=0.0)  # each view is the image


def build_encoder(network: Classifier, augmentation: Views = STILL, seed: int = 3) -> Encoder:
    return Encoder(network, augmentation, seed, IMAGES, "fp32")


def build_network(seed: int = 5) -> Classifier:
    torch.manual_seed(seed)
    return Classifier(SmallResNet(width=8), (1, 16, 16), 2).eval()


class Constant(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.ones(len(x), 16)


def test_a_network_that_sees_all_alike_is_aligned_not_uniform_and_confuses_as_chance_does() -> None:
    network = build_network()
    network.body = Constant()
    scores = build_encoder(network).scores
    assert (scores.alignment, scores.uniformity) == (pytest.approx(0, abs=1e-12), pytest.approx(0, abs=1e-12))
    assert scores.relative_confusion == pytest.approx(3 / 159), "of 4 views of 40 images; untrained, views are equal"


def test_alignment_and_uniformity_are_of_the_same_views_whatever_the_arms_own() -> None:
    network = build_network()
    still, moved = (build_encoder(network, views).scores for views in (STILL, Views()))
    assert (still.alignment, still.uniformity) == (moved.alignment, moved.uniformity) and still.alignment > 0
    assert still.relative_confusion == pytest.approx(1), "equal views are never confused, before and after"
    assert moved.relative_confusion is not None and moved.relative_confusion > 0


def test_a_network_that_learnt_nothing_confuses_as_before_whatever_it_normalises_by() -> None:
    network = build_encoder(build_network(), seed=3).build_untrained()
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        assert norm.running_mean is not None and norm.running_var is not None
        norm.running_mean += 3.0
        norm.running_var *= 20.0
    kept = {name: value.clone() for name, value in network.state_dict().items()}
    assert norms and build_encoder(network, Views(), seed=3).scores.relative_confusion == 1.0
    assert all(torch.equal(value, kept[name]) for name, value in network.state_dict().items()), "a copy was changed"
    assert not network.training


def test_many_images_are_thinned_out_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_free, "IMAGES", 15)
    views = build_encoder(build_network())._view(STILL)
    assert views.shape == (4, 14, 1, 16, 16)
    torch.testing.assert_close(views[0], normalise(IMAGES[::3]), atol=1e-5, rtol=0)


def test_scores_leave_the_callers_random_numbers_as_they_were() -> None:
    encoder = build_encoder(build_network())
    torch.manual_seed(9)
    random.seed(9)
    expected = torch.rand(3).tolist(), random.random()
    torch.manual_seed(9)
    random.seed(9)
    assert encoder.scores == build_encoder(encoder.network).scores
    assert (torch.rand(3).tolist(), random.random()) == expected


def test_the_untrained_network_has_the_weights_that_the_training_began_with(monkeypatch: pytest.MonkeyPatch) -> None:
    first: dict[str, Tensor] = {}

    def note(network: Classifier, training: Training, online: object) -> None:
        first.update({name: value.clone() for name, value in network.body.named_parameters()})
        network.eval()

    monkeypatch.setattr(contrastive, "learn_views", note)
    labels = np.arange(40) % 2
    data = TrainingSet(IMAGES, torch.from_numpy(labels), np.ones(40), 2, None)
    settings = ClassifierSettings.model_validate({"steps": 2, "network": {"kind": "small_resnet", "width": 8}})
    network = _train(data, settings, labels)
    untrained = build_encoder(network, seed=11).build_untrained()
    assert first and all(torch.equal(value, first[name]) for name, value in untrained.body.named_parameters())
    other = build_encoder(network, seed=12).build_untrained()
    assert not all(torch.equal(value, first[name]) for name, value in other.body.named_parameters())


def _train(data: TrainingSet, settings: ClassifierSettings, labels: np.ndarray) -> Classifier:
    from ops.classifiers.training import train

    found = train(
        data,
        Arm.model_validate({"trainer": {"kind": "simclr", "batch_size": 8}}),
        settings,
        learning_rate=0.02,
        weight_decay=0.1,
        seed=11,
        validation=Validation(IMAGES, labels, "accuracy"),
    )
    assert isinstance(found, Classifier)
    return found
