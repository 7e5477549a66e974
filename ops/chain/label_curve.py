"""Stage `label_curve`: train the picked baseline on parts of its labels, and score all sizes on validation images.

The arm keeps what the grid and the controller chose for it, and its steps. Each seed draws its own nested parts. The
networks that learnt from all labels are those of the stage before. What the curve says of a gain is told by the report,
so that this stage depends on nothing generated, and no test image is opened. A killed run resumes after its last
finished training; finished trainings are kept for other recipes, as those of the arms are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from ops.chain.parts.classifiers import BASELINES, open_contest, weights_file
from ops.chain.parts.examples import read_baselines
from ops.classifiers.answering import predict
from ops.classifiers.examples import Examples
from ops.classifiers.racing import unpack_bits
from ops.classifiers.runs import Contest, Run, train_runs
from ops.classifiers.stored import load_classifier
from ops.datasets.pixels import read_rows
from ops.datasets.shards import find_shards
from ops.datasets.units import find_units, list_units
from ops.files.outputs import LABEL_CURVE, RESULTS
from ops.files.storage import read_json, write_json
from ops.recipe.arms import Arm
from ops.recipe.automatic import read_settled
from ops.recipe.grid import Setting
from ops.stages.materialization import StageRun
from ops.verdict.estimate import BoolArray
from ops.verdict.picks import pick_best
from ops.verdict.reference import choose_checked_metric
from ops.verdict.worth.curve import measure_curve
from ops.verdict.worth.parts import count_part, order_images, take_part


def build_label_curve(run: StageRun) -> dict[str, Any]:
    """Write label_curve.json, which is {} where the recipe does not ask what gains are worth."""
    settings = run.recipe.report.worth
    if settings is None:
        write_json(run.out / LABEL_CURVE, {})
        return {"sizes": 0}
    results = read_json(run.inputs[BASELINES] / RESULTS)
    picked = pick_best({arm: entry["validation"] for arm, entry in results["arms"].items()})
    trained = read_settled(run.recipe.baselines, results)
    arm = choose_arm(results["arms"], trained)
    entry, arms = results["arms"][arm], {arm: trained[arm]}
    whole = read_baselines(run.workspace, run.inputs, arms)
    contest = open_contest(run, arms, [whole], results["metric"], {})
    units = list_units(run.inputs["real_images"], read_rows(find_shards(run.inputs["real_images"], "train")))
    seeds = range(contest.first_seed, contest.first_seed + settings.seeds)
    orders = [order_images(units, seed) for seed in seeds]
    rows = {
        share: [take_part(whole.labels, order, share) for order in orders]
        for share in find_different(whole.labels, settings.shares)
    }
    progress = run.runtime.progress(run.stage, len(rows) * len(seeds), "trainings")
    answers: dict[float, Mapping[int, BoolArray]] = {}
    setting = Setting(tuple(entry["setting"].items()))
    for number, (share, parts) in enumerate(rows.items()):
        part = replace(
            contest,
            training=tuple(_take_rows(whole, each) for each in parts),
            scratch=contest.scratch / f"part-{number}",
        )
        asked = [Run(arm, setting, seed) for seed in seeds]
        done = train_runs(part, asked, run.runtime.workers, progress, number * len(seeds))
        answers[share] = {each.seed: unpack_bits(done[each].bits) for each in asked}
    answers[1.0] = _answer_stored(run, contest, arm, [int(seed) for seed in entry["per_seed"]], results["precision"])
    counts = {share: len(parts[0]) for share, parts in rows.items()} | {1.0: len(whole.labels)}
    curve = measure_curve(
        answers,
        counts,
        contest.validation[1],
        choose_checked_metric(contest.metric),
        arm=arm,
        picked=picked,
        classes=contest.classes,
        units=find_units(run.inputs["real_images"], read_rows(find_shards(run.inputs["real_images"], "validation"))),
    )
    write_json(run.out / LABEL_CURVE, curve.to_dict())
    for point in curve.points:
        run.runtime.sink(f"{run.stage}: {arm} with {point.images:,} labels: {100 * point.score:.1f} % on validation")
    return {"sizes": len(curve.points), "arm": arm, "trainings": len(rows) * len(seeds)}


def choose_arm(entries: Mapping[str, Mapping[str, Any]], arms: Mapping[str, Arm]) -> str:
    """The best arm on validation of those without a teacher, who saw all labels; `real` is always among them."""
    return pick_best({arm: entry["validation"] for arm, entry in entries.items() if arms[arm].targets.kind == "labels"})


def find_different(labels: np.ndarray, shares: tuple[float, ...]) -> list[float]:
    """The shares that give different numbers of images, all fewer than there are; of few images some give the same."""
    counts, found = np.unique(labels, return_counts=True)[1], dict[int, float]()
    for share in shares:
        size = sum(count_part(int(count), share) for count in counts)
        if size < len(labels):
            found.setdefault(size, share)
    return list(found.values())


def _take_rows(whole: Examples, rows: np.ndarray) -> Examples:
    """The labelled images at `rows`; what an arm sees of a pool stays."""
    return replace(
        whole,
        images=whole.images[rows],
        labels=whole.labels[rows],
        weights=whole.weights[rows],
        ids=[whole.ids[row] for row in rows],
    )


def _answer_stored(run: StageRun, contest: Contest, arm: str, seeds: list[int], precision: str) -> dict[int, BoolArray]:
    """Whether the stored networks, which learnt from all labels, are right: bool [n] by seed."""
    images, labels = contest.validation
    found = dict[int, np.ndarray]()
    for seed in seeds:
        network = load_classifier(run.inputs[BASELINES] / weights_file(arm), seed).to(contest.device)
        logits = predict(network, torch.from_numpy(images), precision=precision, device=contest.device)
        found[seed] = logits.argmax(1).numpy() == labels
    return found
