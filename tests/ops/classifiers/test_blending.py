"""mixup, CutMix and SamplePairing against formulas, counted pixels, counted epochs and known distributions."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import stats
from torch import Tensor

from ops.classifiers import blending
from ops.classifiers.blending import Partners, Schedule, count_steps, cutmix, mixup, samplepairing

MODES: list[Any] = ["batch", "pair", "element"]
IMAGE: Any = "image"
Blend = Callable[..., tuple[Tensor, Tensor]]


def make_marked(count: int, side: int = 1) -> Tensor:
    """Images [n, n, side, side]: channel i is 1 in image i alone, so that a mixed image tells its parts."""
    return torch.eye(count).reshape(count, count, 1, 1).expand(-1, -1, side, side).contiguous()


def read_parts(mixed: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Partner and own share of each marked image; an image without a partner is its own."""
    shares = mixed.mean(dim=(2, 3)).double().numpy()
    own = shares.diagonal().copy()
    np.fill_diagonal(shares, 0)
    return np.where(own > 1 - 1e-6, np.arange(len(own)), shares.argmax(1)), own


def test_it_needs_torch_and_numpy_only() -> None:
    tree = ast.parse(Path(blending.__file__).read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} - sys.stdlib_module_names == {"torch", "numpy"}


def test_mixup_of_a_batch_equals_the_formula_bit_by_bit() -> None:
    images, targets = torch.rand(9, 1, 4, 4), F.one_hot(torch.arange(9) % 3, 3).float()
    mixed, soft = mixup(images, targets, np.random.default_rng(5), alpha=0.7)
    twin = np.random.default_rng(5)
    blend, order = twin.beta(0.7, 0.7), torch.from_numpy(twin.permutation(9))
    assert 0 < blend < 1
    assert torch.equal(mixed, torch.lerp(images[order], images, blend))
    assert torch.equal(soft, torch.lerp(targets[order], targets, blend))
    for i, j in enumerate(order):
        torch.testing.assert_close(mixed[i], blend * images[i] + (1 - blend) * images[j])


@pytest.mark.parametrize("blend", [mixup, cutmix])
@pytest.mark.parametrize("per", MODES)
@pytest.mark.parametrize("count", [2, 7, 8])
def test_images_and_targets_share_permutation_and_lambda(blend: Blend, per: str, count: int) -> None:
    images, targets = make_marked(count, side=8), torch.eye(count)
    for seed in range(20):
        mixed, soft = blend(images, targets, np.random.default_rng(seed), per=per)
        torch.testing.assert_close(mixed.mean(dim=(2, 3)), soft, rtol=0, atol=1e-6)
        torch.testing.assert_close(soft.sum(1), torch.ones(count))


@pytest.mark.parametrize("blend", [mixup, cutmix])
@pytest.mark.parametrize("per", MODES)
def test_a_mode_says_what_draws_its_own_lambda(blend: Blend, per: str) -> None:
    mixed, _ = blend(make_marked(9, side=32), torch.eye(9), np.random.default_rng(1), per=per)
    partners, own = read_parts(mixed)
    paired = own[partners != np.arange(9)].round(6)
    if per == "batch":
        assert len(set(paired)) == 1 and sorted(partners) == list(range(9))
    elif per == "element":
        assert len(set(paired)) > 5
    else:  # four pairs, mixed both ways, and one image that is left over
        assert len(paired) == 8 and len(set(paired)) == 4
        assert partners[partners].tolist() == list(range(9))
        np.testing.assert_allclose(own[partners], own, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 8.0])
@pytest.mark.parametrize("per", MODES)
def test_lambda_follows_a_beta_distribution(per: Any, alpha: float) -> None:
    rng, found = np.random.default_rng(0), []
    images, targets = make_marked(64), torch.eye(64)
    for _ in range(400 if per == "batch" else 20):
        partners, own = read_parts(mixup(images, targets, rng, alpha=alpha, per=per)[0])
        values = own[(partners < np.arange(64)) if per == "pair" else (partners != np.arange(64))]
        found += list(values[:1] if per == "batch" else values)
    assert len(found) > 390
    assert stats.kstest(found, stats.beta(alpha, alpha).cdf).pvalue > 0.01


@pytest.mark.parametrize("blend", [mixup, cutmix])
def test_every_other_image_is_equally_likely_a_partner(blend: Blend) -> None:
    rng, met = np.random.default_rng(2), np.zeros((5, 5))
    for _ in range(1500):
        partners, _ = read_parts(blend(make_marked(5, side=4), torch.eye(5), rng, alpha=4.0, per="pair")[0])
        met[np.arange(5), partners] += 1
    np.testing.assert_allclose(met[~np.eye(5, dtype=bool)] / met.sum() * 25, 1, atol=0.2)


