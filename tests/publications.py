"""Published datasets as publishing writes them: digits in grey, random pixels in colour, class names of every kind."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.datasets import load_digits

from ops.datasets.identity import content_ids, number_repeats
from ops.datasets.pixels import PixelDataset, build_rows, write_shards
from ops.files.manifests import MANIFEST, describe_output
from ops.files.storage import write_json, write_text
from ops.report.card import render_card
from tests.filtering import make_held_out, make_index, make_results, make_rule
from tests.reports import make_reference, make_way

ODD_NAMES = (
    "Bag", "bag", "a/b", "..", ".hidden", 'qu"ote, comma', "two\nlines", "日本語", "None", "con", " space ", "test",
    "val-2", "metadata.csv", "é", "e\u0301", "007", "100 %", "C:\\x", "", "हिन्दी",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A published folder and what is in it, by split."""

    folder: Path
    splits: dict[str, PixelDataset]

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.splits["train"].class_names


def publish(
    folder: Path,
    images: np.ndarray,
    labels: np.ndarray,
    names: tuple[str, ...],
    *,
    real: int,
    generated: int,
    **options: int,
) -> Case:
    """Publish images [n, H, W, C] with labels: the first `real` train, the next generated, half of the rest for each
    of the other splits. `options` are those of `write_shards`."""
    ends = real + generated
    rest = (len(images) - ends) // 2
    ids = number_repeats(content_ids(images))
    parts = [
        build_rows(labels[:real], ids[:real], split="train", weights=[4.0] * real),
        build_rows(
            labels[real:ends],
            [f"g0-{k:07d}" for k in range(generated)],
            split="train",
            is_generated=True,
            parent_ids=[ids[k % real] for k in range(generated)],
            rounds=[0] * generated,
            ks=range(generated),
            weights=[1.0] * generated,
        ),
    ]
    splits = {
        "train": PixelDataset(images[:ends], pl.concat(parts), names),
        "validation": _rest(images, labels, ids, names, "validation", ends, ends + rest),
        "test": _rest(images, labels, ids, names, "test", ends + rest, len(images)),
    }
    for split, dataset in splits.items():
        write_shards(folder / "data", dataset, prefix=split, **options)
    _write_documents(folder, splits)
    write_json(
        folder / MANIFEST, describe_output(folder, {"stage": "published_dataset", "fingerprint": "f", "inputs": {}}, {})
    )
    return Case(folder, splits)


def publish_digits(folder: Path) -> Case:
    """Grey 8x8 in four classes, 40 real and 30 generated training images in several files, 15 and 15 others."""
    digits = load_digits()
    chosen = np.flatnonzero(digits.target < 4)[:100]
    images = (digits.images[chosen] * 15).astype(np.uint8)[..., None]
    names = ("zero", "one", "Two", "three")
    return publish(folder, images, digits.target[chosen], names, real=40, generated=30, shard_bytes=2048)


def publish_odd(folder: Path) -> Case:
    """Random 6x6 RGB, a class of every odd name; each split has every class."""
    each = len(ODD_NAMES)
    labels = np.arange(8 * each) % each
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 6, 6, 3), dtype=np.uint8)
    return publish(folder, images, labels, ODD_NAMES, real=2 * each, generated=2 * each)


def _rest(
    images: np.ndarray, labels: np.ndarray, ids: list[str], names: tuple[str, ...], split: str, begin: int, end: int
) -> PixelDataset:
    rows = build_rows(labels[begin:end], ids[begin:end], split=split)
    return PixelDataset(images[begin:end], rows, names)


def _write_documents(folder: Path, splits: dict[str, PixelDataset]) -> None:
    score = {"estimate": 0.9, "low": 0.8, "high": 1.0}
    verdict = {
        "decision": "no evidence", "sentence": "No evidence either way.", "confidence": 0.95, "seeds": 2,
        "test_images": len(splits["test"]), "metric": "accuracy", "baseline": "real",
        "arms": [{"arm": "real", "kind": "baseline", "same_as": None, "score": score, "accuracy": score}],
        "same_compute": [make_way("ensemble", "real", 2)], "reference": make_reference(),
    }  # fmt: skip
    found = [[]] * 30 + [["wrong_label"]] * 25 + [["near_copy_of_train"]] * 5
    results = make_results(
        make_index(found, [0] * 60), make_held_out([0] * 20), ["Bag"], [30],
        rules=[make_rule("near_copy_of_train", 0.5, 1)], stopped=["quota"],
    )  # fmt: skip
    card = render_card(
        expansion=folder.name,
        licence="BSD-3-Clause",
        class_counts=[(name, 1, 1) for name in splits["train"].class_names],
        split_counts={split: len(dataset) for split, dataset in splits.items()},
        results=results,
        verdict=verdict,
        seed=0,
        real_weight=4.0,
    )
    write_text(folder / "README.md", card)
    write_json(folder / "verdict.json", verdict)


def digest(folder: Path) -> dict[str, bytes]:
    """All files under a folder with their bytes."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }
