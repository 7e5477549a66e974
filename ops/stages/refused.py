"""Classes for which nothing is generated, because the gate of variants refused them.

gate.json of generator_onnx has the decision. The stage generated_images records it in its rounds.json, as does
accepted_images, so that later stages need not read the generator.
"""

from __future__ import annotations

from pathlib import Path

from ops.files.outputs import GATE, ROUNDS
from ops.files.storage import read_json

REFUSED = "refused"  # the key in rounds.json


def list_refused(generator_onnx: Path) -> dict[str, str]:
    """Why classes get no variants, by their names; `generator_onnx` is the folder of one generator.

    Empty for a generator whose images are not variants.
    """
    path = generator_onnx / GATE
    if not path.exists():
        return {}
    return {entry["name"]: entry["why"] for entry in read_json(path)["classes"] if entry["why"] is not None}


def read_refused(folder: Path) -> dict[str, str] | None:
    """The same, as the stage generated_images or accepted_images recorded it in `folder`.

    None where the images are not variants, or none were drawn.
    """
    refused: dict[str, str] | None = read_json(folder / ROUNDS).get(REFUSED)
    return refused
