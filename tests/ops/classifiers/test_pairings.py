"""The pairings of arms: schedules step by step, partners from the whole training set, reproducible trainings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ops.classifiers import pairings
from ops.classifiers.data import TrainingSet, Views
from ops.classifiers.ingredients import Pairing
from ops.classifiers.sampling import real_share
from ops.classifiers.training import train
from ops.recipe.arms import Arm, SmallResNet
from ops.recipe.classifiers import ClassifierSettings

SIDE = 8
SAMPLES = {"kind": "samplepairing"}


def make_set(real: int = 20, generated: int = 0, real_weight: float = 1.0) -> TrainingSet:
    """Black real images and white generated ones, of three classes."""
    images = torch.zeros(real + generated, 1, SIDE, SIDE, dtype=torch.uint8)
    images[real:] = 255
    weights = np.repeat([real_weight, 1.0], [real, generated])
    return TrainingSet(images, torch.arange(real + generated) % 3, weights, 3)


def build(settings: dict[str, Any], data: TrainingSet, steps: int) -> Pairing:
    section = Arm.model_validate({"pairing": settings}).pairing
    return pairings.PAIRINGS[section.kind](section, data, ClassifierSettings(steps=steps, batch_size=8))


def find_active(settings: dict[str, Any], steps: int) -> list[bool]:
    """At which steps images are changed; each pixel is noise, so that every change shows."""
    data = make_set()
    pairing, views = build(settings, data, steps), Views(data, torch.rand_like, "cpu")
    images, targets = torch.rand(8, 1, SIDE, SIDE), torch.eye(3)[torch.arange(8) % 3]
    rng = np.random.default_rng(0)
    return [not torch.equal(pairing.pair(images, targets, views, step, rng)[0], images) for step in range(steps)]


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_mixing_ends_at_its_share_of_the_steps(kind: str) -> None:
    settings = {"kind": kind, "alpha": 50.0, "per": "pair"}  # so that no batch is left as it is by chance
    assert find_active(settings | {"until": 0.7}, 10) == [True] * 7 + [False] * 3
    assert all(find_active(settings, 10))


@pytest.mark.parametrize("unit", [1, 1000, 290e6])
def test_samplepairing_keeps_the_published_schedule_in_any_unit(unit: float) -> None:
    """Off for 50 of 500 steps; then 4 on and 1 off, as 8 and 2 of 1,000 epochs; off from step 400 on."""
    keys = {"start": 0.1, "until": 0.8, "on_for": 0.008, "off_for": 0.002}
    scaled = {key: float(np.round(unit * share, 9)) for key, share in keys.items()}
    expected = [50 <= step < 400 and (step - 50) % 5 < 4 for step in range(500)]
    assert find_active(SAMPLES | scaled | {"total": float(unit)}, 500) == expected
    if unit == 1:
        assert find_active(SAMPLES, 500) == expected


def test_partners_are_seen_augmented_and_their_labels_are_ignored() -> None:
    data = make_set(0, 12)
    pairing = build(SAMPLES | {"start": 0.0, "partner": "different_class"}, data, 4)
    images, targets = torch.full((6, 1, SIDE, SIDE), 0.5), torch.eye(3)[torch.arange(6) % 3]
    mixed, soft = pairing.pair(images, targets, Views(data, torch.neg, "cpu"), 0, np.random.default_rng(0))
    assert torch.equal(mixed, torch.full_like(images, (0.5 - 1) / 2))  # white is 1 and is shown as -1
    assert torch.equal(soft, targets)


@pytest.mark.parametrize("real_weight", [1.0, 10.0])
def test_real_and_generated_images_are_partners_by_their_weights(real_weight: float) -> None:
    data = make_set(30, 150, real_weight)
    pairing = build(SAMPLES | {"start": 0.0}, data, 4)
    images = torch.zeros(20_000, 1, SIDE, SIDE)
    mixed, _ = pairing.pair(
        images, torch.eye(3)[torch.arange(20_000) % 3], Views(data, lambda x: x, "cpu"), 0, np.random.default_rng(0)
    )
    share = float((mixed[:, 0, 0, 0] < 0).float().mean())  # black is -1
    assert share == pytest.approx(real_share(real_weight, 30, 150), abs=0.01)


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_a_batch_of_real_and_generated_images_is_mixed_across_both(kind: str) -> None:
    data = make_set(4, 4)
    views = Views(data, lambda x: x, "cpu")
    images, targets = views.look(np.arange(8))
    settings = {"kind": kind, "per": "element", "alpha": 8.0}
    mixed, soft = build(settings, data, 1).pair(images, targets, views, 0, np.random.default_rng(1))
    means = mixed.mean(dim=(1, 2, 3))
    assert ((means > -1) & (means < 1)).any()
    torch.testing.assert_close(soft.sum(1), torch.ones(8))


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_a_part_of_one_image_stays_as_it_is(kind: str) -> None:
    data = make_set()
    pairing, views = build({"kind": kind}, data, 1), Views(data, lambda x: x, "cpu")
    images, targets = torch.rand(1, 1, SIDE, SIDE), torch.eye(3)[:1]
    found = pairing.pair(images, targets, views, 0, np.random.default_rng(0))
    assert torch.equal(found[0], images) and torch.equal(found[1], targets)


def train_noise(pairing: Any, seed: int = 3) -> list[Tensor]:
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (24, 1, 12, 12), dtype=np.uint8))
    data = TrainingSet(images, torch.arange(24) % 3, np.ones(24), 3)
    budget = ClassifierSettings(steps=4, batch_size=8, network=SmallResNet(width=4), precision="fp32")
    arm = Arm.model_validate({"augmentation": "flip_crop", "pairing": pairing})
    model = train(data, arm, budget, learning_rate=0.02, weight_decay=0.0, seed=seed)
    return list(model.parameters())


def are_equal(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    "pairing",
    [
        {"kind": "mixup", "per": "pair"},
        {"kind": "mixup", "per": "element", "until": 0.5},
        {"kind": "cutmix", "probability": 0.5},
        SAMPLES | {"partner": "different_class"},
    ],
)
def test_a_training_is_reproducible_for_its_seed(pairing: dict[str, Any]) -> None:
    first = train_noise(pairing)
    np.random.seed(99)  # nothing may come from here
    assert are_equal(first, train_noise(pairing))
    assert not are_equal(first, train_noise("none"))


class FormerMixup(Pairing):
    """mixup as it was before it had modes and a switch-off."""

    def __init__(self, settings: Any, data: Any, budget: Any) -> None:
        self.alpha = settings.alpha

    def pair(
        self, images: Tensor, targets: Tensor, views: Views, step: int, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        blend = float(rng.beta(self.alpha, self.alpha))
        order = torch.from_numpy(rng.permutation(len(images)))
        return torch.lerp(images[order], images, blend), torch.lerp(targets[order], targets, blend)


def test_plain_mixup_still_gives_the_same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    now = train_noise({"kind": "mixup", "alpha": 0.2})
    monkeypatch.setitem(pairings.PAIRINGS, "mixup", FormerMixup)
    assert are_equal(now, train_noise({"kind": "mixup", "alpha": 0.2}))


def test_samplepairing_keeps_hard_labels_so_that_ldam_may_be_its_loss() -> None:
    assert Arm.model_validate({"loss": "ldam", "pairing": "samplepairing"}).loss.kind == "ldam"
    with pytest.raises(ValueError, match="ldam needs hard labels, and pairing: cutmix blends them"):
        Arm.model_validate({"loss": "ldam", "pairing": "cutmix"})
