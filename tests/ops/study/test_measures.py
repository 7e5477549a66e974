"""Measures on answers that can be counted by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from scipy.stats import rankdata
from torch import Tensor, nn

from ops.metrics.invariance import measure_invariance
from ops.study.attacks import Asked
from ops.study.invariance import Nuisanced
from ops.study.measure_names import CORRUPTED, DECIDED, NUISANCED, OF_TRAINING, ClassifierMeasure
from ops.study.measures import MEASURES, RARE, Answers

LABELS = np.repeat([0, 1, 2], 4)


def answer(right: tuple[int, int, int], counts: tuple[int, ...], sure: float = 0.8) -> Answers:
    """Of the four images of each class so many are right; all answers have the probability `sure`."""
    named = np.concatenate([np.where(np.arange(4) < right[c], c, (c + 1) % 3) for c in range(3)])
    probabilities = np.full((12, 3), (1 - sure) / 2)
    probabilities[np.arange(12), named] = sure
    return Answers(probabilities, LABELS, counts)


def test_every_measure_of_a_design_can_be_found() -> None:
    assert tuple(MEASURES) == (*get_args(ClassifierMeasure), *DECIDED)


def test_scores() -> None:
    answers = answer((4, 3, 1), (100, 20, 5))
    asking = {"fgsm", "ifgsm", *CORRUPTED, *OF_TRAINING, *NUISANCED}
    found = {name: measure.find(answers) for name, measure in MEASURES.items() if name not in asking}
    assert found["accuracy"] == pytest.approx(8 / 12)
    assert found["balanced_accuracy"] == pytest.approx(8 / 12)
    assert found["worst_class"] == pytest.approx(1 / 4)
    assert (found["head"], found["middle"], found["tail"]) == pytest.approx((1.0, 0.75, 0.25))
    assert found["calibration_error"] == pytest.approx(abs(0.8 - 8 / 12))


def test_groups_have_no_value_where_classes_are_about_equally_large() -> None:
    answers = answer((4, 3, 1), (100, 90, 80))
    assert [MEASURES[group].find(answers) for group in ("head", "middle", "tail")] == [None, None, None]


def test_refused_classes_are_counted_where_an_arm_learns_from_variants_alone() -> None:
    answers = answer((4, 3, 1), (100, 20, 5))
    found = [MEASURES["refused"].find(replace(answers, refused=count)) for count in (None, 0, 2)]
    assert found == [None, 0, 2]


class Grey(nn.Module):
    """Answers that depend on the mean grey level: logits (a, 0, -a) times `steep`."""

    def __init__(self, steep: float) -> None:
        super().__init__()
        self.steep = steep

    def forward(self, images: Tensor) -> Tensor:
        level = images.mean(dim=(1, 2, 3))
        return self.steep * torch.stack([level, 0 * level, -level], dim=1)


def build_nuisanced() -> Nuisanced:
    """Two images of each class of one pixel; draws of class 0 move them by 4 levels, of class 1 by 40, of 2 by 80."""
    clean = torch.tensor([100, 200, 100, 200, 100, 200], dtype=torch.uint8).reshape(6, 1, 1, 1)
    moves = torch.tensor([4, 4, 40, 40, 80, 80]).reshape(6, 1, 1, 1, 1) * torch.tensor([-1, 0]).reshape(1, 2, 1, 1, 1)
    return Nuisanced(clean, (clean[:, None] + moves).to(torch.uint8), np.repeat([0, 1, 2], 2))


def ask(*steep: float, counts: tuple[int, ...] = (100, RARE, 5)) -> Answers:
    asked = Asked([Grey(each) for each in steep], torch.zeros(1, 1, 1, 1, dtype=torch.uint8), torch.zeros(1))
    return Answers(np.ones((3, 3)), np.arange(3), counts, asked, build_nuisanced())


def test_invariance_is_that_of_the_same_images_before_and_after() -> None:
    shown, answers = build_nuisanced(), ask(3.0)

    def name(images: Tensor) -> np.ndarray:
        level = (images.float() / 127.5 - 1).flatten(-3).mean(-1).numpy()
        return 3 * np.stack([level, 0 * level, -level], axis=-1)

    expected = measure_invariance(name(shown.clean), name(shown.drawn), shown.labels)
    assert answers.invariance.ekld.values == pytest.approx(expected.ekld.values, abs=1e-6)
    values, errors = expected.ekld.values, expected.ekld.errors
    assert 0 < values[0] < values[1] < values[2]
    found = {each: MEASURES[each].find(answers) for each in NUISANCED}
    assert found["ekld"] == pytest.approx(values.mean(), abs=1e-6)
    assert found["ekld_error"] == pytest.approx(float(np.hypot.reduce(errors)) / 3, abs=1e-6)
    assert found["ekld_head"] == pytest.approx(values[0], abs=1e-6)
    assert found["ekld_rare"] == pytest.approx(values[1:].mean(), abs=1e-6)
    assert found["agreement"] == pytest.approx((1 + 1 + 0.75) / 3), "one of the four draws of class 2 gets dark"
    assert found["size_correlation"] == pytest.approx(-1)


def test_networks_that_answer_together_are_measured_by_their_mean_probabilities() -> None:
    shown = build_nuisanced()

    def mix(images: Tensor) -> np.ndarray:
        pixels = images.float() / 127.5 - 1
        probabilities = [Grey(steep)(pixels.flatten(0, -4)).softmax(dim=1) for steep in (3.0, -1.0)]
        return np.asarray(torch.stack(probabilities).double().mean(dim=0).log().reshape(*images.shape[:-3], 3).numpy())

    expected = measure_invariance(mix(shown.clean), mix(shown.drawn), shown.labels)
    assert ask(3.0, -1.0).invariance.ekld.values == pytest.approx(expected.ekld.values, abs=1e-6)
    assert ask(3.0, 3.0).invariance.ekld.values == pytest.approx(ask(3.0).invariance.ekld.values, abs=1e-9)


@pytest.mark.parametrize(
    ("counts", "nothing"),
    [((50, 50, 50), {"size_correlation", "ekld_head", "ekld_rare"}), ((100, 60, 21), {"ekld_rare"})],
)
def test_measures_of_invariance_without_a_meaning_have_no_value(counts: tuple[int, ...], nothing: set[str]) -> None:
    answers = ask(3.0, counts=counts)
    assert {name for name in NUISANCED if MEASURES[name].find(answers) is None} == nothing
    assert MEASURES["size_correlation"].find(ask(0.0)) is None, "it is 0 for every class"


def test_classes_of_equal_size_share_their_rank() -> None:
    answers = ask(3.0, counts=(5, 100, 5))
    ranks = rankdata([5, 100, 5]), rankdata(answers.invariance.ekld.values)
    assert MEASURES["size_correlation"].find(answers) == pytest.approx(np.corrcoef(*ranks)[0, 1])


def test_invariance_needs_images_with_a_nuisance() -> None:
    with pytest.raises(ValueError, match="images with a nuisance"):
        MEASURES["ekld"].find(answer((4, 3, 1), (100, 20, 5)))
