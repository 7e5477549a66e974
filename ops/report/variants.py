"""The report's facts on variants: gate.json of each generator, and the seed images that a plan chose. Images of other
kinds are not variants."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from ops.files.outputs import GATE, SEEDS
from ops.files.storage import read_json
from ops.stages.several import count_generators, place

ADVICE = (  # what would help where no class gets variants
    "a generator that is trained longer, or on more images: it must learn what changes an image and not its class",
    "a better scorer, if it names few real images rightly: more `scorer.steps`, or fewer wrong labels",
    "lower limits: `moves` and `keeps` in the section `sampler` of the recipe; null asks for nothing",
)


def collect_variants(generator_onnx: Path) -> list[dict[str, Any]]:
    """The gate.json of each generator in the folder of that stage; empty for kinds whose images are not variants."""
    folders = [place(generator_onnx, number) for number in range(count_generators(generator_onnx))]
    return [read_json(folder / GATE) for folder in folders if (folder / GATE).exists()]


def collect_seeds(expansion_plan: Path, class_names: Sequence[str]) -> dict[str, Any] | None:
    """The seed images that were chosen by what the scorer learns worst, of each class; None where they are all.

    `bound` is the least loss of a chosen image of the class: the others are learnt better.
    """
    if not (expansion_plan / SEEDS).exists():
        return None
    table = pl.read_parquet(expansion_plan / SEEDS, glob=False)
    rows = []
    for label, name in enumerate(class_names):
        own = table.filter(label=label)
        chosen = own.filter("chosen")
        rows.append(
            {
                "name": name,
                "real": len(own),
                "chosen": len(chosen),
                "misnamed": len(chosen.filter(pl.col("named") != name)),
                "bound": chosen["loss"].min(),
            }
        )
    return {"classes": rows, **{key: sum(row[key] for row in rows) for key in ("real", "chosen", "misnamed")}}
