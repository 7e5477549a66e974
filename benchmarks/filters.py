"""What filtering costs beside drawing: scores, rules and metrics of as many images as the demo draws.

Drawn and written by the demo's network, untrained, with two evaluations an image, by the code of the stage; then scored
by the stage's examiner against 1,000 training images and 2,000 held-out ones on the same cores. The images that are
scored are real ones that it has not met, in the place of generated ones: an untrained network's would all look alike.
The first extractor of the metrics is the scorer, the second the random network.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.faults import train_scorer
from benchmarks.fashion import CLASS_NAMES, LabelledImages, divide, read_fashion
from benchmarks.harness import Row, write_result
from benchmarks.million_generated import generate
from benchmarks.untrained import export_untrained
from ops.filters.copies import fit_references, measure_nearness
from ops.filters.examination import Examiner, Met, Witnesses
from ops.filters.looks import measure_looks
from ops.filters.rules import decide, find_reasons, set_limits
from ops.filters.typicality import fit_typicality, measure_typicality
from ops.generators.folder import variant_name
from ops.generators.variants import quantise_sampler
from ops.metrics.random_network import embed_images
from ops.metrics.set_quality import Labels, View, measure_set
from ops.parallel import available_cores, use_threads
from ops.recipe.filtering import FilterSettings
from ops.scorer import assign_folds

COUNT = 13_000  # images that the demo draws
HELD_OUT = 200  # images of each class, validation and test together
SOLVER, STEPS = "euler", 2


def run(count: int = COUNT, *, scorer_steps: int = 300, seed: int = 0) -> Path:
    """Measure, write results/filters.json."""
    whole = read_fashion()
    division = divide(whole, small=100, scored=HELD_OUT // 2, held_out=HELD_OUT // 2, seed=seed)
    held_out = join(division.scored, division.held_out)
    stand_ins = order_by_class(division.unseen, count)
    workers = min(2, available_cores())
    rows, seconds = [], {}
    with tempfile.TemporaryDirectory() as name:
        fp32 = export_untrained(Path(name) / "generator", solver=SOLVER, steps=STEPS)
        int8 = fp32.with_name(variant_name(fp32, "int8"))
        quantise_sampler(fp32, int8)
        for sampler, label in ((fp32, "fp32"), (int8, "int8")):
            seconds[label], _, _ = generate(sampler, Path(name) / f"drawn-{label}", count, workers)
            rows.append(Row(f"drawing and writing, {label}", round(1e6 * seconds[label] / count, 1), "us/image"))
    use_threads()
    scorer, _ = train_scorer(division.small, steps=scorer_steps, seed=seed)
    folds = assign_folds(division.small.labels, len(scorer.models), seed)
    pieces = Pieces()
    examiner = pieces.clock(
        "opening: spacings of real images",
        lambda: Examiner(
            scorer, division.small.images, division.small.labels, folds, held_out.images, Witnesses()
        ),
    )
    real = pieces.clock("held-out real images' scores", lambda: examiner.examine_real(held_out.images, held_out.labels))
    scores = pieces.clock("scores", lambda: examiner.examine(stand_ins.images, stand_ins.labels, Met()))
    classes = len(CLASS_NAMES)
    pieces.clock("rules", lambda: apply_rules(real, held_out.labels, scores, stand_ins.labels, classes))
    filtering = pieces.total
    features = [list(scorer.features(part)) for part in (held_out.images, division.small.images, stand_ins.images)]
    return finish(rows, seconds, pieces, filtering, count)
