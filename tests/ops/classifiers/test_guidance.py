"""What arms learn besides labels, and what keeps generated images apart: closed forms, and steps of a tiny training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ops.classifiers import lessons
from ops.classifiers.consistency import Consistency
from ops.classifiers.data import TrainingSet
from ops.classifiers.domains import Domains, Twin
from ops.classifiers.examples import Examples
from ops.classifiers.ingredients import Training
from ops.classifiers.lessons import Lessons
from ops.classifiers.networks.classifier import Classifier, normalise
from ops.classifiers.placebos.parents import draw_parents
from ops.classifiers.sampling import iterate_batches
from ops.classifiers.statistics import reestimate_statistics
from ops.classifiers.targets.teacher import average_answers, distil
from ops.classifiers.training import train
from ops.recipe.arms import Arm, SmallResNet
from ops.recipe.classifiers import ClassifierSettings

BUDGET = ClassifierSettings(steps=12, batch_size=16, network=SmallResNet(width=4), precision="fp32")
REAL, GENERATED = 24, 36


def make_mixed() -> TrainingSet:
    """Real images are dark and generated ones bright, so that a view says where it comes from."""
    rng = np.random.default_rng(0)
    dark = rng.integers(0, 100, (REAL, 1, 12, 12))
    bright = rng.integers(150, 256, (GENERATED, 1, 12, 12))
    images = torch.from_numpy(np.concatenate([dark, bright]).astype(np.uint8))
    marks = np.arange(REAL + GENERATED) >= REAL
    labels = torch.arange(len(marks)) % 3
    return TrainingSet(images, labels, np.where(marks, 1.0, 2.0), 3, marks)


DATA = make_mixed()


def start(arm: Arm, data: TrainingSet = DATA, teachers: Any = ()) -> tuple[Lessons, Classifier]:
    """A training before its first step."""
    torch.manual_seed(0)
    model = Classifier(BUDGET.network, data.shape, data.classes)
    return Lessons(Training(data, arm, BUDGET, 0.01, 0.1, 5, teachers=teachers), model, "fp32"), model


def fit(arm: Arm, *, data: TrainingSet = DATA, teachers: Any = (), budget: ClassifierSettings = BUDGET) -> Classifier:
    return train(data, arm, budget, learning_rate=0.02, weight_decay=0.1, seed=5, teachers=teachers)


def answer_brightness(images: Tensor) -> Tensor:
    """A teacher that names class 0 with certainty for a bright image and class 2 for a dark one."""
    bright = images.mean(dim=(1, 2, 3)) > 0
    return 30.0 * F.one_hot(torch.where(bright, 0, 2), 3).float()


def test_distillation_equals_the_sum_over_classes_times_the_square_of_the_temperature() -> None:
    torch.manual_seed(1)
    logits, each, t = torch.randn(8, 5), [torch.randn(8, 5) for _ in range(3)], 3.0
    p = torch.zeros(8, 5)
    for network in each:
        for i in range(8):
            p[i] += (network[i] / t).exp() / (network[i] / t).exp().sum() / 3
    q = (logits / t).exp() / (logits / t).exp().sum(dim=1, keepdim=True)
    divergence = sum(float((p[i] * (p[i] / q[i]).log()).sum()) for i in range(8)) / 8
    torch.testing.assert_close(average_answers(each, t), p)
    assert float(distil(logits, average_answers(each, t), t)) == pytest.approx(t**2 * divergence, rel=1e-5)
    assert float(distil(logits, average_answers([logits], t), t)) == pytest.approx(0, abs=1e-5)


def test_teachers_answer_for_the_very_pixels_that_the_student_sees() -> None:
    seen: list[Tensor] = []

    def teach(images: Tensor) -> Tensor:
        seen.append(images.clone())
        return torch.zeros(len(images), 3)

    arm = Arm.model_validate(
        {"augmentation": "flip_crop", "pairing": "mixup", "targets": {"kind": "teacher", "of": "x"}}
    )
    taught, _ = start(arm, teachers=[teach])
    (part,) = taught.prepare(0)
    part.find_loss(torch.zeros(16, 3))
    torch.testing.assert_close(seen[0], part.images, rtol=0, atol=0)


@pytest.mark.parametrize(("images", "of_real"), [("generated", False), ("real", True)])
def test_teachers_label_only_the_images_that_the_recipe_says(images: str, of_real: bool) -> None:
    arm = Arm.model_validate({"targets": {"kind": "teacher", "of": "x", "temperature": 1.0, "images": images}})
    taught, _ = start(arm, teachers=[answer_brightness])
    parts, logits = taught.prepare(0), torch.zeros(16, 3)
    logits[:, 2] = 5.0
    assert [part.is_generated for part in parts] == [False, True]
    assert sum(len(part.images) for part in parts) == 16
    for part in parts:
        share, found = len(part.images) / 16, logits[: len(part.images)]
        # Of these logits only the teacher's answer to dark images, class 2, is certain to agree.
        sure = share * float(F.cross_entropy(found, torch.full((len(found),), 2 if not part.is_generated else 0)))
        loss = float(part.find_loss(found))
        if part.is_generated != of_real:
            assert loss == pytest.approx(sure, abs=1e-4)
        else:
            assert abs(loss - sure) > 0.1 * share


def test_a_share_of_the_teachers_leaves_the_rest_to_the_labels() -> None:
    keys = {"kind": "teacher", "of": "x", "temperature": 2.0}
    logits = torch.randn(16, 3, generator=torch.Generator().manual_seed(3))

    def loss_at(targets: Any) -> float:
        taught, _ = start(Arm.model_validate({"targets": targets}), teachers=[answer_brightness])
        return float(sum(part.find_loss(logits) for part in taught.prepare(0)))

    labels, teachers = loss_at("labels"), loss_at(keys)
    assert loss_at({**keys, "weight": 0.25}) == pytest.approx(0.75 * labels + 0.25 * teachers, rel=1e-5)


def test_a_student_learns_what_its_teacher_says_against_its_labels() -> None:
    arm = Arm.model_validate({"targets": {"kind": "teacher", "of": "x", "temperature": 1.0}})
    budget = BUDGET.model_copy(update={"steps": 40})
    student = fit(arm, teachers=[answer_brightness], budget=budget)
    with torch.no_grad():
        told = student(normalise(DATA.images)).argmax(dim=1)
    assert (told == torch.from_numpy(np.where(DATA.marks, 0, 2))).float().mean() > 0.95


def test_consistency_is_the_divergence_of_sure_answers_and_grows_with_the_ramp() -> None:
    arm = Arm.model_validate({"consistency": {"kind": "ema", "threshold": 0.6, "ramp": 0.5, "weight": 3.0}})
    taught, _ = start(arm)
    labelled, views = taught.prepare(0)
    assert isinstance(taught.consistency, Consistency) and len(views.images) == 16
    assert float(labelled.images.mean()) < 0  # real images, which are dark, have labels
    assert torch.equal(taught.consistency.weak.data.images, DATA.images[REAL:])
    unlabelled = taught.consistency.look(1)
    sure = torch.tensor([[0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    logits = torch.randn(3, 3, generator=torch.Generator().manual_seed(4))
    q = logits.softmax(dim=1)
    each = (sure * (sure / q).log()).sum(dim=1)
    known = type(unlabelled)(logits, sure)
    for step, grown in ((0, 0.0), (3, 0.5), (6, 1.0), (9, 1.0)):  # the ramp is half of 12 steps
        expected = 3.0 * grown * float(each[0] + each[2]) / 3
        assert float(taught.consistency.find_loss(logits, known, step)) == pytest.approx(expected, rel=1e-5)


def test_the_averaged_network_follows_with_its_decay() -> None:
    arm = Arm.model_validate({"consistency": {"kind": "ema", "decay": 0.6}})
    taught, model = start(arm)
    assert taught.consistency is not None
    before = [each.clone() for each in taught.consistency.average.parameters()]
    with torch.no_grad():
        for each in model.parameters():
            each += 1.0
    taught.consistency.look(1_000)
    for old, new in zip(before, taught.consistency.average.parameters(), strict=True):
        torch.testing.assert_close(new, old + 0.4)


def test_the_last_steps_show_real_images_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.ndarray] = []

    def record(*arguments: Any) -> Iterator[np.ndarray]:
        for rows in iterate_batches(*arguments):
            seen.append(DATA.marks[rows])
            yield rows

    monkeypatch.setattr(lessons, "iterate_batches", record)
    fit(Arm(finish=0.25))
    assert all(marks.any() for marks in seen[:9]) and not any(marks.any() for marks in seen[9:])
    assert len(seen) == 12
    seen.clear()
    fit(Arm(finish=0.999))
    assert seen[0].any() and not any(marks.any() for marks in seen[1:])
    seen.clear()
    light = np.where(DATA.marks, 1.0, 0.5 / (~DATA.marks).sum())  # real images weigh less than one image together
    fit(Arm(finish=0.25), data=replace(DATA, weights=light))
    assert len(seen) == 12 and not any(marks.any() for marks in seen[9:])


@pytest.mark.parametrize("kind", ["class_weighted", "ldam", "logit_adjusted"])
def test_a_loss_that_goes_by_class_sizes_follows_the_end_on_real_images(kind: str) -> None:
    """Together the classes are equal, and real images alone are 18, 4 and 2."""
    labels = torch.from_numpy(np.repeat([0, 1, 2, 0, 1, 2], [18, 4, 2, 2, 16, 18]))
    data = replace(DATA, labels=labels, weights=np.ones(60))
    ending, real = start(Arm.model_validate({"loss": kind, "finish": 0.25}), data)[0], data.select(~data.marks)
    mixed, alone = (start(Arm.model_validate({"loss": kind}), each)[0] for each in (data, real))
    logits, targets = torch.randn(6, 3), F.one_hot(torch.arange(6) % 3, 3).float()
    assert ending.loss(logits, targets, 8) == mixed.loss(logits, targets, 8)
    assert ending.loss(logits, targets, 9) == pytest.approx(float(alone.loss(logits, targets, 9)), rel=1e-5)
    assert float(alone.loss(logits, targets, 9)) != pytest.approx(float(mixed.loss(logits, targets, 9)), rel=1e-3)


@pytest.mark.parametrize("kind", ["class_weighted", "ldam", "logit_adjusted"])
def test_a_loss_that_is_not_asked_needs_no_class_sizes(kind: str) -> None:
    """In the end real images alone are shown, and teachers label them."""
    keys = {"loss": kind, "finish": 0.25, "targets": {"kind": "teacher", "of": "x", "images": "real"}}
    taught, _ = start(Arm.model_validate(keys), teachers=[answer_brightness])
    logits, targets = torch.randn(6, 3), F.one_hot(torch.arange(6) % 3, 3).float()
    assert float(taught.loss(logits, targets, 11)) == pytest.approx(float(F.cross_entropy(logits, targets)))


@pytest.mark.parametrize("kind", ["class_weighted", "logit_adjusted"])
@pytest.mark.parametrize("images", ["generated", "real"])
def test_a_loss_goes_by_the_images_whose_labels_it_sees(kind: str, images: str) -> None:
    labels = torch.from_numpy(np.repeat([0, 1, 2, 0, 1, 2], [18, 4, 2, 2, 16, 18]))
    data = replace(DATA, labels=labels, weights=np.ones(60))
    keys = {"loss": kind, "targets": {"kind": "teacher", "of": "x", "images": images}}
    taught, _ = start(Arm.model_validate(keys), data, teachers=[answer_brightness])
    seen = data.select(data.marks if images == "real" else ~data.marks)
    alone, _ = start(Arm.model_validate({"loss": kind}), seen)
    logits, targets = torch.randn(6, 3), F.one_hot(torch.arange(6) % 3, 3).float()
    assert float(taught.loss(logits, targets, 0)) == pytest.approx(float(alone.loss(logits, targets, 0)), rel=1e-5)


@pytest.mark.parametrize("apart", ["norm", "head", "both"])
def test_layers_of_generated_images_are_dropped_and_never_change_those_of_real_ones(apart: Any) -> None:
    torch.manual_seed(0)
    network = Classifier(BUDGET.network, DATA.shape, 3)
    names = list(network.state_dict())
    domains = Domains(network, apart)
    twins = [layer for layer in network.modules() if isinstance(layer, Twin)]
    assert len(twins) == {"norm": 6, "head": 1, "both": 7}[apart]
    kept = {name: value.clone() for name, value in network.state_dict().items() if ".real." in name}
    domains.forward(normalise(DATA.images), is_generated=True).sum().backward()
    assert all(parameter.grad is None for twin in twins for parameter in twin.real.parameters())
    assert all(torch.equal(network.state_dict()[name], value) for name, value in kept.items())
    domains.forward(normalise(DATA.images), is_generated=False).sum().backward()
    assert all(parameter.grad is not None for twin in twins for parameter in twin.real.parameters())
    domains.join()
    assert list(network.state_dict()) == names
    fit(Arm(separate=apart), budget=BUDGET.model_copy(update={"batch_size": 2}))  # one real image, one generated
    assert list(fit(Arm(separate=apart)).state_dict()) == names


def test_statistics_are_those_of_the_clean_images() -> None:
    torch.manual_seed(0)
    network = Classifier(BUDGET.network, DATA.shape, 3)
    norm = next(layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d))
    inputs: list[Tensor] = []
    norm.register_forward_hook(lambda layer, given, out: inputs.append(given[0].detach().clone()))
    weights = [each.clone() for each in network.parameters()]
    reestimate_statistics(network, DATA.images, precision="fp32", device="cpu")
    torch.testing.assert_close(norm.running_mean, inputs[0].mean(dim=(0, 2, 3)))
    torch.testing.assert_close(norm.running_var, inputs[0].var(dim=(0, 2, 3)))
    assert all(torch.equal(a, b) for a, b in zip(weights, network.parameters(), strict=True))
    assert not network.training and norm.momentum == 0.1


def test_clean_statistics_come_from_real_images_in_the_proportions_of_the_sampler() -> None:
    taught, _ = start(Arm(sampler="class_balanced"))
    clean = taught.list_clean()
    assert len(clean) == REAL and float(clean.float().mean()) < 100  # generated images are brighter
    plain = fit(Arm())
    mended = fit(Arm(), budget=BUDGET.model_copy(update={"clean_statistics": True}))
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), mended.parameters(), strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(plain.buffers(), mended.buffers(), strict=True))


def drop_rows(examples: Examples, dropped: np.ndarray) -> Examples:
    assert examples.is_generated is not None
    kept = (each[~dropped] for each in (examples.images, examples.labels, examples.weights, examples.is_generated))
    return Examples(*kept)


def make_examples() -> Examples:
    return Examples(DATA.images.numpy(), DATA.labels.numpy(), DATA.weights, DATA.is_generated)


@pytest.mark.parametrize("placebo", ["augmented", "mixed"])
def test_a_placebo_shows_real_images_of_the_class_with_labels_and_weights_of_the_generated_ones(placebo: Any) -> None:
    examples = make_examples()
    found = examples.build_set(Arm(placebo=placebo), 3, seed=1)
    again, other = (examples.build_set(Arm(placebo=placebo), 3, seed=seed) for seed in (1, 2))
    assert torch.equal(found.labels, DATA.labels) and np.array_equal(found.weights, DATA.weights)
    assert torch.equal(found.images[:REAL], DATA.images[:REAL])
    assert float(found.images[REAL:].float().mean()) < 110  # real images are dark
    assert torch.equal(found.images, again.images) and not torch.equal(found.images, other.images)


@pytest.mark.parametrize("placebo", ["augmented", "mixed"])
def test_a_placebo_of_no_generated_image_is_none(placebo: Any) -> None:
    """Of several generators one may have had no image accepted, which a rehearsal goes on with."""
    alone = drop_rows(make_examples(), np.asarray(DATA.marks))
    found = replace(alone, is_seed=np.ones(REAL, bool)).build_set(Arm(placebo=placebo), 3, seed=1)
    assert torch.equal(found.images, DATA.images[:REAL]) and torch.equal(found.labels, DATA.labels[:REAL])


def test_parents_of_a_placebo_have_its_class_and_are_used_equally_often() -> None:
    labels, marks = DATA.labels.numpy(), DATA.marks
    parents = draw_parents(labels, marks, np.random.default_rng(0))
    assert np.array_equal(labels[parents], labels[marks]) and not marks[parents].any()
    counts = np.bincount(parents, minlength=REAL)
    assert counts.max() - counts.min() <= 1
    with pytest.raises(ValueError, match="class 2 has generated images, but no real one"):
        draw_parents(labels, marks | (labels == 2), np.random.default_rng(0))


@pytest.mark.parametrize("unlabelled", [0, 4])
def test_any_real_image_takes_the_place_of_a_generated_one_without_a_label(unlabelled: int) -> None:
    labels = np.array([0, 1, 0, 1, 2, 2, *[-1] * unlabelled, *[-1] * 30])
    marks = np.arange(len(labels)) >= 6 + unlabelled
    parents = draw_parents(labels, marks, np.random.default_rng(0))
    counts = np.bincount(parents, minlength=6 + unlabelled)
    assert len(counts) == 6 + unlabelled and counts.max() - counts.min() <= 1


@pytest.mark.parametrize("placebo", ["augmented", "mixed"])
def test_a_placebo_is_made_of_the_seed_images_of_the_variants_alone(placebo: Any) -> None:
    """Half of the real images are seeds. Whatever the others look like, an augmented placebo is the same, and only the
    second partner of a blend changes."""
    examples = make_examples()
    assert examples.is_generated is not None
    seeds = ~examples.is_generated & (np.arange(len(examples.labels)) % 2 == 0)
    hidden = examples.images.copy()
    hidden[~seeds & ~examples.is_generated] = 255 - hidden[~seeds & ~examples.is_generated]
    arm = Arm.model_validate({"placebo": placebo if placebo == "augmented" else {"kind": "mixed", "alpha": 1e-3}})
    one, other = (
        replace(examples, images=images, is_seed=seeds).build_set(arm, 3, seed=1).images[REAL:]
        for images in (examples.images, hidden)
    )
    unlike = replace(examples, images=hidden).build_set(arm, 3, seed=1).images[REAL:]
    same = (one == other).flatten(1).all(1).float().mean()
    if placebo == "augmented":
        assert same == 1 and not torch.equal(unlike, one)
    else:  # about half of the blends are x, and those of x' are of seeds half of the time
        assert 0.6 < same < 0.9
    everything = replace(examples, is_seed=~examples.is_generated).build_set(arm, 3, seed=1)
    assert torch.equal(everything.images, examples.build_set(arm, 3, seed=1).images)


def test_images_rejected_for_their_label_are_seen_by_arms_that_relabel_them_alone() -> None:
    rejected = np.arange(len(DATA.labels)) >= len(DATA.labels) - 10
    base = make_examples()
    examples = Examples(base.images, base.labels, base.weights, base.is_generated, rejected)
    teacher = {"kind": "teacher", "of": "x"}
    assert len(examples.build_set(Arm(), 3, 0).labels) == len(DATA.labels) - 10
    assert len(examples.build_set(Arm.model_validate({"targets": teacher}), 3, 0).labels) == len(DATA.labels) - 10
    relabelled = examples.build_set(Arm.model_validate({"targets": {**teacher, "relabel": True}}), 3, 0)
    assert len(relabelled.labels) == len(DATA.labels) and relabelled.weights[-1] == 1.0
    placebos = [each.build_set(Arm(placebo="mixed"), 3, 0) for each in (examples, drop_rows(base, rejected))]
    assert torch.equal(placebos[0].images, placebos[1].images)  # whatever other arms relabel


def test_an_arm_with_a_ratio_learns_from_the_first_generated_images_of_each_class() -> None:
    base = make_examples()
    assert base.is_generated is not None
    turns = np.full(len(base.labels), -1)
    for label in range(3):
        own = np.flatnonzero(base.is_generated & (base.labels == label))
        turns[own] = np.random.default_rng(label).permutation(len(own))
    examples, sets = replace(base, turns=turns), {}
    real = np.bincount(base.labels[~base.is_generated], minlength=3)
    for ratio in (0.5, 1.0, 99.0):
        arm = Arm.model_validate({"ratio": ratio})
        kept = examples.weigh(arm) > 0
        assert kept[~base.is_generated].all() and set(examples.weigh(arm)[kept]) <= set(base.weights)
        for label in range(3):
            own = base.is_generated & (base.labels == label)
            assert sorted(turns[own & kept]) == list(range(min(own.sum(), round(ratio * real[label]))))
        found = examples.build_set(arm, 3, seed=0)
        assert torch.equal(found.images, torch.from_numpy(base.images[kept]))
        sets[ratio] = set(np.flatnonzero(kept))
    assert sets[0.5] < sets[1.0] < sets[99.0] == set(range(len(base.labels)))
    placebo = examples.build_set(Arm.model_validate({"ratio": 0.5, "placebo": "mixed"}), 3, seed=1)
    assert len(placebo.labels) == len(sets[0.5])
