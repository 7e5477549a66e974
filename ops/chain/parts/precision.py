"""Make the faster variant of a sampler that the recipe asks for, compare it with fp32, keep it if it is as good."""

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
from ops.judging.expansion import share_labels
from ops.judging.judge import Judge
from ops.machine.progress import Sink

COMPARED = 2048  # images of each sampler


def add_variant(
    folder: Path,
    sampler: Path,
    precision: str,
    judge: Judge | None,
    scratch: Path,
    *,
    labels: np.ndarray,
    sink: Sink,
    seeds: SeedImages | None = None,
) -> dict[str, Any]:
    """Write the variant to `folder` if the gate accepts it, and precision.json in any case; return its content.

    Without a judge the variant is rejected. `labels` are those of the validation images, int [n]: drawn images have
    their class shares, or the distance to them would be one of classes. `seeds` are the seed images of a sampler that
    takes them: the judge's training images, in their order.
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
    labels = share_labels(labels, COMPARED)
    one, other, parents = draw_pairs(sampler, variant, labels, seeds=seeds)

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
