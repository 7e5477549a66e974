"""The faster variant of a sampler that the recipe asks for: made, compared with fp32, kept only if it is as good."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from ops.datasets.axes import to_nchw
from ops.files.outputs import PRECISION
from ops.files.storage import write_json
from ops.generators.feeds import SeedImages
from ops.generators.folder import variant_name
from ops.generators.onnx.gate import TOLERANCE, accept_variant, draw_pairs
from ops.generators.onnx.variants import halve_sampler, quantise_sampler
from ops.judging.judge import Judge
from ops.machine.progress import Sink


def add_variant(
    folder: Path,
    sampler: Path,
    precision: str,
    judge: Judge | None,
    scratch: Path,
    *,
    sink: Sink,
    seeds: SeedImages | None = None,
) -> dict[str, Any]:
    """Put the variant into `folder` if the gate accepts it, and precision.json in any case; returns its content.

    Without a judge nothing can be accepted. `seeds` are the seed images of a sampler that takes them: the judge's
    training images, in their order.
    """
    sink(f"generator_onnx: making the {precision} sampler and comparing it with fp32")
    if judge is None:
        decision = {"precision": precision, "accepted": False, "reason": "there are too few validation images to judge"}
        write_json(folder / PRECISION, decision)
        return decision
    variant = scratch / variant_name(sampler, precision)
    if precision == "int8":
        quantise_sampler(sampler, variant, seeds=seeds)
    else:
        halve_sampler(sampler, variant)
    one, other, labels, parents = draw_pairs(sampler, variant, seeds=seeds)

    def frechet(images: np.ndarray, labels: np.ndarray) -> float:
        return judge.frechet(torch.from_numpy(to_nchw(images)), parents)

    gate = accept_variant(one, other, labels, frechet, precision=precision)
    reason = f"its Fréchet distance is {gate.ratio:.3f} times that of fp32, at most {1 + TOLERANCE:.2f} is allowed"
    decision = {**gate.to_dict(), "reason": reason}
    if gate.accepted:
        variant.replace(folder / variant.name)
    else:
        variant.unlink()
    write_json(folder / PRECISION, decision)
    sink(f"generator_onnx: {precision} is {'accepted' if gate.accepted else 'rejected'}: {reason}")
    return decision
