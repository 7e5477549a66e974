"""Attacks, against closed forms of linear networks: the worst change within the ball, and what it does to accuracy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ops.study.attacks import EPSILON, IMAGES, ITERATIONS, Asked, attack, choose_rows, score_attacked
from ops.study.measures import MEASURES, Answers, name_measure

SHAPE = (1, 4, 4)


def make_linear(classes: int, scale: float, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, classes))
    network[1].weight.data.mul_(scale)
    return network.requires_grad_(False)


def make_asked(networks: list[nn.Module], *, low: int, high: int, classes: int, number: int = 400) -> Asked:
    """Random images of grey levels low..high with the labels that the first network names."""
    random = torch.Generator().manual_seed(1)
    images = torch.randint(low, high, (number, *SHAPE), generator=random).to(torch.uint8)
    labels = networks[0](images / 127.5 - 1).argmax(dim=1)
    labels[::10] = (labels[::10] + 1) % classes  # some are wrong
    return Asked(networks, images, labels)


def find_margins(asked: Asked) -> tuple[Tensor, float]:
    """Of two classes: by how much the true one leads on each image, and the most that ε can take of it."""
    network = asked.networks[0]
    logits = network(asked.images.float() / 127.5 - 1)
    own, other = (logits.gather(1, labels[:, None])[:, 0] for labels in (asked.labels, 1 - asked.labels))
    weights = network[1].weight  # of inputs in -1..1, which change by 2 ε
    return own - other, 2 * EPSILON * float((weights[0] - weights[1]).abs().sum())


@pytest.mark.parametrize("iterations", [1, ITERATIONS])
def test_on_a_linear_network_of_two_classes_an_attack_is_the_worst_case(iterations: int) -> None:
    asked = make_asked([make_linear(2, 3.0)], low=60, high=190, classes=2)  # no change leaves 0..255
    margins, most = find_margins(asked)
    expected = float((margins > most).double().mean())
    assert 0.2 < expected < float((margins > 0).double().mean()) - 0.05
    assert score_attacked(asked, iterations) == pytest.approx(expected, abs=1e-9)


def test_a_network_that_is_very_sure_is_attacked_all_the_same() -> None:
    asked = make_asked([make_linear(2, 200.0)], low=60, high=190, classes=2)
    margins, most = find_margins(asked)
    assert float(margins.median()) > 17  # beyond this, a probability in float32 rounds to 1
    assert score_attacked(asked, 1) == pytest.approx(float((margins > most).double().mean()), abs=1e-9)


def test_no_change_gives_the_clean_accuracy() -> None:
    asked = make_asked([make_linear(5, 1.0)], low=0, high=256, classes=5)
    assert score_attacked(asked, 1, epsilon=0.0) == score_attacked(asked, ITERATIONS, epsilon=0.0) == 0.9


@pytest.mark.parametrize("iterations", [1, ITERATIONS])
def test_changed_images_stay_in_the_ball_and_in_range_and_never_lower_a_convex_loss(iterations: int) -> None:
    asked = make_asked([make_linear(5, 2.0)], low=0, high=256, classes=5)
    images = asked.images / 255
    changed = attack(asked.answer, images, asked.labels, epsilon=0.1, iterations=iterations)
    assert float((changed - images).abs().max()) == pytest.approx(0.1, abs=1e-6)
    assert float((changed - images).abs().max()) <= 0.1 + 1e-6
    assert float(changed.min()) >= 0 and float(changed.max()) <= 1
    before, after = (-asked.answer(x).gather(1, asked.labels[:, None]) for x in (images, changed))
    assert (after >= before - 1e-6).all() and float((after - before).mean()) > 0.1


def test_networks_that_answer_together_are_attacked_together() -> None:
    network = make_linear(3, 2.0)
    one, twice = (make_asked([network] * count, low=60, high=190, classes=3) for count in (1, 2))
    assert score_attacked(twice, 1) == score_attacked(one, 1)  # a network and its copy answer as it does
    pair = Asked([network, make_linear(3, 2.0, seed=1)], one.images, one.labels)
    mean = torch.stack([each(one.images / 127.5 - 1).softmax(dim=1) for each in pair.networks]).mean(dim=0)
    assert torch.allclose(pair.answer(one.images / 255).exp().float(), mean, atol=1e-5)


def test_rows_are_drawn_evenly_over_the_classes() -> None:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(4), [300, 300, 600, 1200]))
    rows = choose_rows(labels, 200)
    assert np.bincount(labels[rows]).tolist() == [25, 25, 50, 100]
    assert (np.diff(rows) > 0).all()
    assert choose_rows(labels, 5000).tolist() == list(range(2400))
    assert IMAGES == 1000


def test_measures_attack_the_networks_that_answered() -> None:
    asked = make_asked([make_linear(2, 3.0)], low=60, high=190, classes=2)
    probabilities = asked.answer(asked.images / 255).exp().numpy()
    answers = Answers(probabilities, asked.labels.numpy(), [1, 1], asked)
    assert MEASURES["fgsm"].find(answers) == score_attacked(asked, 1) < MEASURES["accuracy"].find(answers)
    assert MEASURES["ifgsm"].find(answers) == score_attacked(asked, ITERATIONS)
    with pytest.raises(ValueError, match="needs the networks"):
        MEASURES["fgsm"].find(Answers(probabilities, asked.labels.numpy(), [1, 1]))
    assert name_measure("ifgsm") == "accuracy under I-FGSM of 10 steps, ε = 8/255"
    assert name_measure("worst_class") == "worst class"
