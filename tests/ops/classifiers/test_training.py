"""Classifier training: equal starts and budgets, toy data."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ops.classifiers import lessons
from ops.classifiers.answering import predict
from ops.classifiers.data import TrainingSet
from ops.classifiers.networks.classifier import Classifier, normalise
from ops.classifiers.sampling import iterate_batches
from ops.classifiers.stored import load_classifier, save_classifiers
from ops.classifiers.training import train
from ops.recipe.arms import Arm, Mlp, ResNet18, SmallResNet
from ops.recipe.classifiers import ClassifierSettings as Budget
from tests.networks import small_resnet

BUDGET = Budget(steps=40, batch_size=16, network=SmallResNet(width=8), precision="fp32")
ARMS = {
    "plain": Arm(),
    "flip_crop": Arm(augmentation="flip_crop"),
    "randaugment": Arm(augmentation="randaugment"),
    "mixup": Arm(pairing="mixup"),
    "cutmix": Arm(pairing="cutmix"),
    "samplepairing": Arm(pairing="samplepairing"),
    "balanced": Arm(sampler="class_balanced"),
    "weighted": Arm(loss="class_weighted"),
    "tail": Arm(pairing="mixup", sampler={"kind": "square_root", "start": 0.5}, loss="logit_adjusted"),
    "effective": Arm(sampler="effective_number", loss={"kind": "effective_number", "start": 0.5}),
    "focal": Arm(pairing="mixup", loss="focal"),
    "all": Arm(augmentation="flip_crop", pairing="mixup", sampler="class_balanced", loss="class_weighted"),
}


def make_toys(counts: tuple[int, ...] = (30, 20, 10), seed: int = 0) -> TrainingSet:
    """Class c has its bright stripe in the c-th third of the rows: separable, also after flips and small shifts."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    images = rng.integers(0, 60, (len(labels), 1, 12, 12))
    for image, label in zip(images, labels, strict=True):
        image[0, 4 * label : 4 * label + 4] += 150
    return TrainingSet(
        torch.from_numpy(images.astype(np.uint8)), torch.from_numpy(labels), np.ones(len(labels)), len(counts)
    )


def train_toys(arm: Arm, *, seed: int = 1, learning_rate: float = 0.05, budget: Budget = BUDGET) -> Classifier:
    return train(make_toys(), arm, budget, learning_rate=learning_rate, weight_decay=5e-4, seed=seed)


def have_same_parameters(one: nn.Module, other: nn.Module, tolerance: float = 0.0) -> bool:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.allclose(a, b, rtol=0, atol=tolerance) for a, b in pairs)


@pytest.mark.parametrize("name", ["plain", "randaugment", "all"])
def test_the_same_seed_gives_the_same_weights_and_another_gives_others(name: str) -> None:
    budget = BUDGET.model_copy(update={"steps": 8})
    first = train_toys(ARMS[name], budget=budget)
    np.random.seed(99)  # nothing may come from here
    again, other = train_toys(ARMS[name], budget=budget), train_toys(ARMS[name], seed=2, budget=budget)
    for (key, one), (_, two) in zip(first.state_dict().items(), again.state_dict().items(), strict=True):
        assert torch.equal(one, two), key
    assert not have_same_parameters(first, other)


def test_arms_that_share_a_seed_start_from_the_same_weights() -> None:
    # After one step of 1e-30 the weights are still what training started from, and zeros are 1e-30.
    budget = BUDGET.model_copy(update={"steps": 1})
    starts = {name: train_toys(arm, learning_rate=1e-30, budget=budget) for name, arm in ARMS.items()}
    for name, start in starts.items():
        assert have_same_parameters(start, starts["plain"], 1e-28), name
    assert not have_same_parameters(
        train_toys(Arm(), seed=2, learning_rate=1e-30, budget=budget), starts["plain"], 1e-28
    )
    torch.manual_seed(1)
    assert have_same_parameters(starts["plain"], small_resnet(1, 3, 8), 1e-28)
    other_head = train_toys(Arm(loss="ldam"), learning_rate=1e-30, budget=budget)
    assert have_same_parameters(other_head.body, starts["plain"].body, 1e-28)


@pytest.mark.parametrize("name", list(ARMS))
def test_every_arm_takes_exactly_the_steps_of_the_budget(name: str) -> None:
    steps: list[int] = []
    budget = BUDGET.model_copy(update={"steps": 6})
    train(make_toys(), ARMS[name], budget, learning_rate=0.05, weight_decay=0, seed=0,
          on_step=lambda step, loss: steps.append(step))  # fmt: skip
    assert steps == list(range(1, 7))


@pytest.mark.parametrize(
    "steps",
    [1, 2, 3, 4, 5, 6, 7],
)
def test_any_number_of_steps_can_be_trained(steps: int) -> None:
    train_toys(Arm(), budget=BUDGET.model_copy(update={"steps": steps}))


