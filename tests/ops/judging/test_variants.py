"""The gate of variants on planted images: what moves, what keeps its class, and which classes stand for the others."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from ops.judging.scorer import Scorer
from ops.judging.variants import OWN, Gate, Measured, join_measured, judge_variants, measure_variants

NAMES = ("common", "middle", "rare")
SIZES = (100, 40, 5)  # the head is the first class alone


class Brightness:
    """Names an image by its mean: 0 below 100, 1 above. It notes who was asked."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    def examine(self, images: Tensor, networks: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        self.asked.append(networks.tolist())
        bright = images.double().flatten(1).mean(1).numpy() > 100
        return np.stack([~bright, bright], axis=1).astype(float), []


def make_measured(labels: np.ndarray, *, moved: float = 9.0, named: bool = True, kept: float = 1.0) -> Measured:
    return Measured(np.full(len(labels), moved), np.full(len(labels), named), np.full(len(labels), kept))


def judge(measured: Measured, labels: np.ndarray, **limits: Any) -> Gate:
    return judge_variants(measured, labels, SIZES, **{"moves": 2.0, "keeps": 0.9, **limits})


LABELS = np.repeat([0, 1, 2], [120, 25, 5])


def test_figures_are_those_of_a_loop_over_images_and_each_is_judged_by_the_network_that_did_not_see_it() -> None:
    rng = np.random.default_rng(0)
    parents = rng.integers(0, 256, (6, 3, 4, 5), np.uint8)
    variants = rng.integers(0, 256, (6, 2, 3, 4, 5), np.uint8)
    labels, networks = np.array([0, 1, 0, 1, 1, 0]), np.array([2, 0, 1, 1, 0, 2])
    scorer = Brightness()
    found = measure_variants(
        cast(Scorer, scorer), torch.from_numpy(parents), torch.from_numpy(variants), labels, networks
    )
    for i in range(6):
        one, other = variants[i].astype(float)
        assert found.moved[i] == pytest.approx(np.abs(one - other).mean())
        assert found.named[i] == ((parents[i].mean() > 100) == labels[i])
        assert found.kept[i] == np.mean([(variant.mean() > 100) == labels[i] for variant in variants[i]])
    assert scorer.asked == [networks.tolist(), [2, 2, 0, 0, 1, 1, 1, 1, 0, 0, 2, 2]]
    halves = [Measured(*(part[rows] for part in (found.moved, found.named, found.kept)))
              for rows in (slice(2), slice(2, 6))]  # fmt: skip
    np.testing.assert_array_equal(join_measured(halves).kept, found.kept)


@pytest.mark.parametrize(("images", "labels", "networks"), [(3, 4, 4), (4, 3, 4), (4, 4, 3)])
def test_parts_that_do_not_fit_are_refused(images: int, labels: int, networks: int) -> None:
    parents, variants = torch.zeros(images, 1, 4, 4).byte(), torch.zeros(4, 2, 1, 4, 4).byte()
    with pytest.raises(ValueError, match="do not fit"):
        measure_variants(cast(Scorer, Brightness()), parents, variants, np.zeros(labels, int), np.zeros(networks, int))


def test_variants_that_move_and_keep_their_class_are_used() -> None:
    gate = judge(make_measured(LABELS), LABELS)
    assert gate.list_refused(NAMES) == {} and gate.is_passed
    assert (gate.head, gate.named, gate.kept, gate.moved) == ((0,), 120, 1.0, 9.0)
    assert gate.describe(NAMES) == (
        "the variants of 3 classes are used: two variants of an image differ by 9.0 grey levels, and variants"
        " of common classes are named rightly 100 % as often as their images"
    )


def test_variants_that_do_not_move_are_refused_in_their_class_alone() -> None:
    measured = make_measured(LABELS)
    measured.moved[LABELS == 1] = 1.996
    gate = judge(measured, LABELS)
    assert gate.list_refused(NAMES) == {
        "middle": "two variants of an image differ by 1.99 grey levels, and 2 are needed"
    }
    assert gate.is_passed, "over all images they move"
    assert not judge(make_measured(LABELS, moved=0.0), LABELS).is_passed
    assert judge(make_measured(LABELS, moved=0.0), LABELS, moves=None).list_refused(NAMES) == {}
    assert judge(make_measured(LABELS, moved=2.0), LABELS).list_refused(NAMES) == {}, "the limit itself is enough"


