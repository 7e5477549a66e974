"""A generator that has not learnt is not used: nothing is drawn, and the stages after it record nothing but that.

The same holds for a generator of variants that the gate refuses for every class that is to grow.
The stage generated_images asks `explain_unused` and records the answer; others read it with `read_unused`.
Several generators are used together or not at all: the verdict is about another generator of the recipe, so leaving
out those that have not learnt would make it about the lucky ones.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ops.files.outputs import GATE, ROUNDS, USABILITY
from ops.files.storage import read_json
from ops.stages.refused import list_refused
from ops.stages.several import count_generators, find_root, place

UNUSED = "unused"  # the key in rounds.json of generated_images


def describe_refusal(usability: Mapping[str, Any]) -> str:
    """Why a generator is not used and what would help, from its usability.json."""
    *others, last = usability["advice"]
    advice = f"{', '.join(others)} or {last}" if others else last
    return f"generator not used: {usability['sentence']}; what would help: {advice}"


def explain_unused(generator_onnx: Path, growing: Collection[str]) -> str | None:
    """Why the recipe's generators are not used; None if they are.

    generator_onnx: the folder of any of them. growing: names of the classes that are to grow.
    """
    root, _ = find_root(generator_onnx)
    each = [_explain_one(place(root, number), growing) for number in range(count_generators(root))]
    refused = {number: why for number, why in enumerate(each) if why is not None}
    if not refused:
        return None
    first, why = next(iter(refused.items()))
    if len(each) == 1:
        return why
    verb = "has" if len(refused) == 1 else "have"
    return (
        f"{len(refused)} of {len(each)} generators {verb} not learnt, and all are used or none; of generator"
        f" {first} {why}"
    )


def _explain_one(generator_onnx: Path, growing: Collection[str]) -> str | None:
    usability = read_json(generator_onnx / USABILITY)
    if not usability["usable"]:
        return str(usability["sentence"])
    if growing and set(growing) <= set(list_refused(generator_onnx)):
        return str(read_json(generator_onnx / GATE)["sentence"])
    return None


def read_unused(generated_images: Path) -> str | None:
    """Why nothing was drawn, as the stage generated_images recorded it; None if images were drawn."""
    why: str | None = read_json(generated_images / ROUNDS).get(UNUSED)
    return why
