"""New ingredients, one for each interface: with a class and a line in each of two registries a recipe may name them.
Their settings are validated, a grid may try their numbers, and the trainer uses them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from pydantic import Field, ValidationError
from torch import Tensor, nn

from ops.classifiers import augmentations, losses, networks, pairings, samplers, trainers
from ops.classifiers.answering import predict
from ops.classifiers.data import TrainingSet, Views
from ops.classifiers.ingredients import Augmentation, Budget, Head, Loss, Pairing, Sampler, Training
from ops.classifiers.networks.classifier import Classifier
from ops.classifiers.stored import load_classifier, save_classifiers
from ops.classifiers.trainers.supervised import fit_supervised
from ops.classifiers.training import train
from ops.recipe import arms
from ops.recipe.arms import Arm, Network, SmallResNet
from ops.recipe.classifiers import ClassifierSettings
from ops.recipe.grid import GridSettings, Setting, set_numbers
from ops.settings.kinds import Kind

BUDGET = ClassifierSettings(steps=6, batch_size=8, network=SmallResNet(width=4), precision="fp32")


class Late(Kind):
    """Settings of an example kind that begins at a share of the steps."""

    kind: Literal["late"] = "late"
    start: float = Field(0.5, ge=0, le=1)


class Plain(Network):
    kind: Literal["toy"] = "toy"


class ScaledHead(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


class LateMargin(Loss):
    """Logits of rare classes are lowered from a step on, as by class-dependent margins that are deferred."""

    def __init__(self, settings: Late, data: TrainingSet, sampler: Sampler, budget: Budget, device: str) -> None:
        self.start = settings.start * budget.steps
        self.margins = torch.from_numpy(data.counts**-0.25).float()

    def __call__(self, logits: Tensor, targets: Tensor, step: int) -> Tensor:
        lowered = logits - targets * self.margins if step >= self.start else logits
        return nn.functional.cross_entropy(lowered, targets)

    @classmethod
    def head(cls, settings: Late) -> Head:
        return "scaled"


class LateBalance(Sampler):
    """Only class 0 at first, only class 2 from a step on."""

    def __init__(self, settings: Late, data: TrainingSet, budget: Budget) -> None:
        self.start, self.labels = settings.start * budget.steps, data.labels.numpy()

    def weights(self, step: int) -> np.ndarray:
        return (self.labels == (2 if step >= self.start else 0)).astype(float)


class OtherHalf(Pairing):
    """Each image is averaged with another one of the whole set; labels stay, as in SamplePairing."""

    def __init__(self, settings: Late, data: TrainingSet, budget: Budget) -> None:
        self.start = settings.start * budget.steps

    def pair(
        self, images: Tensor, targets: Tensor, views: Views, step: int, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        if step < self.start:
            return images, targets
        others, _ = views.look(rng.integers(len(views.data.labels), size=len(images)))
        return (images + others) / 2, targets


ADVANCED: list[float] = []


class Negative(Augmentation):
    def __init__(self, settings: Plain, side: tuple[int, int]) -> None:
        self.side = side

    def __call__(self, images: Tensor) -> Tensor:
        assert images.shape[2:] == self.side
        return -images

    def advance(self, done: float) -> None:
        ADVANCED.append(done)


class Means(nn.Module):
    """A network that sees only channel means."""

    def __init__(self, settings: Plain, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.feature_size, self.scale = shape[0], nn.Parameter(torch.ones(shape[0]))

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3)) * self.scale


def fit_twice(training: Training) -> Classifier:
    """A trainer with phases of its own."""
    fit_supervised(training)
    return fit_supervised(training)


@pytest.fixture(autouse=True)
def _register(monkeypatch: pytest.MonkeyPatch) -> None:
    for registry, name, section in (
        (arms.LOSSES, "late", Late), (arms.SAMPLERS, "late", Late), (arms.PAIRINGS, "late", Late),
        (arms.AUGMENTATIONS, "toy", Plain), (arms.NETWORKS, "toy", Plain), (arms.TRAINERS, "toy", Plain),
        (losses.LOSSES, "late", LateMargin), (samplers.SAMPLERS, "late", LateBalance),
        (pairings.PAIRINGS, "late", OtherHalf), (augmentations.AUGMENTATIONS, "toy", Negative),
        (networks.BODIES, "toy", Means), (networks.HEADS, "scaled", ScaledHead), (trainers.TRAINERS, "toy", fit_twice),
    ):  # fmt: skip
        monkeypatch.setitem(registry, name, section)


def make_toys() -> TrainingSet:
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat([0, 1, 2], [12, 8, 4]))
    images = (rng.integers(0, 60, (24, 1, 12, 12)) + 60 * labels[:, None, None, None]).astype(np.uint8)
    return TrainingSet(torch.from_numpy(images), torch.from_numpy(labels), np.ones(24), 3)


def train_toys(arm: Arm, **changes: Any) -> tuple[Classifier, list[float]]:
    found: list[float] = []
    model = train(
        make_toys(), arm, BUDGET.model_copy(update=changes), learning_rate=0.01, weight_decay=0.0, seed=3,
        on_step=lambda step, loss: found.append(loss),
    )  # fmt: skip
    return model, found


def test_a_recipe_may_name_them_and_their_keys_are_strict() -> None:
    arm = Arm.model_validate({"loss": {"kind": "late", "start": 0.8}, "sampler": "late"})
    assert arm.model_dump()["loss"] == {"kind": "late", "start": 0.8}
    assert Arm.model_validate(arm.model_dump()) == arm
    for keys in ({"kind": "late", "start": 2}, {"kind": "late", "end": 1}, {"kind": "plain", "start": 0.5}):
        with pytest.raises(ValidationError):
            Arm.model_validate({"loss": keys})


def test_a_grid_may_name_their_numbers() -> None:
    grid = GridSettings.model_validate({"loss.start": [0.1, 0.5], "sampler.late.start": [1.0]})
    arm = Arm.model_validate({"loss": "late"})
    settings = grid.list_settings(arm, is_expanded=False)
    assert [setting["loss.start"] for setting in settings] == [0.1, 0.5]
    assert settings[0].get("sampler.late.start") is None
    assert set_numbers(arm, settings[0]).loss == Late(start=0.1)
    with pytest.raises(ValueError, match=r"loss\.start: input should be less than or equal to 1; got 7\.0"):
        set_numbers(arm, Setting((("loss.start", 7.0),)))


def test_a_loss_knows_counts_and_step_and_chooses_the_stored_head(tmp_path: Path) -> None:
    late, loss = train_toys(Arm.model_validate({"loss": "late"}))
    _, never = train_toys(Arm.model_validate({"loss": {"kind": "late", "start": 1.0}}))
    assert loss[:3] == never[:3] and loss[3] > never[3]  # margins come with step 3 of 6, and cost something
    save_classifiers(tmp_path / "arm", {3: late.state_dict()}, late.description)
    again = load_classifier(tmp_path / "arm", 3)
    assert isinstance(again.head, ScaledHead)
    images = make_toys().images
    assert torch.equal(predict(again, images, precision="fp32"), predict(late, images, precision="fp32"))


def test_a_sampler_may_change_at_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, look = [], Views.look
    monkeypatch.setattr(Views, "look", lambda self, index: shown.append(set(index)) or look(self, index))
    train_toys(Arm.model_validate({"sampler": "late"}))
    labels = make_toys().labels.numpy()
    assert [set(labels[list(rows)]) for rows in shown] == [{0}] * 3 + [{2}] * 3


def test_a_pairing_sees_the_whole_set_and_the_step() -> None:
    plain, paired = train_toys(Arm())[1], train_toys(Arm.model_validate({"pairing": "late"}))[1]
    assert plain[:3] == paired[:3] and plain[3] != paired[3]


def test_a_new_augmentation_network_and_trainer_are_used() -> None:
    network = ClassifierSettings.model_validate({"network": "toy"}).network
    model, first = train_toys(Arm.model_validate({"trainer": "toy", "augmentation": "toy"}), network=network)
    assert isinstance(model.body, Means) and model.description["network"] == {"kind": "toy", "standardise": "none"}
    assert len(first) == 12 and first[:6] == first[6:]
    assert first != train_toys(Arm(), network=network)[1]


def test_an_augmentation_is_told_what_share_of_the_steps_is_done() -> None:
    ADVANCED.clear()
    train_toys(Arm.model_validate({"augmentation": "toy"}))
    assert [step / 6 for step in range(6)] == ADVANCED
