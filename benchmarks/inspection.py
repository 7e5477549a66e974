"""What `growset inspect` finds of planted faults, what it claims of clean images, and its time.

Wrong labels, exact duplicates, altered copies and inverted pictures are planted in training images of Fashion-MNIST,
scikit-learn's digits, and patches of photographs. No file of test images is opened. False alarms are counted on
the same images before anything was planted. Patches overlap by chance, so some are near duplicates anyway.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits

from benchmarks.parts.disguises import DISGUISES
from benchmarks.parts.fashion import LabelledImages, read_fashion
from benchmarks.parts.harness import Row, use_cores, write_result
from benchmarks.parts.photographs import read_patches
from ops.datasets.identity import content_ids
from ops.inspection.inspection import Inspection, inspect_pictures
from ops.inspection.opening import Counts, Pictures

WRONG, COPIED, INVERTED = 0.05, 0.02, 0.01  # shares of the images; as many exact duplicates as altered copies
FASHION = 2_000  # images
PATCHES = 100  # of each photograph


@dataclass(frozen=True, eq=False)
class Planted:
    """Images and labels with faults; which rows of them have which. copies: (original, copy) by kind."""

    images: np.ndarray
    labels: np.ndarray
    wrong: np.ndarray
    inverted: np.ndarray
    exact: list[tuple[int, int]]
    altered: list[tuple[int, int]]


def run(fashion: int = FASHION, patches: int = PATCHES, *, seed: int = 0, whole: LabelledImages | None = None) -> Path:
    """Plant, inspect, count; write results/inspection.json."""
    rows: list[Row] = []
    sources = {
        "fashion": _take(read_fashion() if whole is None else whole, fashion, seed),
        "digits": _read_digits(),
        "photographs": read_patches((patches,), seed)[0],
    }
    with use_cores(1):
        for name, source in sources.items():
            rows += measure_source(name, source.images.permute(0, 2, 3, 1).numpy(), source.labels, seed)
    for row in rows:
        print(f"{row.name}: {row.value:g} {row.unit}", file=sys.stderr, flush=True)
    shares = {"wrong": WRONG, "copied": COPIED, "inverted": INVERTED}
    return write_result("inspection", rows, {}, seed=seed, shares=shares)


def measure_source(name: str, images: np.ndarray, labels: np.ndarray, seed: int) -> list[Row]:
    """Recall and precision on planted faults, and alarms among the same images without."""
    planted = plant(images, labels, seed)
    started = time.process_time()
    clean = inspect(images, labels)
    seconds = time.process_time() - started
    found = inspect(planted.images, planted.labels)
    suspects = list_rows(found, "suspects")
    outliers = list_rows(found, "outliers")
    linked = link_rows(found)
    count = len(images)
    return [
        Row(f"{name}: images", count, "images"),
        Row(f"{name}: time, clean images", round(seconds, 2), "s of one core"),
        Row(f"{name}: accuracy of the judging classifier", found.facts["labels"]["accuracy"], "share"),
        Row(f"{name}: wrong labels found", share(suspects, planted.wrong), "share"),
        Row(f"{name}: … of all named labels, wrong", share(planted.wrong, suspects), "share"),
        Row(f"{name}: … named among clean labels", round(len(list_rows(clean, "suspects")) / count, 5), "share"),
        Row(f"{name}: exact duplicates found", share(linked, planted.exact), "share"),
        Row(f"{name}: altered copies found", share(linked, planted.altered), "share"),
        Row(f"{name}: … images in groups of near duplicates, clean", round(count_near(clean) / count, 5), "share"),
        Row(f"{name}: inverted pictures found as outliers", share(outliers, planted.inverted), "share"),
        Row(f"{name}: … outliers among clean images", round(len(list_rows(clean, "outliers")) / count, 5), "share"),
    ]


def plant(images: np.ndarray, labels: np.ndarray, seed: int) -> Planted:
    """Faults in images uint8 [n, H, W, C] with labels int [n]; no image has two of them, copies are appended."""
    rng = np.random.default_rng(seed)
    order, classes, begin = rng.permutation(len(images)), int(labels.max()) + 1, 0

    def take(of: float) -> np.ndarray:
        nonlocal begin
        begin += (number := round(of * len(images)))
        return np.asarray(order[begin - number : begin])

    wrong, inverted, exact, altered = take(WRONG), take(INVERTED), take(COPIED), take(COPIED)
    images, labels = images.copy(), labels.copy()
    labels[wrong] = (labels[wrong] + rng.integers(1, classes, len(wrong))) % classes
    images[inverted] = 255 - images[inverted]
    kinds = list(DISGUISES.values())
    tensors = torch.from_numpy(images[altered]).permute(0, 3, 1, 2)
    disguised = [kinds[i % len(kinds)](tensors[i : i + 1], rng)[0] for i in range(len(altered))]
    copies = np.stack([image.permute(1, 2, 0).numpy() for image in disguised])
    first, second = len(images), len(images) + len(exact)
    return Planted(
        np.concatenate([images, images[exact], copies]),
        np.concatenate([labels, labels[exact], labels[altered]]),
        wrong,
        inverted,
        [(int(row), first + place) for place, row in enumerate(exact)],
        [(int(row), second + place) for place, row in enumerate(altered)],
    )


def inspect(images: np.ndarray, labels: np.ndarray) -> Inspection:
    """The inspection of images as training images."""
    count, names = len(images), tuple(str(label) for label in range(int(labels.max()) + 1))
    pictures = Pictures(
        images, labels, np.full(count, "train", "<U10"), content_ids(images), [str(row) for row in range(count)]
    )
    counts = Counts(names, ("train",), np.bincount(labels)[:, None])
    return inspect_pictures(pictures, counts, name="planted")


def list_rows(found: Inspection, key: str) -> list[int]:
    """Rows of a list of the facts."""
    records = found.facts["labels"][key] if key == "suspects" else found.facts[key]
    return [record["row"] for record in records]


def link_rows(found: Inspection) -> list[tuple[int, int]]:
    """All pairs of rows that are in one group of duplicates."""
    groups = ([image["row"] for image in group["images"]] for group in found.facts["duplicates"])
    return [(one, other) for rows in groups for one in rows for other in rows if one < other]


def count_near(found: Inspection) -> int:
    """Images in groups of near duplicates."""
    return sum(len(group["images"]) for group in found.facts["duplicates"] if group["kind"] == "near")


def share(found: object, planted: object) -> float:
    """The share of `planted` that is in `found`; 0 if nothing was planted."""
    wanted, known = list(planted), set(found)  # type: ignore[call-overload]
    return round(sum(entry in known for entry in wanted) / len(wanted), 4) if wanted else 0.0


def _take(whole: LabelledImages, count: int, seed: int) -> LabelledImages:
    rows = np.random.default_rng(seed).permutation(len(whole))[:count]
    return LabelledImages(whole.images[torch.from_numpy(rows)], whole.labels[rows])


def _read_digits() -> LabelledImages:
    """scikit-learn's 1,797 digits, 16 x 16."""
    digits = load_digits()
    images = np.kron(digits.images, np.ones((2, 2))) * (255 / 16)
    return LabelledImages(torch.from_numpy(images.round().astype(np.uint8))[:, None], digits.target.astype(np.int64))
