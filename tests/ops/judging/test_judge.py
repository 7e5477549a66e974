"""The judge: real images against real ones, planted faults that change their own metric, and refused input."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ops.datasets.folds import assign_folds
from ops.datasets.pixels import PixelDataset, build_rows
from ops.judging import judge as judging
from ops.judging.judge import Judge, Quality, build_judge
from ops.judging.scorer import Scorer, load_scorer, save_scorer, train_folds
from ops.metrics.frechet import fit_gaussian, frechet_distance
from ops.metrics.manifold import compare_manifolds, fit_manifold
from ops.recipe.classifiers import ScorerSettings

CLASSES, SEED = 3, 7
SETTINGS = ScorerSettings(steps=40, batch_size=32, width=8, folds=3, learning_rate=0.05, precision="fp32")


def draw_images(count: int, seed: int) -> tuple[Tensor, np.ndarray]:
    """Images on a four-dimensional surface per class: a bright bar at the class's height, shifted and tilted."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    row, column = np.mgrid[:12, :12]
    height, tilt, width, light = (rng.uniform(-1, 1, (count, 1, 1)) for _ in range(4))
    centre = 2 + 4 * labels[:, None, None] + height + 0.15 * tilt * (column - 6)
    grey = (170 + 60 * light) * np.exp(-np.square((row - centre) / (1.2 + 0.5 * width)))
    return torch.from_numpy(grey.astype(np.uint8))[:, None], labels


def make_dataset(images: Tensor, labels: np.ndarray, split: str) -> PixelDataset:
    rows = build_rows(labels, [f"{split}-{i}" for i in range(len(labels))], split=split)
    return PixelDataset(images.permute(0, 2, 3, 1).numpy(), rows, tuple("abc"))


@pytest.fixture(scope="module")
def train() -> tuple[Tensor, np.ndarray]:
    return draw_images(240, 0)


@pytest.fixture(scope="module")
def held_out() -> Tensor:
    return draw_images(90, 1)[0]