@pytest.mark.parametrize("blend", [mixup, cutmix])
@pytest.mark.parametrize("per", MODES)
def test_the_loss_of_soft_targets_is_the_mixture_of_the_losses(blend: Blend, per: str) -> None:
    labels, logits = torch.randint(0, 4, (10,)), torch.randn(10, 4)
    mixed, soft = blend(make_marked(10, side=8), labels, np.random.default_rng(3), per=per, classes=4)
    partners, own = read_parts(mixed)
    a = F.cross_entropy(logits, labels, reduction="none").numpy()
    b = F.cross_entropy(logits, labels[torch.from_numpy(partners)], reduction="none").numpy()
    assert float(F.cross_entropy(logits, soft)) == pytest.approx(np.mean(own * a + (1 - own) * b), rel=1e-4)


@pytest.mark.parametrize("blend", [mixup, cutmix])
def test_indices_and_soft_targets_give_the_same(blend: Blend) -> None:
    images, labels = torch.rand(6, 3, 8, 8), torch.tensor([0, 2, 1, 1, 0, 2])
    first = blend(images, labels, np.random.default_rng(4), classes=3)
    other = blend(images, F.one_hot(labels, 3).float(), np.random.default_rng(4))
    assert all(torch.equal(a, b) for a, b in zip(first, other, strict=True))
    assert torch.equal(samplepairing(images, labels, images, classes=3)[1], F.one_hot(labels, 3).float())


@pytest.mark.parametrize("per", MODES)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 9, 17)])
def test_cutmix_pastes_one_box_and_shares_labels_by_its_pixels(per: Any, shape: tuple[int, int, int]) -> None:
    rng, count = np.random.default_rng(0), 7
    images = torch.arange(1.0, count + 1).reshape(-1, 1, 1, 1).expand(-1, *shape).contiguous()
    for _ in range(20):
        mixed, soft = cutmix(images, torch.arange(count), rng, per=per, classes=count)
        for i in range(count):
            assert torch.equal(mixed[i, 0], mixed[i, -1])
            values, pixels = mixed[i, 0].unique(return_counts=True)
            expected = torch.zeros(count)
            expected[values.long() - 1] = pixels / (shape[1] * shape[2])
            torch.testing.assert_close(soft[i], expected, rtol=0, atol=1e-6)
            if len(rows := (foreign := mixed[i, 0] != i + 1).nonzero()):
                (top, left), (bottom, right) = rows.min(0).values, rows.max(0).values + 1
                assert int(foreign.sum()) == (bottom - top) * (right - left)


def test_the_boxes_of_cutmix_have_the_size_and_places_of_the_paper() -> None:
    """With λ = 1/2 all boxes have sides of floor(28·√0.5) = 19 pixels, and what lies outside is cut off."""
    rng, found = np.random.default_rng(1), []
    images, targets = make_marked(2, side=28), torch.eye(2)
    for _ in range(1500):
        mixed, _ = cutmix(images, targets, rng, alpha=1e9, per="pair")
        found.append(float(mixed[0, 1].sum()))
    spans = [min(28, centre - 9 + 19) - max(0, centre - 9) for centre in range(28)]
    areas = np.outer(spans, spans)
    assert max(found) == 19 * 19 == areas.max() and min(found) >= areas.min()
    assert np.mean(found) == pytest.approx(areas.mean(), rel=0.03)


def test_cutmix_pastes_with_its_probability() -> None:
    rng = np.random.default_rng(1)
    images, targets = make_marked(64, side=8), torch.eye(64)
    mixed = torch.cat([cutmix(images, targets, rng, alpha=8.0, per="element", probability=0.3)[1] for _ in range(20)])
    assert float((mixed.max(1).values < 1).float().mean()) == pytest.approx(0.3 * 63 / 64, abs=0.04)


def test_mixing_leaves_its_inputs_and_the_layout_of_memory() -> None:
    plain, targets = torch.rand(6, 3, 8, 8), torch.eye(6)
    for layout in (torch.channels_last, torch.contiguous_format):
        images = plain.contiguous(memory_format=layout)
        for blend in (mixup, cutmix):
            for per in MODES:
                mixed, _ = blend(images, targets, np.random.default_rng(0), per=per)
                assert mixed.is_contiguous(memory_format=layout)
        assert torch.equal(images, plain) and torch.equal(targets, torch.eye(6))


def test_samplepairing_averages_and_keeps_the_label_of_a() -> None:
    images, others, targets = torch.rand(5, 1, 4, 4), torch.rand(5, 1, 4, 4), torch.rand(5, 3)
    mixed, soft = samplepairing(images, targets, others)
    assert torch.equal(mixed, (images + others) / 2) and torch.equal(soft, targets)


