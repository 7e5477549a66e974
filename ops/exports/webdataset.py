"""Format `webdataset`: `<split>-000000.tar` and on, of at most 5,000 images and about 1 GB each.

An image is three members with the same key, which counts from 0 in each split: `.png`, `.cls` (the label in digits) and
`.json` (its metadata). classes.json names the labels.
"""

from __future__ import annotations

import json
from pathlib import Path

from ops.exports.archives import TarWriter, member_size
from ops.exports.documents import CLASSES, write_classes
from ops.exports.published import Published

SHARD_IMAGES = 5_000
SHARD_BYTES = 10**9


def write_webdataset(dataset: Published, folder: Path) -> None:
    """Fill `folder`; a single image larger than SHARD_BYTES gets a shard of its own."""
    write_classes(dataset, folder / CLASSES)
    for split in dataset.splits:
        _write_split(dataset, split, folder)


def _write_split(dataset: Published, split: str, folder: Path) -> None:
    tar: TarWriter | None = None
    shards = key = 0
    try:
        for batch in dataset.batches(split):
            for row, payload in zip(batch.rows.iter_rows(named=True), batch.payloads, strict=True):
                facts = {**row, "label_name": dataset.class_names[row["label"]]}
                members = {
                    "png": payload.as_py(),
                    "cls": str(row["label"]).encode(),
                    "json": json.dumps(facts, ensure_ascii=False, sort_keys=True, allow_nan=False).encode(),
                }
                size = sum(map(member_size, members.values()))
                if tar is None or tar.count == len(members) * SHARD_IMAGES or tar.size + size > SHARD_BYTES:
                    if tar is not None:
                        tar.close()
                    tar = TarWriter(folder / f"{split}-{shards:06d}.tar")
                    shards += 1
                for extension, content in members.items():
                    tar.add(f"{key:08d}.{extension}", content)
                key += 1
    finally:
        if tar is not None:
            tar.close()
