"""Noise coupled to images: a permutation within classes, at the least cost."""

from __future__ import annotations

from itertools import permutations

import torch
from torch import Tensor

from ops.generators.kinds.coupling import couple_noise
from ops.generators.kinds.flow import Flow
from ops.recipe.generator import FlowSettings

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
        for rows in ((label == LABELS).nonzero()[:, 0] for label in (0, 1))
    )
    assert abs(cost(images, couple_noise(images, LABELS, noise)) - least) < 1e-4
    assert least < cost(images, noise)


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
