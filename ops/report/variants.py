"""The report's facts on the gate of variants: gate.json of each generator. Images of other kinds are not variants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ops.files.outputs import GATE
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
