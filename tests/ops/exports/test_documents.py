"""The card of an export keeps the true entries, drops the others, and marks a partial export."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ops.errors import DamagedData
from ops.exports.documents import adapt_card, read_licence
from ops.exports.published import open_published
from tests.publications import Case


def head(card: str) -> dict[str, object]:
    content: dict[str, object] = yaml.safe_load(card.split("---\n")[1])
    return content


def test_a_whole_export_in_parquet_keeps_the_card(grey: Case) -> None:
    card = (grey.folder / "README.md").read_text()
    assert adapt_card(card, open_published(grey.folder), as_published=True) == card


def test_other_formats_lose_only_the_list_of_files(grey: Case) -> None:
    card = (grey.folder / "README.md").read_text()
    adapted = adapt_card(card, open_published(grey.folder), as_published=False)
    before, after = head(card), head(adapted)
    assert before.pop("configs") and before == after
    assert card.split("---\n", 2)[2] == adapted.split("---\n", 2)[2]


@pytest.mark.parametrize(("only", "note"), [
    ("real", "holds the real images alone: the 40 real training images, and validation and test whole."),
    ("generated", "holds generated images alone: the 30 generated training images, no other split."),
])  # fmt: skip
def test_the_card_of_a_partial_export_names_the_part(grey: Case, only: str, note: str) -> None:
    card = (grey.folder / "README.md").read_text()
    dataset = open_published(grey.folder, only)
    adapted = adapt_card(card, dataset, as_published=True)
    assert note in adapted and "# tiny" in adapted
    files = head(adapted)["configs"][0]["data_files"]
    assert [entry["split"] for entry in files] == dataset.splits


def test_the_licence_is_read_from_the_card(grey: Case) -> None:
    assert read_licence(open_published(grey.folder)) == "bsd-3-clause"


def test_a_card_without_front_matter_is_damage(grey: Case, tmp_path: Path) -> None:
    with pytest.raises(DamagedData, match="README.md has no front matter"):
        adapt_card("# hello\n", open_published(grey.folder), as_published=False)
