"""Format `fiftyone`: metadata.json, samples.json and `data/<split>/<class>/<image_id>.png`, which FiftyOne imports.

    fo.Dataset.from_dir(dataset_dir=FOLDER, dataset_type=fo.types.FiftyOneDataset)

FiftyOne has two layouts of this type. This is the one without a `version` in metadata.json, which its importer
recognises by that: it holds values and nothing of FiftyOne's database, so it does not depend on FiftyOne's version.
A sample's fields are tags (split, real or generated), `ground_truth`, the columns of the published dataset, and the
scores that the caller has. Fields that an image lacks are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from ops.exports.documents import CLASSES, list_classes, write_classes
from ops.exports.folder import write_images
from ops.exports.names import name_folders
from ops.exports.published import Batch, Published
from ops.files.storage import write_json

METADATA, SAMPLES, DATA = "metadata.json", "samples.json", "data"
FIELDS = ("split", "is_generated", "image_id", "parent_id", "round", "k", "weight")
PREDICTED = "predicted"  # a column of scores with a label: the field `scorer` has its class


def write_fiftyone(dataset: Published, folder: Path) -> None:
    """Fill `folder`. Raises DamagedData if two images of one class and split have the same id."""
    classes = name_folders(dataset.class_names)
    write_classes(dataset, folder / CLASSES, classes)
    write_json(folder / METADATA, describe_metadata(dataset))
    with (folder / SAMPLES).open("x", encoding="utf-8") as samples:
        samples.write('{"samples": [')
        first = True
        for split in dataset.splits:
            for name in classes:
                (folder / DATA / split / name).mkdir(parents=True)
            for batch in dataset.batches(split):
                files = write_images(folder / DATA / split, batch, classes)
                paths = [f"{DATA}/{split}/{file}" for file in files]
                for sample in _describe_batch(dataset, batch, paths):
                    text = json.dumps(sample, ensure_ascii=False, allow_nan=False)
                    samples.write(f"{'' if first else ','}\n{text}")
                    first = False
        samples.write("\n]}\n")


def describe_metadata(dataset: Published) -> dict[str, Any]:
    """The content of metadata.json. A key `version` would select FiftyOne's other layout."""
    return {
        "name": dataset.name,
        "media_type": "image",
        "info": {
            "default_classes": [entry["name"] for entry in list_classes(dataset)],
            "made_by": "Growset",
        },
    }


def _describe_batch(dataset: Published, batch: Batch, paths: list[str]) -> Iterator[dict[str, Any]]:
    """The samples of a batch, in order."""
    rows = batch.rows
    scores: list[str] = []
    if dataset.scores is not None:
        scores = [name for name in dataset.scores.columns if name not in (*rows.columns, PREDICTED)]
        wanted = [name for name in dataset.scores.columns if name in ("image_id", PREDICTED, *scores)]
        rows = rows.join(dataset.scores.select(wanted), on="image_id", how="left", maintain_order="left")
    for row, path in zip(rows.iter_rows(named=True), paths, strict=True):
        origin = "generated" if row["is_generated"] else "real"
        yield {
            "filepath": path,
            "tags": [row["split"], origin],
            "ground_truth": _classify(dataset.class_names[row["label"]]),
            **{name: row[name] for name in FIELDS if row[name] is not None},
            **_read_scores(dataset, row, scores),
        }


def _read_scores(dataset: Published, row: Mapping[str, Any], scores: list[str]) -> dict[str, Any]:
    """The scores that were measured, as decimals even where they are whole, and the class that the scorer sees."""
    found = {name: float(row[name]) for name in scores if row[name] is not None and abs(row[name]) < float("inf")}
    predicted = row.get(PREDICTED)
    return found if predicted is None else {**found, "scorer": _classify(dataset.class_names[predicted])}


def _classify(name: str) -> dict[str, Any]:
    return {"_cls": "Classification", "label": name}


def collect_scores(index: pl.DataFrame, held_out: pl.DataFrame) -> pl.DataFrame:
    """The scores of generated and of validation images by `image_id`, from the stage accepted_images.

    Distances to held-out images are left out, because they tell of test images.
    """
    scores = [name for name, kind in index.schema.items() if kind.is_float() and name != "held_out_distance"]
    scores = [name for name in scores if index[name].null_count() < len(index)]
    columns = ["image_id", *scores, *([PREDICTED] if PREDICTED in index.columns else [])]
    real = held_out.select(name for name in columns if name in held_out.columns)
    return pl.concat([index.select(columns), real], how="diagonal_relaxed")
