"""Stage `verdict`: ask the stored classifiers about the test images, and decide.

Test images are looked at once, or twice where the recipe allows it and the first look is undecided: then as many seeds
again are trained for every arm, and both looks' seeds decide together. Each look is written to the evaluation log
before it is made. The arms that meet are those that validation picked at the first seeds, at both looks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ops.chain.answers import Answers, Network, ask, find_correct, find_unasked, read_answers
from ops.chain.classifiers import BASELINES, EXPANDED, RESULTS, to_nchw, weights_file
from ops.chain.later_seeds import FOLDER, train_later_seeds
from ops.classifiers.augmentation import mirrors
from ops.datasets.pixels import PixelDataset, read_split
from ops.stage import StageRun, read_manifest
from ops.storage import read_json, replace_file, write_json
from ops.verdict.decision import Budget, Kind, Verdict, decide
from ops.verdict.evaluation_log import Evaluation, append_evaluation
from ops.verdict.same_compute import average_probabilities, compare_same_compute

SIDES: dict[str, Kind] = {BASELINES: "baseline", EXPANDED: "expanded"}


def build_verdict(run: StageRun) -> dict[str, Any]:
    """Write runs.parquet (correct per arm, seed and test image) and verdict.json."""
    field_ = _Field({side: read_json(run.inputs[side] / RESULTS) for side in SIDES})
    looks = run.recipe.verdict.looks
    networks = _list_networks(run, field_)
    answers, test = _look(run, networks)
    verdict = _judge(run, field_, answers, test, look=1)
    earlier: list[dict[str, Any]] = []
    if looks == 2 and verdict.decision == "no evidence":
        run.runtime.sink(f"first look: {verdict.sentence}")
        earlier.append(_summarise_look(verdict))
        networks += _list_later(run, field_, train_later_seeds(run, field_.results))
        answers, test = _look(run, networks)
        verdict = _judge(run, field_, answers, test, look=2)


