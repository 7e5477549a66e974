"""What an arm learnt from, and how well networks name it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ops.classifiers.data import TrainingSet
from ops.study.attacks import Asked
from ops.study.measures import MEASURES, Answers
from ops.study.training_images import choose_training_images


class Reader(nn.Module):
    """Says the class that the first pixel names, 0 to 3; images come in -1..1."""

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.one_hot(((images[:, 0, 0, 0] + 1) * 127.5).round().long(), 4).double()


def build_set(labels: list[int], said: list[int], weights: list[float], generated: list[bool] | None) -> TrainingSet:
    images = torch.tensor(said, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 2, 2)
    marks = None if generated is None else np.array(generated)
    return TrainingSet(images, torch.tensor(labels), np.array(weights), 4, marks)


def test_images_count_as_they_weigh_and_real_ones_stand_alone() -> None:
    # Real: right, wrong. Generated: right, right, wrong, and one without a label.
    data = build_set(
        [0, 1, 2, 3, 0, -1], [0, 2, 2, 3, 1, 1], [5.0, 5.0, 1.0, 1.0, 1.0, 1.0], [False, False, True, True, True, True]
    )
    found = choose_training_images(data)
    assert found.labels.tolist() == [0, 1, 2, 3, 0]
    assert found.measure([Reader()], "fp32", "cpu") == (pytest.approx(7 / 13), 0.5)


def test_a_sample_stands_for_all_of_its_kind() -> None:
    count = 400
    data = build_set(
        [0] * count + [1] * 40, [0] * count + [2] * 40, [1.0] * (count + 40), [True] * count + [False] * 40
    )
    found = choose_training_images(data, most=20)
    assert (len(found.labels), int(found.is_real.sum())) == (40, 20)
    assert found.weights.sum() == pytest.approx(440)
    assert found.measure([Reader()], "fp32", "cpu") == (pytest.approx(400 / 440), 0.0)
    again = choose_training_images(data, most=20)
    assert torch.equal(found.images, again.images)


def test_gaps_are_training_minus_evaluation() -> None:
    data = build_set([0, 1, 2, 3], [0, 1, 2, 0], [1.0] * 4, [False, False, True, True])
    probabilities, labels = np.eye(4)[[0, 1, 2, 3, 0]], np.array([0, 1, 1, 1, 1])
    asked = Asked([Reader()], torch.zeros(1, 1, 2, 2, dtype=torch.uint8), torch.zeros(1), precision="fp32")
    answers = Answers(probabilities, labels, [1, 1, 1, 1], asked, learnt_from=choose_training_images(data))
    found = {name: MEASURES[name].find(answers) for name in ("training_accuracy", "gap", "real_gap")}
    assert found == {
        "training_accuracy": pytest.approx(0.75),
        "gap": pytest.approx(0.75 - 0.4),
        "real_gap": pytest.approx(1.0 - 0.4),
    }
    with pytest.raises(ValueError, match="a gap needs the networks"):
        MEASURES["gap"].find(Answers(probabilities, labels, [1]))
