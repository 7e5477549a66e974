"""Format `folder`: `<split>/<class>/<image_id>.png`, and each image's metadata in `<split>/metadata.csv`.

`datasets.load_dataset("imagefolder")` reads it with all columns. `names` makes folders of class names, `table` writes
the cells, and classes.json maps labels and names to folders.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ops.errors import DamagedData
from ops.exports import table
from ops.exports.documents import CLASSES, write_classes
from ops.exports.names import name_folders
from ops.exports.published import Batch, Published


def write_folder(dataset: Published, folder: Path) -> None:
    """Fill `folder`. Raises DamagedData if two images of one class and split have the same id."""
    classes = name_folders(dataset.class_names)
    write_classes(dataset, folder / CLASSES, classes)
    for split in dataset.splits:
        for name in classes:
            (folder / split / name).mkdir(parents=True)
        with (folder / split / "metadata.csv").open("xb") as metadata:
            metadata.write(table.header("file_name"))
            for batch in dataset.batches(split):
                files = write_images(folder / split, batch, classes)
                metadata.write(table.lines(files, batch.rows, dataset.class_names))


def write_images(folder: Path, batch: Batch, classes: Sequence[str]) -> list[str]:
    """Write each image as `<class>/<image_id>.png` in `folder`, which has the folders `classes`; returns these names.

    Raises DamagedData if two images of one class have the same id.
    """
    labels, ids = batch.rows["label"], batch.rows["image_id"]
    stems = [image_id if _is_safe(image_id) else name_folders([image_id])[0] for image_id in ids]
    files = [f"{classes[label]}/{stem}.png" for label, stem in zip(labels, stems, strict=True)]
    for file, payload in zip(files, batch.payloads, strict=True):
        _write_new(folder / file, payload.as_py(), batch.where)
    return files


def _is_safe(image_id: str) -> bool:
    return image_id.isascii() and image_id.replace("-", "").isalnum()


def _write_new(path: Path, content: bytes, where: str) -> None:
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:
        raise DamagedData(f"{where}: two images of one class have the id {path.stem}") from None
