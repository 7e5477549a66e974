"""Losses against loops that are written out, figures of their papers, and a problem whose best answer is known."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor, nn

from ops.classifiers.answering import predict
from ops.classifiers.class_sizes import find_effective_numbers, weigh_effectively
from ops.classifiers.data import TrainingSet
from ops.classifiers.ingredients import Loss
from ops.classifiers.losses import LOSSES
from ops.classifiers.losses.class_weighted import ClassWeighted
from ops.classifiers.losses.ldam import find_margins
from ops.classifiers.losses.logit_adjusted import LogitAdjusted
from ops.classifiers.networks.cosine import CosineHead
from ops.classifiers.samplers import SAMPLERS
from ops.classifiers.samplers.finishing import Finishing
from ops.classifiers.samplers.uniform import Uniform
from ops.classifiers.stored import load_classifier, save_classifiers
from ops.classifiers.training import train
from ops.datasets.longtail import exponential_sizes
from ops.recipe.arms import Arm, SmallResNet
from ops.recipe.classifiers import ClassifierSettings
from ops.recipe.ingredients.balancing import Deferred
from ops.recipe.ingredients.losses import ClassWeightedLoss, LogitAdjustedLoss
from ops.recipe.ingredients.samplers import UniformSampler

COUNTS = (40, 20, 4, 1)


def hold(counts: tuple[int, ...], weights: np.ndarray | None = None) -> TrainingSet:
    labels = np.repeat(np.arange(len(counts)), counts)
    images = torch.zeros(len(labels), 1, 8, 8, dtype=torch.uint8)
    return TrainingSet(
        images, torch.from_numpy(labels), np.ones(len(labels)) if weights is None else weights, len(counts)
    )


def build(
    loss: Any, data: TrainingSet, *, sampler: Any = "uniform", steps: int = 10, smoothing: float = 0.0
) -> Loss:  # fmt: skip
    arm = Arm.model_validate({"loss": loss, "sampler": sampler})
    budget = ClassifierSettings(steps=steps, label_smoothing=smoothing)
    shown = SAMPLERS[arm.sampler.kind](arm.sampler, data, budget)
    return LOSSES[arm.loss.kind](arm.loss, data, shown, budget, "cpu")


def softmax(row: list[float]) -> list[float]:
    total = sum(math.exp(z) for z in row)
    return [math.exp(z) / total for z in row]


def write_out(loss: dict[str, Any], logits: list[list[float]], targets: list[list[float]], smoothing: float) -> float:
    """The loss of a batch by loops over images and classes; class sizes are COUNTS."""
    classes, kind, total = len(COUNTS), loss["kind"], 0.0
    weights = [1.0] * classes
    if kind == "class_weighted":
        weights = [sum(COUNTS) / (classes * n) for n in COUNTS]
    elif loss.get("beta"):
        raw = [(1 - loss["beta"]) / (1 - loss["beta"] ** n) for n in COUNTS]
        weights = [classes * each / sum(raw) for each in raw]
    for z, given in zip(logits, targets, strict=True):
        t = [share * (1 - smoothing) + smoothing / classes for share in given]
        if kind == "logit_adjusted":
            z = [z[c] + loss["tau"] * math.log(COUNTS[c] / sum(COUNTS)) for c in range(classes)]
        if kind == "ldam":
            rarest = min(COUNTS) ** -0.25
            margins = [loss["max_margin"] * n**-0.25 / rarest for n in COUNTS]
            z = [z[c] - loss["scale"] * margins[c] * (t[c] == 1) for c in range(classes)]
        p = softmax(z)
        for c in range(classes):
            modulation = (1 - p[c]) ** loss["gamma"] if kind == "focal" else 1
            total -= weights[c] * t[c] * modulation * math.log(p[c])
    if kind == "ldam":  # the published code's mean: an image counts as its class weighs
        return total / sum(weights[t.index(1)] for t in targets)
    return total / len(logits)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize(
    "loss",
    [
        {"kind": "plain"},
        {"kind": "class_weighted"},
        {"kind": "effective_number", "beta": 0.9},
        {"kind": "logit_adjusted", "tau": 1.5},
        {"kind": "ldam", "max_margin": 0.4, "scale": 3.0},
        {"kind": "ldam", "max_margin": 0.4, "scale": 3.0, "beta": 0.99},
        {"kind": "focal", "gamma": 0.0},
        {"kind": "focal", "gamma": 2.0},
    ],
)  # fmt: skip
def test_a_batch_costs_what_a_loop_says(loss: dict[str, Any], smoothing: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (8, 4))
    targets = np.eye(4)[rng.permutation([0, 0, 0, 1, 1, 2, 2, 3])]
    if loss["kind"] == "ldam":
        if smoothing:
            with pytest.raises(ValueError, match="LDAM needs hard labels"):
                build(loss, hold(COUNTS), smoothing=smoothing)
            return
    else:
        targets = 0.7 * targets + 0.3 * targets[::-1]
    found = build(loss, hold(COUNTS), smoothing=smoothing)(
        torch.from_numpy(logits).float(), torch.from_numpy(targets).float(), 3
    )
    assert float(found) == pytest.approx(write_out(loss, logits.tolist(), targets.tolist(), smoothing), rel=1e-5)


@pytest.mark.parametrize("counts", [(5, 5), (1, 2, 30), (7, 1, 1, 4)])
def test_class_weights_equal_those_of_scikit_learn(counts: tuple[int, ...]) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    expected = compute_class_weight("balanced", classes=np.arange(len(counts)), y=labels)
    found = ClassWeighted.find_weights(ClassWeightedLoss(), np.bincount(labels).astype(float))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_margins_and_weights_are_those_of_the_papers() -> None:
    """CIFAR-10-LT with ratio 100: 5,000 to 50 images."""
    sizes = exponential_sizes(10, 5000, 100).astype(float)
    margins = find_margins(sizes, 0.5)
    assert margins[-1] == 0.5 and margins[0] == pytest.approx(0.5 / 100**0.25)
    np.testing.assert_allclose(margins / margins[0], (sizes / 5000) ** -0.25)
    assert find_effective_numbers(np.array([1.0, 7.0]), 0.0).tolist() == [1, 1]  # Cui et al., after eq. 2
    np.testing.assert_allclose(find_effective_numbers(sizes, 1 - 1e-9), sizes, rtol=1e-4)
    np.testing.assert_allclose(find_effective_numbers(np.array([5000.0, 50.0]), 0.9999), [3934.9, 49.878], rtol=1e-4)
    weights = weigh_effectively(sizes, 0.9999)
    assert weights.sum() == pytest.approx(10)
    assert weights[-1] / weights[0] == pytest.approx((1 - 0.9999**5000) / (1 - 0.9999**50)) == pytest.approx(78.9, 1e-3)


def find_boundary(loss: Loss, x: Tensor, labels: Tensor) -> float:
    """Where logistic regression that learnt with this loss gives both classes the same score."""
    line = nn.Linear(1, 2).double()
    optimizer = torch.optim.LBFGS(line.parameters(), max_iter=100, line_search_fn="strong_wolfe")
    targets = torch.eye(2, dtype=torch.double)[labels]

    def evaluate() -> Tensor:
        optimizer.zero_grad()
        cost = loss(line(x[:, None]), targets, 0)
        cost.backward()
        return cost

    optimizer.step(evaluate)
    slope, offset = line.weight[1, 0] - line.weight[0, 0], line.bias[1] - line.bias[0]
    return (-offset / slope).item()


@pytest.mark.parametrize(
    ("tau", "sampler", "copies", "expected"),
    [
        (0.0, "uniform", 1, math.log(16) / 2),
        (0.5, "uniform", 1, math.log(4) / 2),
        (1.0, "uniform", 1, 0.0),
        (1.0, "square_root", 4, 0.0),  # not corrected twice
        (0.5, "square_root", 4, math.log(2) / 2),
        (1.0, "class_balanced", 16, 0.0),
    ],
)  # fmt: skip
def test_adjusted_logits_answer_as_if_both_classes_were_equally_frequent(
    tau: float, sampler: str, copies: int, expected: float
) -> None:
    """Normal distributions around -1 and 1, sixteen times as many images of the first: Bayes' rule for these shares
    answers with the second from log(16) / 2 on, for equal shares from 0 on. `copies` of the second are shown."""
    many, few = 4000, 250
    quantiles = [torch.special.ndtri((torch.arange(n, dtype=torch.double) + 0.5) / n) for n in (many, few)]
    x = torch.cat([quantiles[0] - 1, (quantiles[1] + 1).repeat(copies)])
    labels = torch.cat([torch.zeros(many), torch.ones(few * copies)]).long()
    loss = build({"kind": "logit_adjusted", "tau": tau}, hold((many, few)), sampler=sampler)
    assert find_boundary(loss, x, labels) == pytest.approx(expected, abs=0.02)


def read_prior(loss: Loss, classes: int, step: int) -> list[float]:
    """The shares that a logit-adjusted loss assumes: with equal logits and τ = 1 a class costs -log of its share."""
    return [math.exp(-float(loss(torch.zeros(1, classes), torch.eye(classes)[[c]], step))) for c in range(classes)]


def test_the_adjustment_is_that_of_what_is_shown_at_that_step() -> None:
    """Class 0 has ten real images, class 1 one real and ten generated ones; a real image weighs 10."""
    data = hold((10, 11), np.repeat([10.0, 1.0], [11, 10]))
    assert data.counts.tolist() == [10, 2]
    for sampler, before, after in (
        ("uniform", [5 / 6, 1 / 6], [5 / 6, 1 / 6]),
        ("class_balanced", [0.5, 0.5], [0.5, 0.5]),
        ({"kind": "class_balanced", "start": 0.7}, [5 / 6, 1 / 6], [0.5, 0.5]),
        ({"kind": "square_root", "start": 0.7}, [5 / 6, 1 / 6], [5 / (5 + 5**0.5), 5**0.5 / (5 + 5**0.5)]),
    ):
        loss = build("logit_adjusted", data, sampler=sampler)
        for step, expected in ((0, before), (6, before), (7, after), (9, after), (2, before)):
            np.testing.assert_allclose(read_prior(loss, 2, step), expected, rtol=1e-5)


def test_the_adjustment_follows_a_training_that_ends_on_real_images() -> None:
    data = hold((10, 11), np.repeat([10.0, 1.0], [11, 10]))
    budget = ClassifierSettings(steps=10)
    first, last = (
        Uniform(UniformSampler(), each, budget) for each in (data, data.drop_weights(np.arange(21) > 10))
    )  # fmt: skip
    loss = LogitAdjusted(LogitAdjustedLoss(), data, Finishing(first, last, 7), budget, "cpu")
    for step, expected in ((6, [5 / 6, 1 / 6]), (7, [10 / 11, 1 / 11])):
        np.testing.assert_allclose(read_prior(loss, 2, step), expected, rtol=1e-5)


@pytest.mark.parametrize("loss", ["class_weighted", "effective_number", {"kind": "ldam", "beta": 0.99}])
def test_weights_begin_at_exactly_the_step_of_start(loss: Any) -> None:
    keys = {"kind": loss} if isinstance(loss, str) else loss
    always, late = (build({**keys, "start": start}, hold(COUNTS)) for start in (0.0, 0.7))
    never = build("plain" if isinstance(loss, str) else "ldam", hold(COUNTS))
    logits, targets = torch.randn(8, 4, generator=torch.Generator().manual_seed(0)), torch.eye(4).repeat(2, 1)
    assert late(logits, targets, 6) == never(logits, targets, 6) != always(logits, targets, 6)
    # What begins late is the weighted mean of the images' losses, so that the loss does not shrink at that step.
    sizes = dict(always=always, late=late)
    found = {name: float(each(logits, targets, 7)) for name, each in sizes.items()}
    weight = torch.as_tensor(always.weight)  # type: ignore[attr-defined]
    mean = float((targets * weight).sum() / len(targets))
    assert found["late"] == pytest.approx(found["always"] / (1 if isinstance(loss, dict) else mean), rel=1e-6)


def test_weights_that_begin_late_leave_the_size_of_the_loss() -> None:
    """Batches as uniform sampling shows them: rare images are few, so the mean of their weights is far below 1."""
    data = hold((500, 5))
    rows = np.random.default_rng(0).choice(505, 400)
    targets = torch.eye(2)[data.labels[rows]]
    logits = torch.zeros(400, 2)
    for keys in ({"kind": "ldam", "max_margin": 1e-9}, {"kind": "effective_number"}):
        loss = build({**keys, "beta": 0.9999, "start": 0.5}, data)
        assert float(loss(logits, targets, 9)) == pytest.approx(float(loss(logits, targets, 0)), rel=1e-5)


def test_the_first_step_is_the_share_that_was_written_and_never_beyond_the_last() -> None:
    assert [Deferred(kind="any", start=start).first_step(100) for start in (0, 0.29, 0.57, 0.999)] == [0, 29, 57, 99]
    for steps in (1, 2, 3, 500, 2**20):
        for start in (math.nextafter(1, 0), 0.999999, 0.5, 1e-300):
            assert 0 <= Deferred(kind="any", start=start).first_step(steps) < steps


@pytest.mark.parametrize("loss", [*LOSSES, {"kind": "ldam", "beta": 0.9}])
@pytest.mark.parametrize("counts", [(5, 0, 1), (0, 3, 3)])
def test_a_class_without_images_costs_nothing_infinite(loss: Any, counts: tuple[int, ...]) -> None:
    hard = "ldam" in str(loss)
    logits = torch.randn(3, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    found = build(loss, hold(counts), smoothing=0.0 if hard else 0.1)(logits, torch.eye(3)[[2, 2, 2]], 0)
    found.backward()
    assert 0 < found < 40 and torch.isfinite(logits.grad).all()


def test_the_focal_loss_of_an_image_that_is_surely_right_has_a_finite_gradient() -> None:
    logits = torch.tensor([[80.0, -80.0], [0.0, 0.0]], requires_grad=True)
    build({"kind": "focal", "gamma": 0.5}, hold((1, 1)))(logits, torch.eye(2), 0).backward()
    assert torch.isfinite(logits.grad).all() and logits.grad[1].abs().sum() > 0


def test_a_cosine_head_sees_directions_alone_in_full_precision() -> None:
    torch.manual_seed(0)
    head, x = CosineHead(6, 3, scale=30.0), torch.randn(5, 6)
    torch.testing.assert_close(head.weight.norm(dim=1), torch.ones(3))
    plain = head(x)
    expected = 30 * torch.nn.functional.cosine_similarity(x[:, None], head.weight[None], dim=2)
    torch.testing.assert_close(plain, expected)
    torch.testing.assert_close(head(7 * x), plain)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(head(x), plain)


def test_ldam_is_stored_with_its_head_and_widens_margins(tmp_path: Path) -> None:
    """Each class is a stripe; with a margin the network separates training images further than without."""
    rng, labels = np.random.default_rng(0), np.repeat([0, 1, 2], [30, 10, 5])
    images = rng.integers(0, 60, (45, 1, 12, 12))
    for image, label in zip(images, labels, strict=True):
        image[0, 4 * label : 4 * label + 4] += 150
    data = TrainingSet(torch.from_numpy(images.astype(np.uint8)), torch.from_numpy(labels), np.ones(45), 3)
    budget = ClassifierSettings(steps=60, batch_size=16, network=SmallResNet(width=4), precision="fp32")
    gaps = []
    for margin in (1e-6, 0.8):
        arm = Arm.model_validate({"loss": {"kind": "ldam", "max_margin": margin, "scale": 12.0}})
        model = train(data, arm, budget, learning_rate=0.02, weight_decay=0.0, seed=0)
        logits = predict(model, data.images, precision="fp32")
        assert (logits.argmax(1) == data.labels).all() and logits.abs().max() <= 12.001
        own = logits.gather(1, data.labels[:, None])[:, 0]
        others = logits.scatter(1, data.labels[:, None], -math.inf).amax(1)
        gaps.append(float((own - others)[labels == 2].mean()))
    assert gaps[1] > gaps[0] + 1
    save_classifiers(tmp_path / "arm", {0: model.state_dict()}, model.description)
    again = load_classifier(tmp_path / "arm", 0)
    assert again.description == model.description and again.description["head"] == {"kind": "cosine", "scale": 12.0}
    assert torch.equal(predict(again, data.images, precision="fp32"), logits)
