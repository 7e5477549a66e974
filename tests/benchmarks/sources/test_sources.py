"""Each source is what the table says: sizes, classes, splits that share nothing, faults that were planted, equal bytes.

A source whose Debian package is missing is skipped, with the sentence that names the package.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from benchmarks.sources import emoji, fashion, letters, packages, registry
from benchmarks.sources.drawn import Drawn, Labelled, divide_by_shares, divide_classes, keep_distinct
from benchmarks.sources.glyphs import LEAST_CONTRAST, colour_strokes, draw_sign
from benchmarks.sources.registry import PLANTED, SOURCES, Source
from benchmarks.sources.writing import WRITERS, digest_files, write_idx
from ops.datasets.identity import content_ids
from ops.errors import UserError
from ops.files.storage import read_json
from ops.sources.reading import read_source
from ops.sources.sketch import sketch_source

# Side, channels, classes and images of each split.
PROMISED: dict[str, tuple[int, int, int, dict[str, int]]] = {
    "letters": (32, 3, 10, {"train": 326}),
    "icons": (32, 4, 5, {"train": 173}),
    "photographs": (32, 3, 10, {"train": 600, "validation": 150, "test": 400}),
    "photographs-64": (64, 3, 10, {"train": 400, "validation": 100, "test": 250}),
    "digits": (8, 1, 10, {"train": 1000, "validation": 250, "test": 547}),
    "hiragana": (32, 1, 20, {"train": 1000, "validation": 200, "test": 1000}),
    "b-and-d": (32, 3, 2, {"train": 60}),
    "shuffled": (28, 1, 10, {"train": 1000, "validation": 300, "test": 1000}),
    "fashion": (28, 1, 10, {"train": 1200, "test": 2000}),
    "fashion-tail": (28, 1, 10, {"train": 560, "validation": 200, "test": 1000}),
    "planted": (28, 1, 10, {"train": 1100, "validation": 300, "test": 1000}),
}


@cache
def draw(name: str) -> Drawn:
    try:
        return SOURCES[name].draw(0)
    except UserError as missing:
        assert "install Debian's package" in str(missing)
        pytest.skip(str(missing))


def ids(part: Labelled) -> list[str]:
    return list(content_ids(part.images.transpose(0, 3, 1, 2)))


def make_whole(per_class: int, *, classes: int = 10, side: int = 4) -> Labelled:
    """Images that all differ."""
    images = np.random.default_rng(0).integers(0, 256, (classes * per_class, side, side, 1), dtype=np.uint8)
    return Labelled(images, np.arange(classes * per_class) % classes)


@pytest.mark.parametrize("name", PROMISED)
def test_a_source_has_the_sizes_and_classes_that_are_promised(name: str) -> None:
    side, channels, classes, sizes = PROMISED[name]
    drawn = draw(name)
    assert {split: len(part) for split, part in drawn.splits.items()} == sizes
    assert len(drawn.class_names) == classes
    for part in drawn.splits.values():
        assert part.images.dtype == np.uint8
        assert part.images.shape[1:] == (side, side, channels)
        assert set(part.labels) == set(range(classes))


@pytest.mark.parametrize("name", PROMISED)
def test_no_image_is_in_two_splits_nor_twice_in_one_unless_planted(name: str) -> None:
    drawn = draw(name)
    found = [name for part in drawn.splits.values() for name in ids(part)]
    assert len(found) - len(set(found)) == len(drawn.planted.get("copy", []))


def test_the_emoji_are_no_near_copies_and_those_of_128_pixels_are_the_same_signs() -> None:
    try:
        small, large = emoji.draw_emoji(32, 0, most=20), emoji.draw_emoji(128, 0, most=20)
    except UserError as missing:
        pytest.skip(str(missing))
    assert len(small.class_names) == 9
    assert [len(part) for part in small.splits.values()] == pytest.approx([108, 27, 45], abs=6)
    for split, part in small.splits.items():
        assert part.images.shape[1:] == (32, 32, 3)
        reduced = large.splits[split].images.reshape(len(part), 32, 4, 32, 4, 3).mean(axis=(2, 4))
        assert np.abs(reduced - part.images).mean() < 4
    points = {ord(sign) for _, text in emoji.read_groups() for sign in text}
    assert not points & {*emoji.SKIN_TONES, emoji.JOINER, emoji.KEYCAP}


def test_equal_seeds_give_equal_bytes_and_another_seed_others(tmp_path: Path) -> None:
    small: dict[str, Callable[[int], Drawn]] = {
        "letters": lambda seed: letters.draw_letters({"A": 3, "b": 2}, seed),
        "whole": lambda seed: fashion.draw_tail(make_whole(30), seed, largest=15, smallest=2, others=4, test=6),
    }
    for name, drawing in small.items():
        for layout in set(WRITERS) - {"idx"}:
            source = Source(name, "", layout, drawing)
            for place, seed in (("a", 1), ("b", 1), ("c", 2)):
                source.build(tmp_path / layout / place, seed)
            first, again, other = (digest_files(tmp_path / layout / place / name) for place in "abc")
            assert first == again
            assert first != other


@pytest.mark.parametrize("layout", sorted(WRITERS))
def test_growset_recognises_each_layout_and_reads_what_was_drawn(layout: str, tmp_path: Path) -> None:
    whole = make_whole(12, classes=3, side=16)
    counts = {"train": 6, "validation": 2, "test": 4} if layout != "idx" else {"train": 6, "test": 4}
    drawn = Drawn(("ant", "bee", "cat"), divide_classes(whole, counts, np.random.default_rng(0)))
    Source("made", "", layout, lambda seed: drawn).build(tmp_path)
    sketch = sketch_source(tmp_path / "made", "made", "MIT")
    assert sketch.spec.kind == layout
    assert (sketch.spec.split is None) == (layout != "idx")
    read = read_source(sketch.spec).splits
    for split, part in drawn.splits.items():
        if layout == "idx" and split == "train":
            continue  # validation is drawn from it
        label_of = dict(zip(ids(part), part.labels, strict=True))
        found = Labelled(read[split].images, read[split].labels)
        assert {name: label for name, label in zip(ids(found), found.labels, strict=True)} == label_of


def test_idx_files_have_no_place_for_colour_or_validation(tmp_path: Path) -> None:
    whole = make_whole(4)
    with pytest.raises(ValueError, match="grey images, train and test"):
        write_idx(Drawn(tuple("0123456789"), {"train": whole}), tmp_path / "x")


def test_patches_of_different_splits_share_no_pixel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    from benchmarks.sources.photographs import PICTURES, draw_patches

    # Red and green tell where a pixel was, blue is noise, which gives contrast.
    y, x = np.mgrid[:160, :208]
    noise = np.random.default_rng(0).integers(0, 256, y.shape)
    for name in PICTURES:  # PNG whatever the name says
        Image.fromarray(np.stack([y, x, noise], 2).astype(np.uint8)).save(tmp_path / name, "PNG")
    monkeypatch.setenv(packages.PHOTOGRAPHS_VARIABLE, str(tmp_path))
    drawn = draw_patches({"train": 20, "validation": 4, "test": 10}, 16, 0)
    for label in range(len(PICTURES)):
        seen: dict[str, set[tuple[int, int]]] = {}
        for split, part in drawn.splits.items():
            patches = part.images[part.labels == label]
            seen[split] = set(map(tuple, patches[..., :2].reshape(-1, 2).tolist()))
            corners = patches[:, 0, 0, :2]
            assert len(np.unique(corners, axis=0)) == len(corners)
        assert not seen["train"] & seen["test"]
        assert not seen["train"] & seen["validation"]
        assert not seen["validation"] & seen["test"]


def test_the_long_tail_falls_by_equal_shares_and_the_other_splits_are_even() -> None:
    drawn = fashion.draw_tail(make_whole(60), 0, largest=32, smallest=1, others=5, test=8)
    counts = np.bincount(drawn.splits["train"].labels)
    assert counts[0] == 32 and counts[-1] == 1
    assert counts == pytest.approx(32 * (1 / 32) ** (np.arange(10) / 9), abs=0.5)
    assert (np.bincount(drawn.splits["test"].labels) == 8).all()
    assert (np.bincount(drawn.splits["validation"].labels) == 5).all()


def test_as_many_faults_are_planted_as_are_recorded(tmp_path: Path) -> None:
    clean = fashion.draw_fashion(make_whole(40, side=8), {"train": 20, "validation": 5, "test": 10}, 0)
    source = Source(
        "made", "", "folder", lambda seed: fashion.plant_faults(clean, seed, wrong=17, copies=11, near_copies=13)
    )
    drawn = source.build(tmp_path)
    faults = read_json(tmp_path / PLANTED)
    assert {fault: len(rows) for fault, rows in faults.items()} == {"wrong_label": 17, "copy": 11, "near_copy": 13}
    before, after = clean.splits["train"], drawn.splits["train"]
    assert len(after) == len(before) + 11 + 13
    changed = np.flatnonzero(after.labels[: len(before)] != before.labels)
    assert sorted(changed) == sorted(row for row, _ in faults["wrong_label"])
    assert all(before.labels[row] == label for row, label in faults["wrong_label"])
    assert (after.images[: len(before)] == before.images).all()
    for row, original in faults["copy"]:
        assert (after.images[row] == before.images[original]).all()
        assert after.labels[row] == before.labels[original] == after.labels[original]
    for row, original in faults["near_copy"]:
        away = after.images[row].astype(int) - np.roll(before.images[original], 1, axis=1)
        assert 0 < np.abs(away).max() <= 3
        assert after.labels[row] == before.labels[original]
    for split in ("validation", "test"):
        assert (drawn.splits[split].images == clean.splits[split].images).all()
        assert (drawn.splits[split].labels == clean.splits[split].labels).all()
    with pytest.raises(ValueError, match="200 images cannot bear 201 faults"):
        fashion.plant_faults(clean, 0, wrong=201, copies=0, near_copies=0)


def test_shuffled_labels_tell_nothing_of_the_images() -> None:
    from scipy.stats import chi2_contingency

    clean = fashion.draw_fashion(make_whole(300), {"train": 200, "test": 100}, 0)
    drawn = fashion.shuffle_labels(clean, 0)
    for split, part in drawn.splits.items():
        before = clean.splits[split].labels
        assert (part.images == clean.splits[split].images).all()
        assert (np.bincount(part.labels) == np.bincount(before)).all()
        table = np.zeros((10, 10))
        np.add.at(table, (before, part.labels), 1)
        assert chi2_contingency(table).pvalue > 0.001  # a fixed seed; an order that is kept gives 0
        assert chi2_contingency(np.diag(np.bincount(before)) + 1e-9).pvalue < 1e-9


def test_classes_are_divided_exactly_and_by_shares() -> None:
    whole = make_whole(20)
    exact = divide_classes(whole, {"train": 9, "test": 11}, np.random.default_rng(0))
    assert set(ids(exact["train"])) | set(ids(exact["test"])) == set(ids(whole))
    shares = divide_by_shares(whole, {"train": 0.6, "validation": 0.15, "test": 0.25}, np.random.default_rng(0))
    assert {split: len(part) for split, part in shares.items()} == {"train": 120, "validation": 30, "test": 50}
    assert sum(len(set(ids(part))) for part in shares.values()) == len(whole)
    with pytest.raises(ValueError, match="class 0 has 20 images; 21 are needed"):
        divide_classes(whole, {"train": 10, "test": 11}, np.random.default_rng(0))


def test_only_the_first_of_equal_images_is_kept() -> None:
    whole = make_whole(2)
    twice = Labelled(np.concatenate([whole.images, whole.images[3:5]]), np.concatenate([whole.labels, [0, 0]]))
    assert ids(keep_distinct(twice)) == ids(whole)


def test_inks_differ_from_their_grounds_and_every_font_draws_every_sign() -> None:
    strokes = np.zeros((4, 4), np.uint8)
    strokes[0, 0] = 255
    for seed in range(50):
        picture = colour_strokes(strokes, np.random.default_rng(seed)).astype(float)
        assert abs(picture[0, 0].mean() - picture[1, 1].mean()) >= LEAST_CONTRAST
    try:
        fonts = packages.find_fonts(packages.LATIN)
    except UserError as missing:
        pytest.skip(str(missing))
    for font in fonts:
        for letter in "AJbd":
            drawn = draw_sign(letter, font, 32, scale=0.7, angle=0, shift=(0, 0))
            rows = np.flatnonzero((drawn > 127).any(1))
            assert 10 <= len(rows) <= 24
    with pytest.raises(ValueError, match="draws nothing for ' '"):
        draw_sign(" ", fonts[0], 32, scale=0.7, angle=0, shift=(0, 0))


def test_a_missing_package_is_one_sentence_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "FONTS", tmp_path)
    monkeypatch.setattr(packages, "ICONS", tmp_path / "icons")
    monkeypatch.setattr(packages, "EMOJI_TABLE", tmp_path / "table")
    monkeypatch.setenv(packages.PHOTOGRAPHS_VARIABLE, str(tmp_path))
    wanted = {
        "letters": "fonts-dejavu-core", "hiragana": "fonts-ipafont-gothic", "icons": "tango-icon-theme",
        "photographs": "python3-skimage",
    }  # fmt: skip
    for name, package in wanted.items():
        with pytest.raises(UserError, match=rf"is not there: install Debian's package {package}"):
            SOURCES[name].build(tmp_path / "out")
    with pytest.raises(UserError, match=r"install Debian's package unicode-data"):
        list(emoji.read_groups())
    monkeypatch.setattr(packages, "EMOJI_FONT", tmp_path / "font")
    with pytest.raises(UserError, match=r"install Debian's package fonts-noto-color-emoji"):
        SOURCES["emoji"].build(tmp_path / "out")
    assert not (tmp_path / "out" / "letters").exists()


def test_every_source_is_promised_something_here() -> None:
    assert set(SOURCES) == {*PROMISED, "emoji", "emoji-128"}
    assert {source.layout for source in registry.SOURCES.values()} == set(WRITERS)
