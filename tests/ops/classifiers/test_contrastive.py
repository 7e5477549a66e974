"""A contrastive arm becomes a classifier: no label reaches its features, real labels alone reach its probe."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ops.classifiers.answering import predict, settle_undefined
from ops.classifiers.augmentations.gridmask import HiddenGrid
from ops.classifiers.data import TrainingSet
from ops.classifiers.examples import Examples
from ops.classifiers.ingredients import Validation
from ops.classifiers.kept_trainings import KeptTrainings, hash_examples
from ops.classifiers.networks.classifier import Classifier, build_classifier
from ops.classifiers.runs import Contest, Run, train_runs
from ops.classifiers.trainers.contrastive import probe
from ops.classifiers.training import train
from ops.datasets.axes import to_nchw
from ops.datasets.pixels import read_split
from ops.machine.progress import Progress
from ops.recipe.arms import Arm, SmallResNet
from ops.recipe.classifiers import ClassifierSettings
from ops.recipe.grid import Setting

BUDGET = ClassifierSettings(steps=4, batch_size=8, network=SmallResNet(width=4), precision="fp32")
KINDS = ("simclr", "moco", "byol", "barlow_twins")
ROOT = Path(__file__).parents[3]


def draw_images(count: int, seed: int) -> Tensor:
    return torch.randint(0, 256, (count, 1, 12, 12), generator=torch.Generator().manual_seed(seed)).byte()


MARKS = np.arange(40) >= 24
DATA = TrainingSet(draw_images(40, 0), torch.arange(40) % 3, np.where(MARKS, 1.0, 2.0), 3, MARKS)
VALIDATION = Validation(draw_images(12, 1), np.arange(12) % 3, "accuracy")


def fit(kind: str, data: TrainingSet = DATA, budget: ClassifierSettings = BUDGET, **keys: Any) -> Classifier:
    arm = Arm.model_validate({"trainer": {"kind": kind, "batch_size": 12}})
    return train(data, arm, budget, learning_rate=0.02, weight_decay=0.1, seed=5, validation=VALIDATION, **keys)


def states_equal(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    return all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


@pytest.mark.parametrize("kind", KINDS)
def test_features_follow_from_images_and_seed_and_from_no_label(kind: str) -> None:
    network = fit(kind)
    other = fit(kind, replace(DATA, labels=(DATA.labels + 1) % 3))
    assert states_equal(network.body, other.body) and not torch.equal(network.head.weight, other.head.weight)
    again = fit(kind)
    assert states_equal(network, again) and not network.training
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())


def test_the_probe_sees_labels_of_real_images_alone() -> None:
    labels = torch.where(torch.from_numpy(MARKS), 2 - DATA.labels, DATA.labels)
    assert states_equal(fit("simclr"), fit("simclr", replace(DATA, labels=labels)))


def test_images_without_labels_are_learnt_from_and_teach_no_probe() -> None:
    known = np.arange(40) < 12  # of 24 real ones
    some = replace(DATA, labels=torch.where(torch.from_numpy(known), DATA.labels, torch.tensor(-1)))
    told = dict[str, float]()
    network = fit("simclr", some, on_diagnosis=told.__setitem__)
    assert states_equal(network.body, fit("simclr").body) and set(told) == {"online_probe", "nearest_neighbours"}
    others = some.images.clone()
    others[20] = 255 - others[20]
    assert not states_equal(network.body, fit("simclr", replace(some, images=others)).body)
    features = [predict(network.features, part, precision="fp32").numpy() for part in (DATA.images, VALIDATION.images)]
    alone = Classifier(BUDGET.network, (1, 12, 12), 3)
    probe(alone, features[0][known], DATA.labels.numpy()[known], features[1], VALIDATION)
    torch.testing.assert_close(network.head.weight, alone.head.weight)


def test_an_arm_that_learns_from_labels_is_shown_no_image_without_one() -> None:
    marks = np.arange(8) >= 6
    images, labels = np.arange(8, dtype=np.uint8)[:, None, None, None], np.array([0, 1, 0, -1, -1, -1, -1, -1])
    examples = Examples(images, labels, np.where(marks, 1.0, 4.0), marks, turns=np.array([*[-1] * 6, 0, 1]))
    alone = Examples(images[:3], labels[:3], np.full(3, 4.0))
    plain, simclr = Arm(), Arm.model_validate({"trainer": "simclr"})
    assert examples.build_set(plain, 2, 0).images.flatten().tolist() == [0, 1, 2]
    assert len(examples.build_set(simclr, 2, 0).images) == 8
    assert [sizes.tolist() for sizes in examples.list_sizes(plain)] == [[2.0, 1.0]]
    assert hash_examples(replace(examples, is_generated=None), plain) == hash_examples(alone, plain)
    assert examples.weigh(simclr.model_copy(update={"ratio": 1 / 6})).tolist() == [*[4.0] * 6, 1.0, 0.0]


def test_generated_images_are_learnt_from() -> None:
    images = DATA.images.clone()
    images[-1] = 255 - images[-1]
    assert not states_equal(fit("simclr").body, fit("simclr", replace(DATA, images=images)).body)


def test_a_network_that_diverged_ends_as_one_that_finds_all_alike() -> None:
    network = train(
        DATA, Arm.model_validate({"trainer": {"kind": "simclr", "batch_size": 12}}), BUDGET,
        learning_rate=1e12, weight_decay=0.1, seed=5, validation=VALIDATION,
    )  # fmt: skip
    answers = settle_undefined(predict(network, VALIDATION.images, precision="fp32"))
    assert torch.isfinite(network.head.weight).all() and answers.shape == (12, 3)


def test_an_augmentation_is_told_how_far_the_training_is(monkeypatch: pytest.MonkeyPatch) -> None:
    told = list[float]()
    monkeypatch.setattr(HiddenGrid, "advance", lambda grid, done: told.append(done))
    trainer = {"kind": "simclr", "batch_size": 12}
    arm = Arm.model_validate({"trainer": trainer, "augmentation": {"kind": "gridmask", "ramp": 0.8}})
    train(DATA, arm, BUDGET, learning_rate=0.02, weight_decay=0.1, seed=5, validation=VALIDATION)
    assert told == [0.0, 0.25, 0.5, 0.75]


def test_diagnostics_are_named_and_loss_and_steps_are_told() -> None:
    found, losses = dict[str, float](), list[float]()
    fit("simclr", on_diagnosis=found.__setitem__, on_step=lambda step, loss: losses.append(loss))
    assert set(found) == {"online_probe", "nearest_neighbours"} and all(0 <= value <= 1 for value in found.values())
    assert len(losses) == 4 and all(np.isfinite(losses))


def test_the_head_is_the_regression_on_standardised_features() -> None:
    torch.manual_seed(0)
    network = Classifier(SmallResNet(width=4), (1, 12, 12), 3).eval()
    labels = np.arange(60) % 3
    features = (np.random.default_rng(0).normal(size=(60, 8)) * [1, 10, 0.1, 1, 1, 1, 1, 1e-9]).astype(np.float32)
    features[:, 1] += 30 * labels
    validation = Validation(draw_images(60, 2), labels, "accuracy")
    probe(network, features, labels, features, validation)
    answers = network.head(torch.from_numpy(features)).argmax(dim=1).numpy()
    assert (answers == labels).mean() > 0.95


def test_a_class_without_real_images_is_never_answered() -> None:
    network = fit("byol", replace(DATA, labels=torch.where(torch.from_numpy(MARKS), 2, DATA.labels % 2)))
    assert set(predict(network, VALIDATION.images).argmax(dim=1).tolist()) <= {0, 1}


def test_clean_statistics_are_those_of_real_images() -> None:
    plain = fit("simclr")
    clean = fit("simclr", budget=BUDGET.model_copy(update={"clean_statistics": True}))
    names = [name for name, _ in plain.body.named_parameters()]
    assert all(torch.equal(plain.body.state_dict()[name], clean.body.state_dict()[name]) for name in names)
    assert not states_equal(plain.body, clean.body)


def test_a_run_keeps_its_diagnostics_and_is_found_again(tmp_path: Path) -> None:
    examples = Examples(DATA.images.numpy(), DATA.labels.numpy(), DATA.weights, MARKS)
    arm = Arm.model_validate({"trainer": {"kind": "simclr", "batch_size": 12}, "beta": 0.4})
    setting = Setting((("learning_rate", 0.02), ("weight_decay", 0.1)))
    for folder in ("one", "other"):
        contest = Contest(
            {"x": arm}, (examples,), 7, (VALIDATION.images.numpy(), VALIDATION.labels), BUDGET, "accuracy", 3,
            tmp_path / folder, kept=KeptTrainings(tmp_path / "kept", "1"),
        )  # fmt: skip
        lines = list[str]()
        (result,) = train_runs(contest, [Run("x", setting, 7)], 1, Progress(lines.append, "x", 1, "runs")).values()
        assert set(result.diagnostics) == {"online_probe", "nearest_neighbours"}
        assert any("kept from earlier" in line for line in lines) == (folder == "other")
    assert build_classifier(result.description).description == result.description


STEPS = 250  # of 128 images
FAST: dict[str, dict[str, Any]] = {"byol": {"decay": 0.9}}  # published decays are for a hundred thousand steps


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_each_method_beats_random_features_on_fashion_mnist(kind: str) -> None:
    """By more than three standard errors of paired answers to 1,000 held-out images; seconds of a core."""
    real, held = (read_split(ROOT / "examples" / "fashion-mnist", split) for split in ("train", "validation"))
    images, labels = torch.tensor(to_nchw(real.images)), torch.tensor(real.labels)
    data = TrainingSet(images, labels, np.ones(len(labels)), 10)
    validation = Validation(torch.tensor(to_nchw(held.images)), held.labels, "accuracy")
    arm = Arm.model_validate({"trainer": {"kind": kind, "batch_size": 128, **FAST.get(kind, {})}})

    def answer(steps: int, rate: float) -> np.ndarray:
        budget = ClassifierSettings(steps=steps, network=SmallResNet(width=16))
        network = train(
            data, arm, budget, learning_rate=rate, weight_decay=0.1, seed=0, validation=validation
        )  # fmt: skip
        return predict(network, validation.images).argmax(dim=1).numpy() == held.labels

    gains = answer(STEPS, 0.02).astype(float) - answer(1, 0.0)
    assert gains.mean() > 3 * gains.std(ddof=1) / np.sqrt(len(gains))
