"""Learning from images without labels: FixMatch against a loop, nothing learnt without a sure answer, a real gain."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

from ops.classifiers.augmentations.none import Unchanged
from ops.classifiers.data import TrainingSet, Views
from ops.classifiers.examples import Examples
from ops.classifiers.kept_trainings import hash_examples
from ops.classifiers.networks.classifier import Classifier, normalise
from ops.classifiers.runs import Contest, Run, train_runs
from ops.classifiers.training import train
from ops.classifiers.unlabelled.draws import draw_apart
from ops.classifiers.unlabelled.fixmatch import STREAM, Matching, by_batch
from ops.classifiers.unlabelled.pseudo_labels import add_pseudo_labelled
from ops.machine.progress import Progress
from ops.recipe.arms import Arm, NoAugmentation, SmallResNet
from ops.recipe.classifiers import ClassifierSettings
from ops.recipe.costs import measure_cost
from ops.recipe.grid import GridSettings, Setting
from ops.recipe.ingredients.unlabelled import FixMatch, PseudoLabels

BUDGET = ClassifierSettings(steps=6, batch_size=8, network=SmallResNet(width=4), precision="fp32")
PLAIN: dict[str, Any] = {"augmentation": "flip_crop", "pairing": "mixup"}


def draw_images(count: int, seed: int) -> Tensor:
    return torch.randint(0, 256, (count, 1, 12, 12), generator=torch.Generator().manual_seed(seed)).byte()


DATA = TrainingSet(draw_images(12, 0), torch.arange(12) % 3, np.ones(12), 3)
POOL = draw_images(30, 1)


def fit(unlabelled: Any, seed: int = 5, **keys: Any) -> Classifier:
    arm = Arm.model_validate({**PLAIN, **keys, "unlabelled": unlabelled})
    return train(DATA, arm, BUDGET, learning_rate=0.02, weight_decay=0.1, seed=seed, pool=POOL)


def assert_equal(one: nn.Module, other: nn.Module) -> None:
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


class Linear(nn.Module):
    """Some classes of images of 12 x 12 pixels, by a matrix."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.matrix = nn.Parameter(torch.randn(144, 4, generator=generator) / 4)

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.matrix


