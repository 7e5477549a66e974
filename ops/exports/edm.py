"""Format `zip`: the layout that EDM and StyleGAN train from, one ZIP for each split.

Images are `00000/img00000000.png` and on, 1,000 in each folder; `dataset.json` holds their labels. EDM and StyleGAN
ignore other files, so the ZIP also holds `classes.json` and `provenance.csv`.
"""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path

from ops.datasets.png import name_shape
from ops.errors import UserError
from ops.exports import table
from ops.exports.archives import create_zip, stream_member, zip_member
from ops.exports.documents import CLASSES, list_classes
from ops.exports.published import Published


def check_zip(dataset: Published) -> None:
    """UserError if the images are not square, because the readers of this layout refuse them."""
    if dataset.shape[0] != dataset.shape[1]:
        shape = name_shape(dataset.shape)
        raise UserError(
            f"{dataset.folder}: its images are {shape}; format zip allows only square images, the other formats any"
        )


def write_zip(dataset: Published, folder: Path) -> None:
    """Fill `folder`."""
    for split in dataset.splits:
        with create_zip(folder / f"{split}.zip") as archive:
            index = count()
            for batch in dataset.batches(split):
                for payload in batch.payloads:
                    archive.writestr(zip_member(name_image(next(index))), payload.as_py())
            with stream_member(archive, "dataset.json") as stream:
                index, comma = count(), b""
                stream.write(b'{"labels": [')
                for rows in dataset.rows(split):
                    entries = [json.dumps([name_image(next(index)), label]) for label in rows["label"]]
                    stream.write(comma + ", ".join(entries).encode())
                    comma = b", "
                stream.write(b"]}\n")
            archive.writestr(zip_member(CLASSES), json.dumps(list_classes(dataset), ensure_ascii=False) + "\n")
            with stream_member(archive, "provenance.csv") as stream:
                index = count()
                stream.write(table.header("file_name"))
                for rows in dataset.rows(split):
                    for part in rows.iter_slices(4_096):
                        files = [name_image(next(index)) for _ in range(part.height)]
                        stream.write(table.lines(files, part, dataset.class_names))


def name_image(index: int) -> str:
    """Member name of the image at place `index` of its split."""
    return f"{index // 1000:05d}/img{index:08d}.png"
