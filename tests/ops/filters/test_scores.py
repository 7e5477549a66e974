"""Scores of variants: distance to the own parent is separate, and a network that did not see the parent judges."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ops.classifiers.networks.classifier import Classifier
from ops.filters.scores import ExternalNetworks, ScoreComputer, SeenImages
from ops.judging.scorer import Scorer
from ops.recipe.arms import SmallResNet

FOLDS = 2


def draw(count: int, seed: int) -> Tensor:
    small = torch.rand(count, 1, 5, 5, generator=torch.Generator().manual_seed(seed))
    levels = F.interpolate(small, size=(20, 20), mode="bicubic", align_corners=False)
    return (40 + 160 * levels).clamp(20, 235).to(torch.uint8)


def change(images: Tensor) -> Tensor:
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(3))
    return (images.float() + 4 * noise).clamp(0, 255).to(torch.uint8)


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    torch.manual_seed(0)
    return Scorer(tuple(Classifier(SmallResNet(width=8), (1, 0, 0), 2).eval() for _ in range(FOLDS)), 1.0, "fp32")


@pytest.fixture(scope="module")
def train() -> Tensor:
    """Sixty pictures; the first three occur twice."""
    pictures = draw(60, 0)
    return torch.cat([pictures, pictures[:3]])


def make(scorer: Scorer, train: Tensor, *, varied: bool) -> ScoreComputer:
    rows = np.arange(len(train))
    return ScoreComputer(scorer, train, rows % 2, rows // 2 % FOLDS, draw(9, 1), ExternalNetworks(), varied=varied)


def test_a_second_copy_of_the_parent_is_the_parent_too(scorer: Scorer, train: Tensor) -> None:
    """The parents are rows 0 to 5 and 60 to 62, the second copies of rows 0 to 2."""
    parents = np.array([0, 1, 2, 3, 4, 5, 60, 61, 62])
    scores = make(scorer, train, varied=True).compute(change(train[parents]), parents % 2, SeenImages(), parents)
    assert scores["parent_distance"].max() < 0.3 < scores["train_distance"].min()
    pictures = {0: 60, 1: 61, 2: 62, 60: 0, 61: 1, 62: 2}
    for parent, nearest in zip(parents.tolist(), scores["nearest_train"].tolist(), strict=True):
        assert nearest not in (parent, pictures.get(parent)) and 0 <= nearest < 60
    assert not scores["copy_of_train"].any()
    copied = make(scorer, train, varied=True).compute(train[parents], parents % 2, SeenImages(), parents)
    assert copied["copy_of_train"].all() and (copied["parent_distance"] == 0).all()


def test_variants_are_judged_by_their_parents_fold_and_real_images_by_one_network_each(
    scorer: Scorer, train: Tensor
) -> None:
    parents, labels = np.arange(10, 22), np.arange(10, 22) % 2
    variants, computer = change(train[parents]), make(scorer, train, varied=True)
    alone = np.stack([Scorer((model,), 1.0, "fp32").examine(variants)[0] for model in scorer.models])
    expected = alone[parents // 2 % FOLDS, np.arange(12), labels]
    found = computer.compute(variants, labels, SeenImages(), parents)
    np.testing.assert_allclose(found["label_probability"], expected, atol=1e-5)
    assert np.isfinite(found["typicality"]).all()
    real = computer.compute_real(variants, labels)
    np.testing.assert_allclose(
        real["label_probability"], alone[np.arange(12) % FOLDS, np.arange(12), labels], atol=1e-5
    )
    plain = make(scorer, train, varied=False).compute(variants, labels, SeenImages())
    np.testing.assert_allclose(plain["label_probability"], alone.mean(0)[np.arange(12), labels], atol=1e-5)
    assert "parent_distance" not in plain and plain["train_distance"].max() < 0.3


def test_parents_that_are_missing_or_not_wanted_are_an_error(scorer: Scorer, train: Tensor) -> None:
    for varied, parents in ((True, None), (False, np.zeros(2, np.int64))):
        with pytest.raises(ValueError, match="variants need their parents"):
            make(scorer, train, varied=varied).compute(train[:2], np.array([0, 1]), SeenImages(), parents)


def test_real_images_of_a_class_that_a_fold_lacks_are_judged_by_a_network_that_knows_it(
    scorer: Scorer, train: Tensor
) -> None:
    """All training images of label 1 lie in fold 0, so that network 1 cannot say how typical an image of it is."""
    rows, images, labels = np.arange(len(train)), change(train[:12]), np.arange(12) // 2 % 2
    folds = np.where(rows % 2 == 1, 0, rows // 2 % FOLDS)
    computer = ScoreComputer(scorer, train, rows % 2, folds, draw(9, 1), ExternalNetworks(), varied=True)
    found = computer.compute_real(images, labels)
    assert np.isfinite(found["typicality"]).all()
    alone = np.stack([Scorer((model,), 1.0, "fp32").examine(images)[0] for model in scorer.models])
    networks = np.where(labels == 1, 0, np.arange(12) % FOLDS)
    np.testing.assert_allclose(found["label_probability"], alone[networks, np.arange(12), labels], atol=1e-5)
    with pytest.raises(ValueError, match="label 2 has no training images"):
        computer.compute_real(images, np.full(12, 2))


def test_what_the_generators_checker_says_is_a_score_whatever_the_pixels(scorer: Scorer, train: Tensor) -> None:
    computer, images = make(scorer, train, varied=False), draw(3, 7)
    images[1] = 0  # black by itself
    said = np.array([False, False, True])
    assert computer.compute(images, np.zeros(3, int), SeenImages(), flagged=said)["flagged"].tolist() == said.tolist()
    assert "flagged" not in computer.compute_real(images, np.zeros(3, int))
    assert "flagged" not in computer.compute(images, np.zeros(3, int), SeenImages())