@pytest.fixture(scope="module")
def folder(train: tuple[Tensor, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    images, labels = train
    folder = tmp_path_factory.mktemp("scorer")
    results = train_folds(images.numpy(), labels, CLASSES, SETTINGS, seed=SEED, workers=1)
    save_scorer(folder, results, SETTINGS, labels, CLASSES, 1)
    return folder


@pytest.fixture(scope="module")
def scorer(folder: Path) -> Scorer:
    return load_scorer(folder)


@pytest.fixture(scope="module")
def judge(scorer: Scorer, train: tuple[Tensor, np.ndarray], held_out: Tensor) -> Judge:
    unused = np.arange(90) % CLASSES
    return build_judge(scorer, make_dataset(*train, "train"), make_dataset(held_out, unused, "validation"))


@pytest.fixture(scope="module")
def perfect(judge: Judge) -> Quality:
    """A perfect generator: it draws from the distribution itself."""
    return judge.measure(*draw_images(240, 2))


def test_a_perfect_generator_reaches_the_floor(perfect: Quality) -> None:
    assert perfect.images == 240
    assert perfect.frechet == pytest.approx(perfect.floor, rel=0.5)
    assert perfect.consistency > 0.9
    assert perfect.precision > 0.8
    assert perfect.recall > 0.8
    assert perfect.coverage > 0.9
    assert perfect.density == pytest.approx(1, abs=0.25)
    assert perfect.copies == pytest.approx(perfect.copies_held_out, abs=0.1)


def test_the_floor_of_a_long_tail_has_the_class_shares_of_the_held_out_images(
    scorer: Scorer, train: tuple[Tensor, np.ndarray]
) -> None:
    images, labels = train
    kept = np.concatenate([np.flatnonzero(labels == label)[:count] for label, count in enumerate((80, 30, 12))])
    folds, (held_out, held_labels) = assign_folds(labels, 3, SEED)[kept], draw_images(90, 1)
    tail = images[torch.from_numpy(kept)], labels[kept], held_out
    perfect = draw_images(240, 5)
    own, shared = (
        Judge(scorer, *tail, folds=folds, held_out_labels=like).measure(*perfect) for like in (None, held_labels)
    )
    assert own.frechet == shared.frechet < shared.floor < 0.6 * own.floor
    alike = Judge(scorer, images, labels, held_out, folds=assign_folds(labels, 3, SEED), held_out_labels=held_labels)
    plain = Judge(scorer, images, labels, held_out, folds=assign_folds(labels, 3, SEED))
    assert alike.measure(*perfect) == plain.measure(*perfect)


def test_a_collapsed_generator_is_precise_and_covers_little(judge: Judge, perfect: Quality) -> None:
    images, labels = draw_images(6, 3)
    found = judge.measure(images.repeat(40, 1, 1, 1), np.tile(labels, 40))
    assert found.recall < 0.1 < perfect.recall
    assert found.coverage < 0.5
    assert found.frechet > 2 * perfect.frechet
    assert found.floor == perfect.floor  # a property of the real images and the count


def test_noise_is_imprecise_and_far(judge: Judge, perfect: Quality) -> None:
    noise = torch.randint(0, 256, (240, 1, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = judge.measure(noise, np.arange(240) % CLASSES)
    assert found.precision < 0.2
    assert found.frechet > 5 * perfect.frechet
    assert found.consistency < 0.6
    assert found.copies < 0.02


def test_wrong_labels_lower_the_consistency_and_nothing_else(judge: Judge, perfect: Quality) -> None:
    images, labels = draw_images(240, 2)
    wrong = np.where(np.arange(240) < 120, (labels + 1) % CLASSES, labels)
    found = asdict(judge.measure(images, wrong))
    assert found.pop("consistency") == pytest.approx(0.5, abs=0.1)
    assert found == {name: value for name, value in asdict(perfect).items() if name != "consistency"}


def test_memorised_images_are_copies(judge: Judge, train: tuple[Tensor, np.ndarray], perfect: Quality) -> None:
    images, labels = train
    new = draw_images(120, 2)[0]
    darker = (images[:60].flip(-1) * 0.8).to(torch.uint8)
    found = judge.measure(
        torch.cat([images[60:120], darker, new]), np.concatenate([labels[60:120], labels[:60], labels[:120]])
    )
    assert found.copies == pytest.approx(0.5 + 0.5 * judge.measure(new, labels[:120]).copies, abs=0.03)
    # These toy bars differ little except by mirroring, shifts and brightness, so some are near by chance.
    assert found.copies_held_out == perfect.copies_held_out < 0.4


def test_the_numbers_are_means_over_the_networks(
    judge: Judge, scorer: Scorer, train: tuple[Tensor, np.ndarray], held_out: Tensor
) -> None:
    images, labels = draw_images(50, 4)
    found = judge.measure(images, labels)
    pairs = list(zip(scorer.features(held_out), scorer.features(images), strict=True))
    distances = [frechet_distance(fit_gaussian(real), fit_gaussian(drawn)) for real, drawn in pairs]
    assert found.frechet == pytest.approx(np.mean(distances), rel=1e-6)
    overlaps = [asdict(compare_manifolds(fit_manifold(real), fit_manifold(drawn))) for real, drawn in pairs]
    for name in ("precision", "recall", "density", "coverage"):
        assert getattr(found, name) == pytest.approx(np.mean([overlap[name] for overlap in overlaps]), rel=1e-9)
    assert found.consistency == (scorer.examine(images)[0].argmax(1) == labels).mean()
    # All images of a fold at once: the floor is their distance by the network that did not see them.
    folds = assign_folds(train[1], 3, SEED)
    floor = [
        frechet_distance(
            fit_gaussian(scorer.features(held_out)[fold]),
            fit_gaussian(scorer.features(train[0][torch.from_numpy(folds == fold)])[fold]),
        )
        for fold in range(3)
    ]
    assert judge.measure(*draw_images(240, 2)).floor == pytest.approx(np.mean(floor), rel=0.1)


def test_the_distance_alone_equals_the_one_of_measure_and_repeats(judge: Judge, perfect: Quality) -> None:
    images, labels = draw_images(240, 2)
    assert judge.frechet(images) == perfect.frechet
    assert judge.measure(images, labels) == perfect


@pytest.mark.parametrize("sort", [False, True])
def test_more_images_than_a_fold_do_not_score_better_for_their_number(judge: Judge, sort: bool) -> None:
    images, labels = draw_images(480, 5)
    if sort:
        images = images[torch.from_numpy(labels.argsort(kind="stable"))]
    fold = np.mean([judge.frechet(part) for part in draw_images(480, 5)[0].split(80)])
    assert judge.frechet(images) == pytest.approx(fold, rel=0.1)


def test_few_images_are_compared_with_a_floor_of_as_few(judge: Judge, perfect: Quality) -> None:
    few = judge.measure(*draw_images(12, 6))
    assert few.floor > 1.5 * perfect.floor
    assert few.frechet == pytest.approx(few.floor, rel=0.6)


@given(counts=st.lists(st.integers(0, 30), min_size=1, max_size=5).filter(lambda c: sum(c) >= 2), data=st.data())
def test_groups_have_one_size_hold_every_row_and_keep_the_shares_of_the_classes(
    counts: list[int], data: st.DataObject
) -> None:
    total = sum(counts)
    size = data.draw(st.integers(2, total))
    classes = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    groups = judging._split(classes, size)
    assert groups.shape == (-(-total // size), size)
    assert set(groups.ravel()) == set(range(total))
    for rows in groups:
        assert len(set(rows)) == size
        for label, count in enumerate(counts):
            assert abs((classes[rows] == label).sum() - count * size / total) < 2


def test_quality_is_written_as_json(perfect: Quality) -> None:
    stored = json.loads(json.dumps(perfect.to_dict()))
    assert list(stored) == [field.name for field in fields(Quality)]
    assert Quality(**stored) == perfect


def test_two_images_on_each_side_are_enough(scorer: Scorer, train: tuple[Tensor, np.ndarray]) -> None:
    folds = assign_folds(train[1], 3, SEED)
    judge = Judge(scorer, *train, draw_images(2, 1)[0], folds=folds)
    found = judge.measure(*draw_images(2, 2))
    assert all(np.isfinite(value) for value in found.to_dict().values())


def test_the_copy_limit_is_a_relative_distance(
    scorer: Scorer, train: tuple[Tensor, np.ndarray], held_out: Tensor
) -> None:
    folds = assign_folds(train[1], 3, SEED)
    images, labels = draw_images(60, 2)
    none, all_of_them = (
        Judge(scorer, *train, held_out, folds=folds, copy_limit=limit).measure(images, labels) for limit in (0.0, 1e6)
    )
    assert (none.copies, none.copies_held_out) == (0, 0)
    assert (all_of_them.copies, all_of_them.copies_held_out) == (1, 1)


def test_real_images_that_do_not_fit_are_refused(
    scorer: Scorer, train: tuple[Tensor, np.ndarray], held_out: Tensor
) -> None:
    images, labels = train
    folds = assign_folds(labels, 3, SEED)
    with pytest.raises(ValueError, match="held-out set has 1 images; at least 2"):
        Judge(scorer, images, labels, held_out[:1], folds=folds)
    with pytest.raises(ValueError, match="240 training images have 239 labels and 240 folds"):
        Judge(scorer, images, labels[1:], held_out, folds=folds)
    with pytest.raises(ValueError, match="3 networks needs 2 or more"):
        Judge(scorer, images, labels, held_out, folds=np.minimum(folds, 1))
    with pytest.raises(ValueError, match="3 networks needs 2 or more"):
        Judge(scorer, images, labels, held_out, folds=folds + 1)
    with pytest.raises(ValueError, match="held-out images are"):
        Judge(scorer, images, labels, held_out[..., :8], folds=folds)
    with pytest.raises(ValueError, match="training images are torch.float32"):
        Judge(scorer, images.float(), labels, held_out, folds=folds)


def test_generated_images_that_do_not_fit_are_refused(judge: Judge) -> None:
    images, labels = draw_images(9, 2)
    with pytest.raises(ValueError, match="9 generated images have 8 labels"):
        judge.measure(images, labels[1:])
    with pytest.raises(ValueError, match=r"allowed: uint8 \[n, 1, 12, 12\]"):
        judge.frechet(images.permute(0, 2, 3, 1))
    with pytest.raises(ValueError, match="there are 1 generated images"):
        judge.measure(images[:1], labels[:1])


def make_variants(train: tuple[Tensor, np.ndarray]) -> tuple[Tensor, np.ndarray, np.ndarray]:
    """The mirror image of every other training image, its label and its parent."""
    images, labels = train
    parents = np.arange(0, len(images), 2)
    return images[parents].flip(-1), labels[parents], parents


def test_nearness_to_the_own_parent_is_not_copying_but_to_another_image_is(
    judge: Judge, train: tuple[Tensor, np.ndarray]
) -> None:
    variants, labels, parents = make_variants(train)
    alone = judge.measure(variants, labels, parents)
    taken_for_classes = judge.measure(variants, labels)
    assert taken_for_classes.copies > 0.8
    assert alone.copies < taken_for_classes.copies / 2
    shifted = judge.measure(variants, labels, np.roll(parents, 1))  # near to an image that is not their parent
    assert shifted.copies > 0.8


def test_a_variant_is_judged_by_the_network_that_did_not_see_its_parent(
    judge: Judge, train: tuple[Tensor, np.ndarray]
) -> None:
    """The images are the parents themselves, so predictions are the cross-fitted ones of the scorer's accuracy."""
    images, labels = train
    everything = np.arange(len(images))
    folds = judge._folds
    expected = np.concatenate(
        [labels[folds == f] == judge._scorer.examine(images[torch.from_numpy(np.flatnonzero(folds == f))],
                                                     np.full((folds == f).sum(), f))[0].argmax(1) for f in range(3)]
    ).mean()  # fmt: skip
    found = judge.measure(images, labels, everything)
    assert judge.frechet(images, everything) == found.frechet != judge.frechet(images)
    assert found.consistency == pytest.approx(expected)
    assert found.copies == 1.0  # the very pixels of the parent are a copy
    assert found.frechet == pytest.approx(found.floor, rel=0.2)
    with pytest.raises(ValueError, match="no network has 2 variants"):
        judge.measure(images[:2], labels[:2], np.array([np.flatnonzero(folds == 0)[0], np.flatnonzero(folds == 1)[0]]))


def test_training_images_are_prepared_once_for_all_measurements_of_variants(
    scorer: Scorer, train: tuple[Tensor, np.ndarray], held_out: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, labels = torch.cat([train[0], train[0][:3]]), np.concatenate([train[1], train[1][:3]])
    judge = Judge(scorer, images, labels, held_out, folds=np.arange(243) % 3)
    sizes = []
    fit = judging.fit_references
    monkeypatch.setattr(judging, "fit_references", lambda part: sizes.append(len(part)) or fit(part))
    parents = np.arange(200, 243)
    first, second = (judge.measure(images[200:], labels[200:], parents) for _ in range(2))
    assert sizes == [240]
    assert first == second
