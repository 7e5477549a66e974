"""Last layers that are fitted again: features of known distributions, counts, and what stays of the network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ops.classifiers.data import TrainingSet
from ops.classifiers.networks.classifier import Classifier
from ops.classifiers.trainers.feature_flow import draw_features
from ops.classifiers.trainers.features import read_features, refit_head
from ops.classifiers.trainers.refitted import count_wanted
from ops.classifiers.training import train
from ops.recipe.arms import Arm, Mlp, SmallResNet
from ops.recipe.classifiers import ClassifierSettings
from ops.recipe.ingredients.trainers import FeatureDiffusionTrainer

BUDGET = ClassifierSettings(steps=4, batch_size=8, network=SmallResNet(width=4), precision="fp32")


def make_uneven(counts: tuple[int, ...] = (40, 12, 4)) -> TrainingSet:
    rng, labels = np.random.default_rng(0), np.repeat(np.arange(len(counts)), counts)
    images = (80 * labels[:, None, None, None] + rng.integers(0, 60, (len(labels), 1, 8, 8))).astype(np.uint8)
    return TrainingSet(torch.from_numpy(images), torch.from_numpy(labels), np.ones(len(labels)), len(counts))


def test_drawn_features_have_the_distribution_of_their_class() -> None:
    noise = torch.randn(440, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.cat([torch.zeros(400), torch.ones(40)]).long()
    spread = torch.tensor([0.5, 1.0])[labels][:, None]
    features = torch.where(labels[:, None] == 0, -4.0, 6.0) + spread * noise
    before = torch.get_rng_state()
    found, told = draw_features(features, labels, np.ones(440), torch.tensor([150, 100]), steps=200, seed=0)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.bincount(told).tolist() == [150, 100]
    for label in (0, 1):
        own, real = found[told == label], features[labels == label]
        torch.testing.assert_close(own.mean(dim=0), real.mean(dim=0), rtol=0, atol=0.4)
        torch.testing.assert_close(own.std(dim=0), real.std(dim=0), rtol=0.35, atol=0)


def test_drawn_features_follow_the_weights_within_a_class() -> None:
    """Of 300 features 30 are real, of one value, and weigh 20; generated ones lie elsewhere."""
    noise = torch.randn(300, 4, generator=torch.Generator().manual_seed(0))
    is_real = np.arange(300) < 30
    features = torch.where(torch.from_numpy(is_real)[:, None], 3.0, -3.0) + 0.3 * noise
    weights, labels = np.where(is_real, 20.0, 1.0), torch.zeros(300, dtype=torch.int64)
    found, _ = draw_features(features, labels, weights, torch.tensor([400]), steps=200, seed=0)
    near_real = (found.mean(dim=1) > 0).float().mean()
    assert float(near_real) == pytest.approx(600 / 870, abs=0.08)


def test_without_a_generated_feature_the_last_layer_is_fitted_again_on_those_of_the_images() -> None:
    data = make_uneven()
    assert count_wanted(data, FeatureDiffusionTrainer(share=0)).tolist() == [0, 0, 0]
    keys = {"kind": "feature_diffusion", "epochs": 3, "share": 0}
    first, again = (
        train(data, Arm.model_validate({"trainer": each}), BUDGET, learning_rate=0.01, weight_decay=0.1, seed=1)
        for each in ("supervised", keys)
    )
    refit_head(first, read_features(first, data, "fp32", "cpu"), data.labels, data.weights, epochs=3, seed=1)
    assert all(torch.equal(first.state_dict()[name], again.state_dict()[name]) for name in first.state_dict())


def test_a_last_layer_on_balanced_features_has_its_boundary_between_the_classes() -> None:
    """Two classes of features N(±1, 1), 19:1. Bayes' boundary is ln(19) / 2 = 1.47 as drawn, and 0 where balanced."""
    rng, labels = np.random.default_rng(0), np.repeat([0, 1], [1900, 100])
    features = torch.from_numpy(rng.normal(np.where(labels == 0, -1.0, 1.0), 1.0)).float()[:, None]
    counts = np.bincount(labels)
    for weights, expected in ((np.ones(len(labels)), np.log(19) / 2), (1.0 / counts[labels], 0.0)):
        network = Classifier(Mlp(widths=(1,)), (1, 1, 1), 2)
        with torch.no_grad():  # where slope and boundary of the balanced problem are
            network.head.weight[:], network.head.bias[:] = torch.tensor([[-1.0], [1.0]]), 0.0
        refit_head(network, features, torch.from_numpy(labels), weights, epochs=1000, seed=0)
        slope, offset = (
            value.detach()[1] - value.detach()[0] for value in (network.head.weight[:, 0], network.head.bias)
        )
        assert float(-offset / slope) == pytest.approx(expected, abs=0.25)


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        (FeatureDiffusionTrainer(), [8, 5, 5, 0]),
        (FeatureDiffusionTrainer(share=1.5), [60, 18, 6, 0]),
        (FeatureDiffusionTrainer(fill="equalise"), [0, 28, 36, 0]),
    ],
)
def test_features_are_generated_by_share_or_up_to_the_largest_class(
    settings: FeatureDiffusionTrainer, wanted: list[int]
) -> None:
    data = make_uneven()
    more = TrainingSet(data.images, data.labels, data.weights, 4)  # a class without images gets none
    assert count_wanted(more, settings).tolist() == wanted


def test_a_generated_image_counts_as_a_part_of_a_real_one() -> None:
    labels = torch.from_numpy(np.repeat([0, 1], [100, 100]))
    weights = np.where(np.arange(200) < 110, 10.0, 1.0)  # class 1 has 10 real images, and 90 generated ones for 9 more
    data = TrainingSet(torch.zeros(200, 1, 8, 8, dtype=torch.uint8), labels, weights, 2)
    assert count_wanted(data, FeatureDiffusionTrainer(fill="equalise")).tolist() == [0, 81]


@pytest.mark.parametrize("kind", ["refitted", "feature_diffusion"])
def test_only_the_last_layer_is_fitted_again(kind: str) -> None:
    keys = {"kind": kind, "epochs": 3} | ({"steps": 5} if kind == "feature_diffusion" else {})
    networks = [
        train(make_uneven(), arm, BUDGET, learning_rate=0.01, weight_decay=0.1, seed=1)
        for arm in (Arm(), *[Arm.model_validate({"trainer": keys})] * 2)
    ]
    first, refitted, again = (network.state_dict() for network in networks)
    changed = {name for name in first if not torch.equal(first[name], refitted[name])}
    assert changed == {"head.weight", "head.bias"}
    assert all(torch.equal(refitted[name], again[name]) for name in first)
