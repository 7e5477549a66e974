"""The sources by name: what each is, the layout that it is written in, and how it is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.sources import fashion
from benchmarks.sources.digits import draw_digits
from benchmarks.sources.drawn import Drawn
from benchmarks.sources.emoji import draw_emoji
from benchmarks.sources.hiragana import COUNTS as HIRAGANA
from benchmarks.sources.hiragana import draw_hiragana
from benchmarks.sources.icons import draw_icons
from benchmarks.sources.letters import CAPITALS, MIRRORED, draw_letters
from benchmarks.sources.photographs import COUNTS as PATCHES
from benchmarks.sources.photographs import draw_patches
from benchmarks.sources.writing import WRITERS
from ops.files.storage import write_json

PLANTED = "planted.json"
FEWER = {"train": 40, "validation": 10, "test": 25}  # patches of 64 pixels


@dataclass(frozen=True)
class Source:
    """`layout` is a kind of docs/bring-your-own-data.md; `draw` takes a seed."""

    name: str
    says: str
    layout: str
    draw: Callable[[int], Drawn]

    def build(self, folder: Path, seed: int = 0) -> Drawn:
        """Write the source to `folder`/<name>, and what was planted beside it. UserError where a package is missing."""
        drawn = self.draw(seed)
        folder.mkdir(parents=True, exist_ok=True)
        WRITERS[self.layout](drawn, folder / self.name)
        if drawn.planted:
            write_json(folder / PLANTED, dict(drawn.planted))
        return drawn


def _draw_fashion(counts: dict[str, int], seed: int) -> Drawn:
    return fashion.draw_fashion(fashion.read_whole(), counts, seed)


SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        Source("letters", "capital letters in many fonts and colours, 80 to 8 of each", "folder",
               lambda seed: draw_letters(CAPITALS, seed)),
        Source("emoji", "emoji by Unicode's groups", "parquet", lambda seed: draw_emoji(32, seed)),
        Source("icons", "Tango's icons by purpose, transparent, 173 in all", "folder", lambda seed: draw_icons()),
        Source("photographs", "patches of photographs and textures", "folder",
               lambda seed: draw_patches(PATCHES, 32, seed)),
        Source("digits", "scikit-learn's digits, 8 x 8", "npz", lambda seed: draw_digits()),
        Source("hiragana", "hiragana with stroke and background nuisances", "zip",
               lambda seed: draw_hiragana(HIRAGANA, seed)),
        Source("b-and-d", "two classes of 30 images, mirror images of each other", "folder",
               lambda seed: draw_letters(MIRRORED, seed)),
        Source("shuffled", "Fashion-MNIST with shuffled labels", "webdataset",
               lambda seed: fashion.shuffle_labels(_draw_fashion(fashion.WITH_VALIDATION, seed), seed)),
        Source("photographs-64", "patches of photographs and textures, 64 pixels", "folder",
               lambda seed: draw_patches(FEWER, 64, seed)),
        Source("fashion", "Fashion-MNIST, 120 images a class", "idx",
               lambda seed: _draw_fashion(fashion.COUNTS, seed)),
        Source("fashion-tail", "Fashion-MNIST, classes of 200 to 4", "metadata",
               lambda seed: fashion.draw_tail(fashion.read_whole(), seed)),
        Source("planted", "Fashion-MNIST with wrong labels, copies and near copies", "folder",
               lambda seed: fashion.plant_faults(_draw_fashion(fashion.WITH_VALIDATION, seed), seed)),
        Source("emoji-128", "emoji by Unicode's groups, 128 pixels", "parquet", lambda seed: draw_emoji(128, seed)),
    )
}  # fmt: skip