@pytest.mark.parametrize(
    ("policy", "ceiling"), [("any", 0.5 + 1 / (2 * 10)), ("different_class", 0.5), ("same_class", 1.0)]
)
def test_training_accuracy_under_samplepairing_has_its_ceiling(policy: Any, ceiling: float) -> None:
    """A perfect network sees which classes an image is made of, but not which of the two is its label."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), 30)
    images = torch.eye(10)[torch.from_numpy(labels)].reshape(-1, 10, 1, 1)
    a = rng.integers(len(labels), size=20_000)
    b = Partners(labels, policy=policy).draw(labels[a], rng)
    mixed, soft = samplepairing(images[a], torch.from_numpy(labels[a]), images[b], classes=10)
    answers = (mixed[:, :, 0, 0] + 0.01 * torch.from_numpy(rng.random((len(a), 10)))).argmax(1)  # ties: at random
    assert float((answers == soft.argmax(1)).float().mean()) == pytest.approx(ceiling, abs=0.012)


def walk_through(start: int, until: int, on: int, off: int, total: int) -> list[bool]:
    """The phases of a training, by counting as a training loop would."""
    phases, left, is_on = [], on, True
    for position in range(total):
        if position < start or position >= until:
            phases.append(False)
            continue
        phases.append(is_on)
        left -= 1
        if not left:
            is_on = not is_on
            left = on if is_on else off
    return phases


def test_the_published_schedules_step_by_step() -> None:
    epochs = walk_through(100, 800, 8, 2, 1000)
    assert sum(epochs) == 560
    published, shares = Schedule(100, 800, 8, 2), Schedule(0.1, 0.8, 0.008, 0.002)
    assert [published.is_on(epoch) for epoch in range(1000)] == epochs
    assert [shares.is_on(epoch / 1000) for epoch in range(1000)] == epochs  # 0.108 lies behind 0.1 + 0.008
    images = Schedule(1.28e6, 236e6, 300e3, 100e3)
    assert [images.is_on(20_000 * i) for i in range(14_500)] == walk_through(64, 11_800, 15, 5, 14_500)


@pytest.mark.parametrize(("share", "steps", "expected"), [(0.9, 400, 360), (0.7, 10, 7), (0.01, 30, 1), (1.0, 7, 7)])
def test_a_share_of_the_steps_is_exact(share: float, steps: int, expected: int) -> None:
    assert count_steps(share, steps) == expected


def count_partners(policy: Any, weights: np.ndarray | None, own: int) -> np.ndarray:
    labels = np.array([1, 0, 2, 1, 0, 4, 1, 2])  # no image of class 3
    rows = Partners(labels, weights, policy).draw(np.full(60_000, own), np.random.default_rng(own))
    return np.bincount(rows, minlength=8) / 60_000


@pytest.mark.parametrize("own", [0, 1, 2, 4])
@pytest.mark.parametrize("weights", [None, np.array([10.0, 10.0, 0.0, 1.0, 1.0, 0.5, 2.0, 3.0])])
@pytest.mark.parametrize("policy", ["any", "different_class", "same_class"])
def test_partners_are_drawn_in_proportion_to_weights(policy: str, weights: np.ndarray | None, own: int) -> None:
    labels = np.array([1, 0, 2, 1, 0, 4, 1, 2])
    allowed = {"any": labels >= 0, "different_class": labels != own, "same_class": labels == own}[policy]
    expected = allowed * (np.ones(8) if weights is None else weights)
    found = count_partners(policy, weights, own)
    np.testing.assert_allclose(found, expected / expected.sum(), atol=0.01)
    assert not found[expected == 0].any()


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda x, y, rng: mixup(x[:1], y[:1], rng), "1 images with 1 targets: two or more"),
        (lambda x, y, rng: cutmix(x, y[:3], rng), "4 images with 3 targets"),
        (lambda x, y, rng: mixup(x, y, rng, alpha=0.0), "alpha must be above 0"),
        (lambda x, y, rng: cutmix(x, y, rng, alpha=float("nan")), "alpha must be above 0"),
        (lambda x, y, rng: mixup(x, y, rng, per=IMAGE), "per must be batch, pair or element"),
        (lambda x, y, rng: cutmix(x, y, rng, probability=1.5), "probability must be above 0 and at most 1"),
        (lambda x, y, rng: mixup(x, y.argmax(1), rng), "need `classes`"),
        (lambda x, y, rng: mixup((255 * x).byte(), y, rng), "images must be floats"),
        (lambda x, y, rng: samplepairing(x, y, x[:2]), "must have the same shape"),
        (lambda x, y, rng: Partners(np.zeros(3, dtype=int), policy="different_class"), "at least two classes"),
        (lambda x, y, rng: Schedule(0.9, 0.8, 0.1, 0.1), "start 0.9 must be at least 0 and below until 0.8"),
        (lambda x, y, rng: Schedule(0.1, 0.8, 0.1, 0), "on_for and off_for must be above 0"),
    ],
)
def test_what_cannot_be_mixed_is_refused(call: Callable[..., object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence.replace("(", r"\(")):
        call(torch.rand(4, 1, 2, 2), torch.eye(4), np.random.default_rng(0))