def test_fixmatch_is_the_mean_over_all_images_of_the_cross_entropy_of_the_sure_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An independent loop over the eight images of a step; a strong view is the negative of an image."""
    settings, network = FixMatch(weight=2.5, threshold=0.6, ratio=2.0), Linear()
    term = Matching(
        settings, POOL, network, Unchanged(NoAugmentation(), (12, 12)),
        mirrors=False, labelled=4, seed=5, precision="fp32", device="cpu",
    )  # fmt: skip
    monkeypatch.setattr(Matching, "make_strong", lambda term, images: -images)
    sure = term.look(7)
    assert sure is not None and 0 < len(sure.labels) < 8, "some are sure and some are not"
    expected = 0.0
    for row in np.random.default_rng([5, STREAM, 7]).integers(30, size=8):
        image = POOL[row].double().flatten() / 127.5 - 1
        weak = torch.softmax(image @ network.matrix.detach().double(), 0)
        strong = torch.softmax(-image @ network.matrix.detach().double(), 0)
        if float(weak.max()) > 0.6:
            expected -= float(strong[int(weak.argmax())].log())
    loss = term.find_loss(network(sure.views), sure)
    assert float(loss.detach()) == pytest.approx(2.5 * expected / 8, rel=1e-4)
    loss.backward()
    (gradient,) = torch.autograd.grad(
        2.5 / 8 * F.cross_entropy(sure.views.flatten(1) @ network.matrix, sure.labels, reduction="sum"), network.matrix
    )
    torch.testing.assert_close(network.matrix.grad, gradient)  # none flows through the weak views


@pytest.mark.parametrize(
    "unlabelled", [{"kind": "fixmatch", "threshold": 1.0}, {"kind": "pseudo_labels", "threshold": 1.0}]
)
def test_without_a_sure_answer_training_is_supervised_bit_by_bit(unlabelled: dict[str, Any]) -> None:
    """The second network of pseudo-labels then learns what the first one did, which is that of the arm without them."""
    assert_equal(fit(unlabelled), fit("none"))


def test_sure_answers_change_what_is_learnt_and_the_same_seed_gives_the_same_bits() -> None:
    unlabelled = {"kind": "fixmatch", "threshold": 0.0, "ratio": 1.0}
    found = fit(unlabelled)
    assert_equal(found, fit(unlabelled))
    assert any(not torch.equal(a, b) for a, b in zip(found.parameters(), fit("none").parameters(), strict=True))


def test_the_smallest_share_of_the_pool_still_has_statistics() -> None:
    """Eight labelled images ask for less than one of the pool, and batch normalisation needs two."""
    fit({"kind": "fixmatch", "threshold": 0.0, "ratio": 0.05})


def test_weak_views_leave_statistics_and_draws_as_they_were() -> None:
    torch.manual_seed(0)
    network = Classifier(BUDGET.network, DATA.shape, 3).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    images = normalise(POOL)
    with torch.no_grad(), by_batch(network):
        answers = network(images)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    torch.testing.assert_close(answers, network(images).detach())  # by the batch, as in training
    state, python = torch.get_rng_state(), random.getstate()
    with draw_apart([1, 2], "cpu"):
        one = torch.rand(3), random.random()
    with draw_apart([1, 2], "cpu"):
        again = torch.rand(3), random.random()
    assert torch.equal(one[0], again[0]) and one[1] == again[1]
    assert torch.equal(torch.get_rng_state(), state) and random.getstate() == python


ANSWERS = torch.tensor([[0.7, 0.2, 0.1], [0.45, 0.5, 0.05], [0.9, 0.05, 0.05], [0.1, 0.1, 0.8], [0.6, 0.3, 0.1]])


def test_pseudo_labels_join_in_the_share_that_was_asked_for() -> None:
    found = add_pseudo_labelled(DATA, POOL[:5], ANSWERS, PseudoLabels(threshold=0.5, ratio=0.125))
    assert found.labels[12:].tolist() == [0, 0, 2, 0] and torch.equal(found.images[12:], POOL[[0, 2, 3, 4]])
    assert found.weights.tolist() == [1.0] * 12 + [0.375] * 4  # 12 / 8 in all
    balanced = add_pseudo_labelled(DATA, POOL[:5], ANSWERS, PseudoLabels(threshold=0.5, ratio=0.125, balanced=True))
    assert balanced.weights[12:] == pytest.approx([0.25, 0.25, 0.75, 0.25])  # 0.75 for each class that was named
    assert add_pseudo_labelled(DATA, POOL[:5], ANSWERS, PseudoLabels(threshold=0.9)) is DATA


@pytest.mark.parametrize("balanced", [False, True])
def test_no_image_of_the_pool_weighs_more_than_a_labelled_one(balanced: bool) -> None:
    found = add_pseudo_labelled(DATA, POOL[:5], ANSWERS, PseudoLabels(threshold=0.5, ratio=2.0, balanced=balanced))
    assert found.weights.tolist() == [1.0] * 16
    assert found.counts.tolist() == [4 + 3, 4, 4 + 1], "the size of a class is that of its images"


def test_an_image_that_is_labelled_gets_no_pseudo_label_and_fixmatch_takes_the_whole_pool() -> None:
    known = np.arange(30) < 12
    examples = Examples(DATA.images.numpy(), DATA.labels.numpy(), DATA.weights, pool=POOL.numpy(), known=known)
    fix, pseudo = (Arm.model_validate({"unlabelled": kind}) for kind in ("fixmatch", "pseudo_labels"))
    assert np.array_equal(examples.find_pool(fix), POOL.numpy())
    assert np.array_equal(examples.find_pool(pseudo), POOL.numpy()[12:])
    other = replace(examples, known=~known)
    assert hash_examples(examples, pseudo) != hash_examples(other, pseudo)
    assert hash_examples(examples, fix) == hash_examples(other, fix)
    assert hash_examples(examples, Arm()) == hash_examples(replace(examples, pool=None, known=None), Arm())


def test_soft_pseudo_labels_are_taught_as_they_are_and_labels_as_before() -> None:
    found = add_pseudo_labelled(DATA, POOL[:5], ANSWERS, PseudoLabels(threshold=0.0, labels="soft"))
    _, targets = Views(found, lambda images: images, "cpu").look(np.array([1, 12, 13]))
    torch.testing.assert_close(targets, torch.stack([F.one_hot(torch.tensor(1), 3).float(), ANSWERS[0], ANSWERS[1]]))
    chosen = found.select(np.arange(17) > 11)
    assert chosen.soft is not None and torch.equal(chosen.soft, ANSWERS)


def test_unlabelled_images_help_where_labelled_ones_are_few() -> None:
    """Two labelled digits of each class and 800 without labels; measured: 57 % alone, 64 and 63 % with the pool."""
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    images = torch.from_numpy(np.rint(digits.images * (255 / 16)).astype(np.uint8)[:, None][order])
    labels = torch.from_numpy(digits.target[order])
    rows = np.concatenate([np.flatnonzero(labels[:300] == label)[:2] for label in range(10)])
    data = TrainingSet(images[rows], labels[rows], np.ones(20), 10)
    network = SmallResNet(width=8, stride=1)
    budget = ClassifierSettings(steps=100, batch_size=20, network=network, precision="fp32")
    found = {}
    for name, keys in {
        "none": {},
        "pseudo_labels": {"threshold": 0.5, "balanced": True, "ratio": 3.0},
        "fixmatch": {"threshold": 0.9, "ratio": 4.0, "strength": 6.0, "erasing": 0.3},
    }.items():
        arm = Arm.model_validate(
            {"augmentation": {"kind": "policy", "shift": 0.1}, "unlabelled": {"kind": name, **keys}}
        )
        model = train(data, arm, budget, learning_rate=0.02, weight_decay=0.1, seed=0, pool=images[300:1100])
        with torch.no_grad():
            found[name] = float((model(normalise(images[1100:])).argmax(dim=1) == labels[1100:]).float().mean())
    assert found["pseudo_labels"] > found["none"] + 0.03 and found["fixmatch"] > found["none"] + 0.03


SETTING = Setting((("learning_rate", 0.05), ("weight_decay", 5e-4)))


def enter(folder: Path, **changes: Any) -> Contest:
    examples = Examples(DATA.images.numpy(), DATA.labels.numpy(), DATA.weights, pool=POOL.numpy())
    keys: dict[str, Any] = {"threshold": 0.34, "ratio": 1.0}
    arms = {kind: Arm.model_validate({"unlabelled": {"kind": kind, **keys}}) for kind in ("fixmatch", "pseudo_labels")}
    settings = BUDGET.model_copy(
        update={"steps": 3, "seeds": 1, "grid": GridSettings(learning_rate=(0.05,), weight_decay=(5e-4,))}
    )
    validation = (draw_images(6, 2).numpy(), np.arange(6) % 3)
    return replace(Contest(arms, (examples,), 0, validation, settings, "accuracy", 3, folder), **changes)


def test_trainings_that_were_stopped_and_resumed_have_the_same_bits(tmp_path: Path) -> None:
    wanted = [Run(name, SETTING, 0) for name in ("fixmatch", "pseudo_labels")]
    whole = train_runs(enter(tmp_path / "whole"), wanted, 1, Progress(lambda line: None, "toys", 2, "trainings"))
    train_runs(enter(tmp_path / "part"), wanted[:1], 1, Progress(lambda line: None, "toys", 2, "trainings"))
    kept = (tmp_path / "part" / wanted[0].file_name).stat().st_mtime_ns
    parts = train_runs(enter(tmp_path / "part"), wanted, 1, Progress(lambda line: None, "toys", 2, "trainings"))
    assert (tmp_path / "part" / wanted[0].file_name).stat().st_mtime_ns == kept, "a finished one is not trained again"
    for run in wanted:
        assert whole[run].path.read_bytes() == parts[run].path.read_bytes()


def test_an_arm_is_another_training_with_another_pool_and_others_are_not() -> None:
    examples = Examples(DATA.images.numpy(), DATA.labels.numpy(), DATA.weights, pool=POOL.numpy())
    other, without = replace(examples, pool=POOL.numpy()[1:]), replace(examples, pool=None)
    arm = Arm.model_validate({"unlabelled": "fixmatch"})
    assert hash_examples(examples, arm) != hash_examples(other, arm)
    assert hash_examples(examples, Arm()) == hash_examples(other, Arm()) == hash_examples(without, Arm())


def test_the_cost_counts_answers_and_earlier_networks() -> None:
    """A plain step is three evaluations. With μ = 3, FixMatch has three answers more, and learns from three as many."""
    assert measure_cost(Arm.model_validate({"unlabelled": {"kind": "fixmatch", "ratio": 3.0}}), 5) == (3 + 3 + 9) / 3
    assert measure_cost(Arm.model_validate({"unlabelled": {"kind": "pseudo_labels", "rounds": 2}}), 5) == 3
    assert measure_cost(Arm(), 5) == 1
    assert measure_cost(Arm(trainer="probe"), 5) == 0  # it takes no step
