"""The documents beside the images in every export: the card, the verdict and the list of classes.

The card is the published one. Its front matter keeps the entries that are true of the export, and a note names the
part of the images that the export holds.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import yaml

from ops.errors import DamagedData
from ops.exports.published import Published
from ops.files.outputs import CARD, VERDICT
from ops.files.storage import write_json, write_text

CLASSES = "classes.json"
_FILES = re.compile(r"  - \{split: (\w+), path: .*\}\n")
_NOTES = {
    "real": "This export holds the real images alone: the {train} real training images{others}.",
    "generated": "This export holds generated images alone: the {train} generated training images, no other split.",
}


def write_documents(dataset: Published, folder: Path, *, as_published: bool) -> None:
    """README.md and verdict.json; `as_published` keeps the card's list of Parquet files."""
    card = (dataset.folder / CARD).read_text(encoding="utf-8")
    write_text(folder / CARD, adapt_card(card, dataset, as_published=as_published))
    shutil.copyfile(dataset.folder / VERDICT, folder / VERDICT)


def write_classes(dataset: Published, path: Path, folders: list[str] | None = None) -> None:
    """classes.json: label, name and, if there are folders, folder of each class."""
    write_json(path, list_classes(dataset, folders))


def list_classes(dataset: Published, folders: list[str] | None = None) -> list[dict[str, Any]]:
    """The content of classes.json."""
    classes: list[dict[str, Any]] = [{"label": label, "name": name} for label, name in enumerate(dataset.class_names)]
    for entry, folder in zip(classes, folders or [], strict=folders is not None):
        entry["folder"] = folder
    return classes


def adapt_card(card: str, dataset: Published, *, as_published: bool) -> str:
    """The published card for this export."""
    head, body = _split_card(card, dataset)
    if as_published:
        head = _FILES.sub(lambda line: line[0] if line[1] in dataset.splits else "", head)
    else:  # the file patterns would point readers of the front matter to missing Parquet files
        head = re.sub(r"configs:\n(?:[ -].*\n)+", "", head)
    note = _NOTES.get(dataset.only, "")
    if note:
        others = ", and validation and test whole" if len(dataset.splits) > 1 else ""
        note = "\n" + note.format(train=dataset.counts["train"], others=others)
        note += " The rest of this card is that of the whole dataset.\n"
    return f"---\n{head}---\n{note}{body}"


def read_licence(dataset: Published) -> str:
    """The licence that the front matter of the card names."""
    head, _ = _split_card((dataset.folder / CARD).read_text(encoding="utf-8"), dataset)
    return str(yaml.safe_load(head)["license"])


def _split_card(card: str, dataset: Published) -> tuple[str, str]:
    match = re.match(r"---\n(.*?\n)---\n(.*)", card, flags=re.DOTALL)
    if match is None:
        raise DamagedData(f"{dataset.folder / CARD} has no front matter; it is not the card that publishing writes")
    return match[1], match[2]