def test_the_head_decides_for_a_rare_class_and_each_of_its_classes_for_itself() -> None:
    measured = make_measured(LABELS)
    measured.kept[LABELS == 2] = 0.0  # the scorer has hardly seen this class
    assert judge(measured, LABELS).list_refused(NAMES) == {}
    measured = make_measured(LABELS)
    measured.kept[LABELS == 0] = 0.8999
    assert judge(measured, LABELS).list_refused(NAMES) == {
        "common": "its variants are named rightly 89.9 % as often as their images, and 90 % are needed",
        "middle": "variants of common classes are named rightly 89.9 % as often as their images, and 90 % are needed",
        "rare": "variants of common classes are named rightly 89.9 % as often as their images, and 90 % are needed",
    }
    assert not judge(measured, LABELS).is_passed
    assert judge(measured, LABELS, keeps=None).list_refused(NAMES) == {}


def test_without_a_long_tail_each_class_is_judged_by_itself_if_enough_of_its_images_are_named_rightly() -> None:
    labels = np.repeat([0, 1, 2], [200, 200, OWN - 1])
    measured = make_measured(labels)
    measured.kept[labels == 1], measured.kept[labels == 2] = 0.895, 0.8
    gate = judge_variants(measured, labels, (200, 200, 200), moves=2.0, keeps=0.9)
    assert gate.head == (0, 1, 2)
    assert gate.kept == pytest.approx((200 + 200 * 0.895 + 0.8 * (OWN - 1)) / (400 + OWN - 1))
    assert list(gate.list_refused(NAMES)) == ["middle"], "99 images cannot judge the third, so all of them do"
    assert " and variants are named rightly " in gate.told, "all classes are common"


def test_a_perfect_generator_passes_whatever_the_scorer_makes_of_what_varies() -> None:
    """Its variants are named as often as images are; those of images that are named now are named less often."""
    rng = np.random.default_rng(0)
    labels = np.zeros(4000, int)
    hard = rng.random(4000)  # of each image: the chance that a draw of the nuisance is named rightly
    named = rng.random(4000) < hard
    kept = (rng.random((4000, 2)) < hard[:, None]).mean(1)
    gate = judge_variants(Measured(np.full(4000, 9.0), named, kept), labels, (4000,), moves=2.0, keeps=0.9)
    assert gate.kept == pytest.approx(1.0, abs=0.04) and gate.list_refused(("only",)) == {}
    assert kept[named].mean() < 0.7
    lost = kept * (rng.random(4000) < 0.85)  # 15 % of the images lose their class in both variants
    worse = judge_variants(Measured(np.full(4000, 9.0), named, lost), labels, (4000,), moves=2.0, keeps=0.9)
    assert worse.kept == pytest.approx(0.85, abs=0.04) and not worse.is_passed


def test_variants_that_are_named_more_often_than_their_images_count_as_named_as_often() -> None:
    measured = make_measured(LABELS)
    measured.named[:20] = False
    gate = judge(measured, LABELS)
    assert gate.kept == pytest.approx(120 / 100) and "are named rightly 100 % as often" in gate.told


def test_too_few_images_that_the_scorer_names_rightly_say_nothing() -> None:
    measured = make_measured(LABELS)
    measured.named[5:120], measured.kept[5:120] = False, 0.0
    gate = judge(measured, LABELS)
    assert (gate.named, gate.kept) == (5, None)
    assert gate.list_refused(NAMES) == {} and gate.is_passed
    assert gate.describe(NAMES).endswith(
        "; whether variants keep their class cannot be judged, because the scorer names only 5 images of common classes"
        " rightly (20 are needed)"
    )
    assert gate.classes[0].kept == 1.0, "as often as the five images that it names rightly"
    measured.moved[:] = 0.5
    assert len(judge(measured, LABELS).list_refused(NAMES)) == 3, "they must move all the same"


def test_a_class_without_images_gets_no_variants() -> None:
    gate = judge(make_measured(LABELS[LABELS != 2]), LABELS[LABELS != 2])
    assert gate.list_refused(NAMES) == {"rare": "there is no image to make variants of"}
    assert (gate.classes[2].moved, gate.classes[2].kept) == (None, None)


def test_a_single_class_is_its_own_head() -> None:
    labels = np.zeros(OWN, int)
    gate = judge_variants(make_measured(labels, kept=0.5), labels, (OWN,), moves=2.0, keeps=0.9)
    assert gate.describe(("only",)).startswith(
        "1 of 1 class gets no variants: only (its variants are named rightly 50 % as often as their images, and 90 %"
        " are needed); in all, two"
    )


def test_many_refused_classes_are_counted() -> None:
    labels = np.repeat(np.arange(12), 30)
    gate = judge_variants(make_measured(labels, moved=1.0), labels, [30] * 12, moves=2.0, keeps=0.9)
    sentence = gate.describe([f"c{label}" for label in range(12)])
    assert sentence.startswith("12 of 12 classes get no variants: c0 (two ") and " and 9 more; in all, " in sentence
    assert "c3" not in sentence and "\n" not in sentence
