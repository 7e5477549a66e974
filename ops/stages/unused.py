"""A generator that has not learnt is not used: nothing is drawn, and the stages after it record nothing but that.

The stage generated_images asks `explain_unused` and records the answer; others read it with `read_unused`.
Several generators are used together or not at all: the verdict is about another generator of the recipe, so leaving
out those that have not learnt would make it about the lucky ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ops.files.outputs import ROUNDS, USABILITY
from ops.files.storage import read_json
from ops.stages.several import count_generators, find_root, place

UNUSED = "unused"  # the key in rounds.json of generated_images


def describe_refusal(usability: Mapping[str, Any]) -> str:
    """Why a generator is not used and what would help, from its usability.json."""
    *others, last = usability["advice"]
    advice = f"{', '.join(others)} or {last}" if others else last
    return f"generator not used: {usability['sentence']}; what would help: {advice}"


def explain_unused(generator_onnx: Path) -> str | None:
    """Why the recipe's generators are not used; None if they are. `generator_onnx` is the folder of any of them."""
    root, _ = find_root(generator_onnx)
    each = [read_json(place(root, number) / USABILITY) for number in range(count_generators(root))]
    refused = [number for number, found in enumerate(each) if not found["usable"]]
    if not refused:
        return None
    why: str = each[refused[0]]["sentence"]
    if len(each) == 1:
        return why
    verb = "has" if len(refused) == 1 else "have"
    return (
        f"{len(refused)} of {len(each)} generators {verb} not learnt, and all are used or none; of generator"
        f" {refused[0]} {why}"
    )


def read_unused(generated_images: Path) -> str | None:
    """Why nothing was drawn, as the stage generated_images recorded it; None if images were drawn."""
    why: str | None = read_json(generated_images / ROUNDS).get(UNUSED)
    return why
