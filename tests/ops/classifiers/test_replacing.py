"""Which images of a batch are shown as variants, and how many: known chances, planted transforms, tiny trainings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import stats
from torch import Tensor

from ops.classifiers.blending import mixup
from ops.classifiers.data import TrainingSet, Variants, Views
from ops.classifiers.ingredients import Training
from ops.classifiers.lessons import Lessons
from ops.classifiers.networks.classifier import Classifier, normalise
from ops.classifiers.samplers import SAMPLERS
from ops.classifiers.sampling import iterate_batches
from ops.classifiers.training import train
from ops.classifiers.variants.accounting import describe, rehearse
from ops.classifiers.variants.replacing import Choice, Replacing
from ops.classifiers.variants.transform import UNLIMITED
from ops.errors import UserError
from ops.recipe.arms import Arm, SmallResNet
from ops.recipe.classifiers import ClassifierSettings

SIZES = (40, 12, 6, 3)
BUDGET = ClassifierSettings(steps=400, batch_size=16, network=SmallResNet(width=4), precision="fp32")
SHORT = BUDGET.model_copy(update={"steps": 6})
RAMP = {"policy": "ramp", "below": 20}  # q = 0, 8/17, 14/17, 1
PAINTED = 100  # grey level of variant 0; images are darker


class Paint:
    """Variant k of an image is one grey level, which says k, and it remembers what it was asked."""

    def __init__(self, count: int = UNLIMITED) -> None:
        self.each, self.asked = count, list[tuple[str, int]]()

    def apply(self, images: np.ndarray, keys: Sequence[str], ks: np.ndarray) -> np.ndarray:
        assert images.max() < PAINTED and images.dtype == np.uint8 and images.shape[1:] == (12, 12, 1)
        self.asked += zip(keys, ks.tolist(), strict=True)
        levels = (PAINTED + ks % min(self.each, 150)).astype(np.uint8)
        return np.broadcast_to(levels[:, None, None, None], images.shape).copy()

    def count(self, keys: Sequence[str]) -> np.ndarray:
        return np.full(len(keys), self.each)


def make_data(sizes: Sequence[int] = SIZES, transform: Any = None) -> TrainingSet:
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    images = rng.integers(0, PAINTED, (len(labels), 1, 12, 12)).astype(np.uint8)
    keys = [f"i{row}" for row in range(len(labels))]
    variants = None if transform is None else Variants(transform, keys)
    return TrainingSet(
        torch.from_numpy(images), torch.from_numpy(labels), np.ones(len(labels)), len(sizes), None, variants
    )


def make_arm(sampler: Any = "uniform", **keys: Any) -> Arm:
    others = {key: keys.pop(key) for key in ("pairing", "augmentation", "loss") if key in keys}
    return Arm.model_validate(
        {**others, "sampler": sampler, "variants": {"kind": "git", "by": ["randaugment"], **keys}}
    )


def choose_all(arm: Arm, data: TrainingSet, counts: np.ndarray | None = None, seed: int = 3) -> list[Choice]:
    sampler = SAMPLERS[arm.sampler.kind](arm.sampler, data, BUDGET)
    counts = np.full(len(data.labels), UNLIMITED) if counts is None else counts
    settings: Any = arm.variants
    replacing = Replacing(settings, data, counts, sampler, BUDGET, seed)
    batches = iterate_batches(sampler.weights, BUDGET.batch_size, BUDGET.steps, seed)
    return [replacing.choose(rows, step) for step, rows in enumerate(batches)]


@pytest.mark.parametrize("draws", ["paired", "independent"])
@pytest.mark.parametrize("sampler", ["uniform", {"kind": "class_balanced", "start": 0.3}, "square_root"])
def test_each_class_is_replaced_with_its_chance_and_only_at_the_last_places(sampler: Any, draws: str) -> None:
    data, arm = make_data(), make_arm(sampler, draws=draws, share=0.4, start=0.2, **RAMP)
    labels, choices = data.labels.numpy(), choose_all(arm, data)
    passes = SAMPLERS[arm.sampler.kind](arm.sampler, data, BUDGET).weights
    seed, size = ([3, 7], 6) if draws == "independent" else (3, 16)
    candidates = [rows[-6:] for rows in iterate_batches(passes, size, BUDGET.steps, seed)]
    marks = np.array([choice.marks for choice in choices])
    assert not marks[:80].any() and marks[80:].any(), "from a fifth of 400 steps on"
    assert not marks[:, :10].any(), "int(0.4 · 16) = 6 places"
    offered = np.bincount(labels[np.concatenate(candidates[80:])], minlength=4)
    found = np.bincount(labels[np.concatenate([c.rows[c.marks] for c in choices])], minlength=4)
    q = np.array([0, 8 / 17, 14 / 17, 1])
    assert (found[0], found[3]) == (0, offered[3])
    squares = (found - offered * q)[1:3] ** 2 / (offered * q * (1 - q))[1:3]
    assert stats.chi2(2).sf(squares.sum()) > 0.01
    for choice, own in zip(choices, candidates, strict=True):
        np.testing.assert_array_equal(choice.rows[choice.marks], own[choice.marks[-6:]])


def test_other_places_show_the_images_of_the_batch_and_numbers_count_the_uses_of_an_image() -> None:
    data, used = make_data(), dict[int, int]()
    batches = iterate_batches(lambda step: data.weights, 16, BUDGET.steps, 3)
    for rows, choice in zip(batches, choose_all(make_arm(draws="independent", share=1.0), data), strict=True):
        np.testing.assert_array_equal(choice.rows[~choice.marks], rows[~choice.marks])
        for row, use in zip(choice.rows[choice.marks].tolist(), choice.uses[choice.marks].tolist(), strict=True):
            assert use == used.get(row, 0)
            used[row] = use + 1
    assert len(used) == len(data.labels)


def test_an_image_without_variant_stays_and_the_others_are_chosen_as_before() -> None:
    data, arm = make_data(), make_arm(**RAMP)
    bare = data.labels.numpy() == 3
    all_of_them, without = choose_all(arm, data), choose_all(arm, data, np.where(bare, 0, 5))
    for one, other in zip(all_of_them, without, strict=True):
        np.testing.assert_array_equal(other.marks, one.marks & ~bare[one.rows])


@pytest.mark.parametrize("draws", ["paired", "independent"])
@pytest.mark.parametrize("augmentation", ["none", "randaugment"])
def test_with_all_chances_0_a_training_is_the_one_without_variants_bit_by_bit(draws: str, augmentation: str) -> None:
    data = make_data(transform=Paint(0))
    varied = make_arm("class_balanced", draws=draws, pairing="mixup", augmentation=augmentation)
    plain = Arm.model_validate({"sampler": "class_balanced", "pairing": "mixup", "augmentation": augmentation})
    one, other = (fit(arm, data).state_dict() for arm in (varied, plain))
    assert all(torch.equal(one[name], other[name]) for name in other)
    assert not torch.equal(fit(varied, make_data(transform=Paint())).state_dict()["head.weight"], one["head.weight"])


def fit(arm: Arm, data: TrainingSet, budget: ClassifierSettings = SHORT) -> Classifier:
    return train(data, arm, budget, learning_rate=0.02, weight_decay=0.1, seed=5)


@pytest.mark.parametrize("draws", ["paired", "independent"])
def test_the_accounting_is_what_a_network_sees(draws: str, monkeypatch: pytest.MonkeyPatch) -> None:
    paint, seen, look = Paint(3), list[tuple[np.ndarray, Tensor | None]](), Views.look

    def spy(self: Views, index: np.ndarray, pixels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        seen.append((index, pixels))
        return look(self, index, pixels)

    monkeypatch.setattr(Views, "look", spy)
    data, budget = make_data(transform=paint), BUDGET.model_copy(update={"steps": 20})
    arm = make_arm("class_balanced", draws=draws, start=0.5, **RAMP)
    fit(arm, data, budget)
    account = rehearse(arm, data, np.full(len(data.labels), 3), budget, 5)
    labels, marks = data.labels.numpy(), list[np.ndarray]()
    for rows, pixels in seen:
        own = data.images[torch.from_numpy(rows)]
        marks.append((own if pixels is None else pixels).amin(dim=(1, 2, 3)).numpy() >= PAINTED)
        if pixels is not None:
            assert torch.equal(pixels[~torch.from_numpy(marks[-1])], own[~torch.from_numpy(marks[-1])])
    rows, marked = np.concatenate([index for index, _ in seen]), np.concatenate(marks)
    np.testing.assert_array_equal(account.shown, np.bincount(labels[rows], minlength=4))
    np.testing.assert_array_equal(account.variants, np.bincount(labels[rows[marked]], minlength=4))
    assert account.variants[0] == 0 < account.variants[1] and marked[: 10 * 16].sum() == 0
    most = [max((k % 3 + 1 for key, k in paint.asked if labels[int(key[1:])] == c), default=0) for c in range(4)]
    assert account.different.tolist() == [min(3, each) for each in most]
    assert account.images.tolist() == list(SIZES) and account.bare.tolist() == [0] * 4


def test_the_description_names_totals_classes_and_images_without_variants() -> None:
    data, arm = make_data(), make_arm(**RAMP)
    counts = np.where(data.labels.numpy() == 3, 0, 7)
    counts[np.flatnonzero(data.labels.numpy() == 2)[0]] = 0
    account = rehearse(arm, data, counts, BUDGET, 3)
    lines = describe(account, "git", ["a", "bb", "c", "d"], {})
    assert lines[0] == f"git: {account.variants.sum():,} of 6,400 images shown are variants" + (
        f" ({100 * account.variants.sum() / 6400:.0f} %)"
    )
    assert lines[2].split() == ["a", "40", f"{account.shown[0]:,}", "0", "0.000", "0"]
    assert lines[4].endswith("7  1 images have no variant") and lines[5].endswith("0  no image has a variant")
    refused = describe(account, "git", ["a", "bb", "c", "d"], {"d": "its variants hardly differ"})
    assert refused[:5] == lines[:5] and refused[5].endswith("0  refused: its variants hardly differ")
    many = rehearse(arm, make_data((30,) + (5,) * 29), np.full(175, 7), BUDGET, 3)
    assert len(describe(many, "git", [f"c{i}" for i in range(30)], {})) == 2 + 21
    assert account.to_dict()["total"] == {"shown": 6400, "variants": int(account.variants.sum())}


def test_what_no_class_or_no_place_would_get_is_refused() -> None:
    with pytest.raises(UserError, match=r"below 3 is not above the smallest class, which has 3 images"):
        choose_all(make_arm(below=3), make_data())
    with pytest.raises(UserError, match=r"share 0\.05 of a batch of 16 is less than one image; write 0\.063 or more"):
        choose_all(make_arm(share=0.05), make_data())


def test_one_class_and_a_batch_of_1_are_defined() -> None:
    data = make_data((5,), Paint())
    assert all(choice.marks.all() for choice in choose_all(make_arm(share=1.0), data))
    assert rehearse(make_arm(below=6, share=1.0), data, np.full(5, 2), BUDGET, 0).chances.tolist() == [1.0]
    alone = BUDGET.model_copy(update={"batch_size": 1})
    assert rehearse(make_arm(share=1.0), data, np.full(5, 2), alone, 0).variants.tolist() == [400]


@pytest.mark.parametrize("draws", ["paired", "independent"])
def test_the_loss_of_a_batch_half_of_variants_is_the_mixture_of_the_losses(draws: str) -> None:
    """Mixup of images of which half are variants: cross-entropy is linear in the targets, whosever pixels they are."""
    data = make_data(transform=Paint())
    arm, budget = make_arm(draws=draws, pairing="mixup"), SHORT
    model = Classifier(budget.network, data.shape, data.classes)
    (part,) = Lessons(Training(data, arm, budget, 0.01, 0.1, 5), model, "fp32").prepare(0)
    rows = next(iterate_batches(lambda step: data.weights, 16, 1, 5))
    if draws == "independent":
        rows[8:] = next(iterate_batches(lambda step: data.weights, 8, 1, [5, 7]))
    pixels, labels = data.images[torch.from_numpy(rows)], data.labels[torch.from_numpy(rows)]
    uses = [int((rows[8:place] == rows[place]).sum()) for place in range(8, 16)]
    pixels[8:] = torch.tensor([PAINTED + use for use in uses], dtype=torch.uint8)[:, None, None, None]
    expected, _ = mixup(normalise(pixels), F.one_hot(labels, 4).float(), np.random.default_rng([5, 1]), alpha=1.0)
    assert torch.equal(part.images, expected)
    marked = torch.eye(16).reshape(16, 16, 1, 1)
    shares = mixup(marked, torch.eye(16), np.random.default_rng([5, 1]), alpha=1.0)[1]
    logits = torch.randn(16, 4, generator=torch.Generator().manual_seed(1))
    each = torch.stack([F.cross_entropy(logits, labels[j].expand(16), reduction="none") for j in range(16)], dim=1)
    assert float(part.find_loss(logits)) == pytest.approx(float((shares * each).sum(dim=1).mean()), rel=1e-5)


def test_teachers_answer_for_the_variants_too() -> None:
    seen: list[Tensor] = []

    def teach(images: Tensor) -> Tensor:
        seen.append(images)
        return torch.zeros(len(images), 4)

    keys = {"targets": {"kind": "teacher", "of": "x", "images": "real"}, "variants": {"kind": "git", "by": ["oracle"]}}
    data = make_data(transform=Paint())
    model = Classifier(SHORT.network, data.shape, data.classes)
    training = Training(data, Arm.model_validate(keys), SHORT, 0.01, 0.1, 5, teachers=[teach])
    (part,) = Lessons(training, model, "fp32").prepare(0)
    part.find_loss(torch.zeros(16, 4))
    assert torch.equal(seen[0], part.images) and len(torch.unique(part.images[-1])) == 1


def test_a_set_for_another_arm_is_not_taken() -> None:
    data = replace(make_data(transform=Paint()), variants=None)
    with pytest.raises(AssertionError, match="for another arm"):
        fit(make_arm(), data)
