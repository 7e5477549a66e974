"""Noise coupled to images: a permutation within classes and augmentations, at the least cost."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import torch
from torch import Tensor

from ops.generators.denoising.steps import find_groups
from ops.generators.kinds.coupling import couple_noise
from ops.generators.kinds.flow import Flow
from ops.recipe.denoisers import FlowSettings

LABELS = torch.tensor([0, 1, 0, 1, 0, 1, 0])


def draw() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(7, 1, 2, 2, generator=generator), torch.randn(7, 1, 2, 2, generator=generator)


def cost(images: Tensor, noise: Tensor) -> float:
    return float((images - noise).square().sum())


def test_each_class_keeps_its_own_noise_in_another_order() -> None:
    images, noise = draw()
    coupled = couple_noise(images, LABELS, noise)
    for label in (0, 1):
        before, after = (sorted(values[label == LABELS].flatten(1).tolist()) for values in (noise, coupled))
        assert before == after


def test_no_order_within_the_classes_is_cheaper() -> None:
    images, noise = draw()
    least = sum(
        min(cost(images[rows], noise[rows][list(order)]) for order in permutations(range(len(rows))))
        for rows in (torch.where(torch.eq(LABELS, label))[0] for label in (0, 1))
    )
    assert abs(cost(images, couple_noise(images, LABELS, noise)) - least) < 1e-4
    assert least < cost(images, noise)


def test_groups_are_images_of_one_label_and_one_augmentation() -> None:
    labels = torch.tensor([0, 0, 0, 1, 1, 0])
    conditions = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [1.0, 0.3]])
    groups = find_groups(labels, conditions).tolist()
    assert groups[0] == groups[2]
    assert len(set(groups)) == 5
    assert find_groups(labels, None) is labels


def test_unaugmented_images_of_a_class_have_unbiased_noise() -> None:
    # The audit's case: images that are moved far off draw the noise that lies on their side, the others what is left.
    generator = torch.Generator().manual_seed(1)
    means = []
    for _ in range(60):
        moved = torch.rand(64, generator=generator) < 0.5
        images = torch.where(moved, -3.0, 1.0)[:, None, None, None] + 0.1 * torch.randn(
            64, 1, 2, 2, generator=generator
        )
        noise, labels = torch.randn(64, 1, 2, 2, generator=generator), torch.zeros(64, dtype=torch.int64)
        groups = find_groups(labels, moved.float()[:, None])
        means.append([float(couple_noise(images, each, noise)[~moved].mean()) for each in (labels, groups)])
    biased, unbiased = np.mean(means, axis=0)
    assert biased > 0.2
    assert abs(unbiased) < 0.05


def test_a_flow_couples_noise_unless_its_recipe_turns_it_off() -> None:
    images, noise = draw()
    pairs: list[Tensor] = []

    def predict(x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        blend = t[:, None, None, None]
        pairs.append((x - blend * images) / (1 - blend))
        return torch.zeros_like(x)

    level = torch.zeros(7)
    for settings, expected in (
        (FlowSettings(), couple_noise(images, LABELS, noise)),
        (FlowSettings(couple_noise=False), noise),
    ):
        Flow().loss(predict, images, LABELS, Flow().choose_pairing(settings)(images, LABELS, noise), level)
        torch.testing.assert_close(pairs.pop(), expected, atol=1e-5, rtol=0)