def test_the_class_balanced_sampler_shows_every_class_equally_often(monkeypatch: pytest.MonkeyPatch) -> None:
    data, seen = make_toys((30, 20, 10)), []

    def record(*arguments: Any) -> Iterator[np.ndarray]:
        for batch in iterate_batches(*arguments):
            seen.append(data.labels.numpy()[batch])
            yield batch

    monkeypatch.setattr(lessons, "iterate_batches", record)
    shares = {}
    for sampler in ("uniform", "class_balanced"):
        seen.clear()
        arm = Arm.model_validate({"sampler": sampler})
        train(data, arm, BUDGET, learning_rate=0.05, weight_decay=0, seed=0)
        shares[sampler] = np.bincount(np.concatenate(seen)) / (BUDGET.steps * BUDGET.batch_size)
    np.testing.assert_allclose(shares["uniform"], [1 / 2, 1 / 3, 1 / 6], atol=0.03)
    np.testing.assert_allclose(shares["class_balanced"], [1 / 3] * 3, atol=0.03)


@pytest.mark.parametrize(("smoothing", "loss"), [(0.0, "plain"), (0.1, "plain"), (0.1, "class_weighted")])
def test_the_first_loss_equals_cross_entropy_written_out(smoothing: float, loss: str) -> None:
    data, losses = make_toys(), []
    budget = BUDGET.model_copy(update={"steps": 1, "label_smoothing": smoothing})
    train(data, Arm.model_validate({"loss": loss}), budget, learning_rate=0.1, weight_decay=0, seed=4,
          on_step=lambda step, value: losses.append(value))  # fmt: skip
    torch.manual_seed(4)
    model = small_resnet(1, 3, 8).train()
    index = torch.from_numpy(next(iterate_batches(lambda step: data.weights, 16, 1, 4)))
    log_p = model(normalise(data.images[index])).log_softmax(1).detach().numpy().astype(np.float64)
    target = np.eye(3)[data.labels[index].numpy()] * (1 - smoothing) + smoothing / 3
    weight = len(data.labels) / (3 * np.bincount(data.labels)) if loss == "class_weighted" else np.ones(3)
    assert losses == [pytest.approx(-(weight * target * log_p).sum(1).mean(), rel=1e-5)]


@pytest.mark.parametrize("name", ["plain", "flip_crop", "mixup", "all"])
def test_an_arm_learns_a_separable_set(name: str) -> None:
    model, fresh = train_toys(ARMS[name]), make_toys((40, 40, 40), seed=1)
    assert not model.training
    accuracy = (predict(model, fresh.images, precision="fp32").argmax(1) == fresh.labels).float().mean()
    assert float(accuracy) > 0.95


def test_the_heavier_of_two_contradicting_labels_wins() -> None:
    # The same pictures with two contradicting labels: the ten times heavier one wins.
    toys = make_toys((20, 20, 20))
    images, labels = torch.cat([toys.images] * 2), torch.cat([toys.labels, (toys.labels + 1) % 3])
    for heavy in (0, 1):
        weights = np.repeat([10.0, 1.0] if heavy == 0 else [1.0, 10.0], 60)
        model = train(
            TrainingSet(images, labels, weights, 3), Arm(), BUDGET, learning_rate=0.05, weight_decay=0, seed=0
        )
        answers = predict(model, toys.images, precision="fp32").argmax(1)
        assert float((answers == (toys.labels + heavy) % 3).float().mean()) > 0.9


def test_predictions_do_not_depend_on_the_batch_size() -> None:
    model, images = train_toys(Arm(), budget=BUDGET.model_copy(update={"steps": 2})), make_toys().images
    whole = predict(model, images, precision="fp32")
    assert whole.shape == (60, 3)
    assert whole.dtype == torch.float32
    torch.testing.assert_close(predict(model, images, precision="fp32", batch_size=7), whole, rtol=0, atol=1e-5)


def test_normalising_maps_grey_levels_to_minus_one_and_one() -> None:
    levels: Tensor = normalise(torch.tensor([0, 255], dtype=torch.uint8))
    assert levels.tolist() == [-1, 1]


@pytest.mark.parametrize("network", [SmallResNet(width=8), ResNet18(width=4), Mlp(widths=(32, 16))])
@pytest.mark.parametrize("optimizer", ["muon", "sgd"])
def test_every_network_learns_a_separable_set_and_is_rebuilt_from_its_description(
    network: Any, optimizer: str, tmp_path: Path
) -> None:
    model = train_toys(Arm(), budget=BUDGET.model_copy(update={"network": network, "optimizer": optimizer}))
    fresh = make_toys((40, 40, 40), seed=1)
    answers = predict(model, fresh.images, precision="fp32")
    assert float((answers.argmax(1) == fresh.labels).float().mean()) > 0.9
    save_classifiers(tmp_path / "a.safetensors", {7: model.state_dict()}, model.description)
    again = load_classifier(tmp_path / "a.safetensors", 7)
    assert again.description == model.description
    assert again.description["network"] == network.model_dump(mode="json")
    assert again.features(normalise(fresh.images)).shape == (120, again.feature_size)
    assert torch.equal(predict(again, fresh.images, precision="fp32"), answers)


def test_the_same_networks_are_the_same_bytes(tmp_path: Path) -> None:
    model = train_toys(Arm(), budget=BUDGET.model_copy(update={"steps": 1}))
    for name in ("a", "b"):
        save_classifiers(
            tmp_path / name, {seed: copy.deepcopy(model.state_dict()) for seed in (0, 1)}, model.description
        )
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
