"""`data:` applied to a source: exact counts, frozen and recorded draws, wrong labels that are recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from ops.datasets.identity import content_ids, number_repeats
from ops.datasets.nuisances import rotate_images
from ops.datasets.pixels import PixelDataset, build_rows
from ops.datasets.subset import change_splits, find_sizes
from ops.errors import UserError
from ops.recipe.data import DataSettings, LongTailSettings

NAMES = tuple("0123456789")


def settings(**keys: Any) -> DataSettings:
    return DataSettings.model_validate(keys)


@pytest.fixture(scope="module")
def digits() -> dict[str, PixelDataset]:
    """1,000 + 300 + 497 real images; two of train are equal."""
    data = load_digits()
    images = (data.images * (255 / 16)).astype(np.uint8)[..., None]
    images[7] = images[17] = images[27]
    data.target[7] = data.target[17] = data.target[27]
    splits = {}
    for split, part in (("train", slice(0, 1000)), ("validation", slice(1000, 1300)), ("test", slice(1300, None))):
        ids = number_repeats(content_ids(images[part]))
        splits[split] = PixelDataset(images[part], build_rows(data.target[part], ids, split=split), NAMES)
    return splits


def test_empty_settings_change_nothing(digits: dict[str, PixelDataset]) -> None:
    subset = change_splits(digits, settings(), 0)
    assert all(subset.splits[split] is digits[split] for split in digits)
    assert subset.draws.is_empty() and subset.counts == {}


@pytest.mark.parametrize(
    ("law", "sizes"),
    [
        ({"law": "exponential", "head": 80, "ratio": 10}, [80, 61, 47, 37, 28, 22, 17, 13, 10, 8]),
        ({"law": "zipf", "head": 80, "exponent": 1.0, "floor": 10}, [80, 40, 26, 20, 16, 13, 11, 10, 10, 10]),
        ({"law": "step", "head": 80, "ratio": 8, "minority": 0.3}, [80] * 7 + [10] * 3),
    ],
)
def test_a_long_tail_has_exactly_its_sizes_and_leaves_the_other_splits(
    digits: dict[str, PixelDataset], law: dict[str, Any], sizes: list[int]
) -> None:
    subset = change_splits(digits, settings(long_tail=law), 3)
    train = subset.splits["train"]
    assert np.bincount(train.labels).tolist() == sizes
    assert subset.splits["test"] is digits["test"] and subset.draws.is_empty()
    assert subset.counts == {"left out for the long tail": 1000 - sum(sizes)}
    stored = digits["train"].rows["image_id"].to_list()
    places = [stored.index(name) for name in train.rows["image_id"]]
    assert places == sorted(places), "in the stored order"


def test_the_head_defaults_to_the_size_of_its_class() -> None:
    labels = np.repeat([0, 1, 2], [40, 90, 60])
    sizes = [
        find_sizes(LongTailSettings(ratio=4, order=order), labels, 3, 0).tolist() for order in ("label", "available")
    ]
    assert sizes == [[40, 20, 10], [90, 45, 22]]


def test_a_class_with_too_few_images_is_refused_or_repeated_under_a_nuisance(digits: dict[str, PixelDataset]) -> None:
    tail = {"law": "zipf", "head": 150, "floor": 5}
    with pytest.raises(UserError, match=r"^class 0 has \d+ images but its size is to be 150; allowed: smaller sizes"):
        change_splits(digits, settings(long_tail=tail), 0)
    subset = change_splits(digits, settings(long_tail=tail, nuisance="rotation"), 0)
    train = subset.splits["train"]
    assert np.bincount(train.labels).tolist() == [150, 37, 16, 9, 6, 5, 5, 5, 5, 5]
    draws = subset.draws.filter(split="train")
    assert draws.select("source_id", "k").is_unique().all(), "no image gets one draw twice"
    assert draws["k"].max() == 1


@pytest.mark.parametrize("nuisance", ["rotation", "background", "strokes"])
def test_every_row_names_its_source_image_and_its_draw(digits: dict[str, PixelDataset], nuisance: str) -> None:
    subset = change_splits(digits, settings(nuisance=nuisance), 5)
    again = change_splits(digits, settings(nuisance=nuisance), 5)
    for split, dataset in subset.splits.items():
        assert dataset.rows["parent_id"].to_list() == [name.split("-")[0] for name in digits[split].rows["image_id"]]
        assert dataset.rows["image_id"].to_list() == number_repeats(content_ids(dataset.images))
        np.testing.assert_array_equal(dataset.images, again.splits[split].images)
        np.testing.assert_array_equal(dataset.labels, digits[split].labels)
        draws = subset.draws.filter(split=split)
        assert draws["image_id"].to_list() == dataset.rows["image_id"].to_list()
        assert draws["source_id"].to_list() == dataset.rows["parent_id"].to_list()
        assert draws["k"].to_list() == dataset.rows["k"].to_list()
    assert sorted(subset.draws.filter(split="train")["k"].to_list())[-2:] == [1, 2], "equal images differ in k"
    assert subset.counts == {f"{nuisance} drawn": 1797}
    if nuisance == "rotation":
        angles = subset.draws.filter(split="test")["angle"].to_numpy()
        np.testing.assert_array_equal(subset.splits["test"].images, rotate_images(digits["test"].images, angles))


def test_wrong_labels_are_in_train_alone_and_the_right_ones_are_kept(digits: dict[str, PixelDataset]) -> None:
    subset = change_splits(digits, settings(label_noise=0.3), 1)
    train, draws = subset.splits["train"], subset.draws
    assert draws["source_label"].to_list() == digits["train"].labels.tolist()
    wrong = train.labels != digits["train"].labels
    assert 240 < wrong.sum() < 360 and subset.counts == {"given a wrong label": int(wrong.sum())}
    np.testing.assert_array_equal(train.images, digits["train"].images)
    assert subset.splits["test"] is digits["test"]


def test_a_key_of_another_law_is_refused() -> None:
    with pytest.raises(ValueError, match="exponent has no effect with law: exponential; it belongs to zipf"):
        LongTailSettings(exponent=1.5)
    with pytest.raises(ValueError, match="ratio has no effect with law: zipf; it belongs to exponential and step"):
        LongTailSettings(law="zipf", ratio=10)
    for law in ("exponential", "zipf", "step"):
        resolved = LongTailSettings(law=law)
        assert LongTailSettings.model_validate(resolved.model_dump()) == resolved, (
            "what a manifest holds is a recipe too"
        )
