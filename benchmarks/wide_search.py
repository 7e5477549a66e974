"""`growset bench wide_search`: how far the policy that `tuning.policy` chose lies below the best of a wide search.

For each source of `growset bench sources` the chain is run until `training_policy`. Then DRAWS policies are drawn at
random, each with strengths of all ingredients, an input, and a network's stride and width, and raced in the same way as
the search judges: on training and validation images, each answered by a network that did not see it. All are trained on
one fold with the steps that the search chose, the best on all folds, the best of these with twice the steps, and with
four times as many where that was better. The best of so many is best partly by luck, so it and the chosen policy are
then trained once more with another division into folds and other seeds: `gap` is their difference there. No test image
is involved.

Finished trainings are kept in the folder, so a stopped call goes on.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.parts.harness import RESULTS, Row, describe_commit, write_result
from benchmarks.sources.bench import Clock, find_cache, require_sources, run_source
from benchmarks.sources.registry import SOURCES
from ops.datasets.axes import to_nchw
from ops.datasets.pixels import read_split
from ops.datasets.units import read_units
from ops.errors import UserError
from ops.files.outputs import POLICY, SEARCH
from ops.files.storage import read_json, write_json
from ops.machine.parallel import available_cores
from ops.machine.progress import Progress
from ops.recipe.arms import Standardise
from ops.recipe.classifiers import ClassifierSettings
from ops.recipe.schema import Recipe
from ops.recipe.settling import TrainingPolicy, read_policy
from ops.tuning.factors import LARGE, TINY, Choice, Factor, Level, list_networks
from ops.tuning.search import Answers, Trial
from ops.tuning.trials import Trials, pool_images
from ops.verdict.metric import choose_metric
from ops.workspaces.workspace import Workspace

DRAWS, KEPT, LONGEST = 40, 5, 2  # policies drawn; those trained on all folds; those trained for longer
LONGER = (2, 4)  # times the steps, each only where the one before was better
AT_ONCE = 12  # trainings between two looks at the clock
SEED, FRESH = 0, 1_000  # of the draws; what the seeds of the last comparison differ by
BENCHMARK = "wide_search"
RESULT = f"{BENCHMARK}.json"  # in a source's folder
CHOSEN = 0  # level of the policy that the search chose


class OutOfTime(Exception):
    """The minutes are spent; what is finished is kept."""


@dataclass(frozen=True)
class Asker:
    """Asks trials in small numbers until the clock is out."""

    trials: Trials
    clock: Clock

    def ask(self, asked: Sequence[Trial]) -> Mapping[Trial, Answers]:
        """Answers by trial. OutOfTime where the clock is out before all are trained."""
        missing = [trial for trial in dict.fromkeys(asked) if not self.trials.find_file(trial).exists()]
        for start in range(0, len(missing), AT_ONCE):
            if self.clock.is_out():
                raise OutOfTime
            self.trials.ask(missing[start : start + AT_ONCE])
        return self.trials.ask(asked)


def run(only: Sequence[str] = (), *, stop_after: float | None = None, folder: Path | None = None) -> Path:
    """Compare the sources named, or all, and write results/wide_search.json, which keeps the others that it has.

    `stop_after`: minutes for all together. `folder`: of the workspaces, by default that of `growset bench sources`.
    """
    require_sources(only)
    root = (folder or find_cache()).resolve()
    clock = Clock(None if stop_after is None else time.monotonic() + 60 * stop_after)
    for name in only or SOURCES:
        if clock.is_out():
            print(f"{name}: no time is left; the same command goes on", file=sys.stderr)
            continue
        state = run_source(SOURCES[name], root / name, clock, until="training_policy")["state"]
        if state != "done":
            print(f"{name}: {state}", file=sys.stderr)
            continue
        try:
            found = compare_source(Workspace(root / name / "workspace"), name, root / name, clock)
        except OutOfTime:
            print(f"{name}: stopped; the same command goes on", file=sys.stderr)
            continue
        write_json(root / name / RESULT, found)
        print(describe(found), file=sys.stderr, flush=True)
    return _write({name: read_json(path) for name in SOURCES if (path := root / name / RESULT).exists()})


def compare_source(workspace: Workspace, name: str, folder: Path, clock: Clock) -> dict[str, Any]:
    """The chosen policy beside the best of the wide search; scores in 0..1, in the source's metric."""
    recipe = workspace.load_recipe(name)
    chosen = read_policy(read_json(workspace.output(name, "training_policy") / POLICY))
    assert chosen is not None
    real = workspace.output(name, "real_images")
    splits = [read_split(real, split) for split in ("train", "validation")]
    parts = [(to_nchw(split.images), split.labels) for split in splits]
    units, classes = read_units(real, *splits), len(splits[0].class_names)
    metric = recipe.verdict.metric or choose_metric(np.bincount(parts[0][1], minlength=classes))
    shape = parts[0][0].shape[1:]
    has_networks = bool(list_networks(min(shape[1:]), recipe.classifier.network))
    rng = np.random.default_rng(SEED)
    drawn = [draw_level(rng, shape, has_networks, number) for number in range(DRAWS)]
    factor = Factor("policy", (make_level(chosen), *drawn))

    def open_trials(seed: int) -> Asker:
        pool = pool_images(parts[0], parts[1], classes, recipe.tuning.folds, seed, units)
        return Asker(
            Trials(
                pool,
                [factor],
                ClassifierSettings.model_construct(**vars(recipe.classifier)),
                metric,
                seed=1_000 * seed,
                scratch=folder / "wide" / f"{_name_work(recipe, chosen)}-{seed}",
                workers=available_cores(),
                progress=lambda count: Progress(lambda line: print(line, file=sys.stderr), name, count, "trainings"),
            ),
            clock,
        )

    asker = open_trials(recipe.seed)
    best, steps, table = race(asker, len(factor.levels), chosen.steps, asker.trials.pool.folds)
    other = open_trials(recipe.seed + FRESH)
    folds = range(other.trials.pool.folds)
    pairs = [(best, steps), (CHOSEN, chosen.steps)]
    answers = other.ask([Trial(_choose(level), fold, length) for level, length in pairs for fold in folds])
    credits = [
        np.concatenate([_credit(answers[Trial(_choose(level), fold, length)]) for fold in folds])
        for level, length in pairs
    ]
    difference = credits[0] - credits[1]
    return {
        "source": name,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": describe_commit(),
        "images": [len(split) for split in splits],
        "metric": metric,
        "draws": DRAWS,
        "steps": chosen.steps,
        "chosen": {"levels": read_json(workspace.output(name, "training_policy") / SEARCH)["levels"]},
        "chosen_score": table[CHOSEN, chosen.steps],
        "best": describe_level(factor.levels[best]) | {"steps": steps},
        "best_score": table[best, steps],
        "fresh_chosen_score": float(credits[1].sum()),
        "fresh_best_score": float(credits[0].sum()),
        "gap": float(difference.sum()),
        "gap_error": float(np.sqrt(len(difference)) * difference.std()),
    }


def race(asker: Asker, levels: int, steps: int, folds: int) -> tuple[int, int, dict[tuple[int, int], float]]:
    """The best level and its steps, and the scores on all folds of those that were trained on all."""
    first = asker.ask([Trial(_choose(level), 0, steps) for level in range(levels)])
    ranked = sorted(range(1, levels), key=lambda level: -first[Trial(_choose(level), 0, steps)].score)
    table: dict[tuple[int, int], float] = {}

    def score(some: Sequence[int], length: int) -> None:
        found = asker.ask([Trial(_choose(level), fold, length) for level in some for fold in range(folds)])
        for level in some:
            parts = [_credit(found[Trial(_choose(level), fold, length)]).sum() for fold in range(folds)]
            table[level, length] = float(sum(parts))

    score([CHOSEN, *ranked[:KEPT]], steps)
    longest = sorted(ranked[:KEPT], key=lambda level: -table[level, steps])[:LONGEST]
    for times in LONGER:
        score(longest, times * steps)
        longest = [level for level in longest if table[level, times * steps] > table[level, times // 2 * steps]]
    best = max(table, key=lambda key: (table[key], -key[1]))
    return *best, table


def make_level(policy: TrainingPolicy) -> Level:
    """What the search chose, as one level."""
    keys = policy.augmentation.model_dump(exclude={"kind"})
    magnitude = keys.get("strength")
    used = (
        keys if magnitude is None else {"flip": keys["flip"]}
    )  # of RandAugment the search chooses the magnitude alone
    return Level("chosen", used, policy.standardise, policy.network, magnitude)


def draw_level(rng: np.random.Generator, shape: tuple[int, ...], has_networks: bool, number: int) -> Level:
    """A policy of random strengths for images of `shape` (channels, height, width).

    Each operation is left out half of the time. One in five is RandAugment with a random magnitude.
    """
    channels, side = shape[0], min(shape[1:])
    most = {
        "scale": 0.5, "rotation": 30.0, "gain": 1.0, "offset": 0.3, "inversion": 0.7, "blur": 1.5, "noise": 0.15,
        "erasing": 0.6, "channel_order": 1.0, "grey": 0.5,
    }  # fmt: skip
    keys: dict[str, float] = {"shift": round(rng.uniform(0, 0.2), 3), "flip": float(rng.choice([0.0, 0.5]))}
    for key, value in most.items():
        strength, is_on = round(rng.uniform(0, value), 3), rng.random() < 0.5
        if is_on and (channels > 1 or key not in ("channel_order", "grey")):
            keys[key] = strength
    magnitude = round(rng.uniform(2, 20), 1) if rng.random() < 0.2 else None
    inputs: list[Standardise] = ["none", "image", *(("grey",) if channels > 1 else ())]
    standardise = inputs[rng.integers(len(inputs))]
    strides = (1, 2) if side < LARGE else (2, 4)
    network = {"stride": int(rng.choice(strides)), "width": int(rng.choice([16, 32, 48, 64]))}
    if network["stride"] == 1 and side >= TINY:
        network["width"] = min(network["width"], 32)  # wider ones would cost an hour
    level = Level(f"draw {number}", keys, standardise, network if has_networks else None, magnitude)
    return level if magnitude is None else replace(level, policy={"flip": keys["flip"]})


def describe_level(level: Level) -> dict[str, Any]:
    """Plain JSON."""
    network = dict(level.network) if level.network else None
    augmentation = {"randaugment": level.magnitude, **level.policy} if level.magnitude else dict(level.policy)
    return {"name": level.name, "augmentation": augmentation, "input": level.standardise, "network": network}


def describe(found: Mapping[str, Any]) -> str:
    """One line."""
    return (
        f"{found['source']}: chosen {found['chosen_score']:.1%}, best of {found['draws']} {found['best_score']:.1%};"
        f" trained anew {found['fresh_chosen_score']:.1%} and {found['fresh_best_score']:.1%}:"
        f" {100 * found['gap']:+.1f} points (standard error {100 * found['gap_error']:.1f})"
    )


def _choose(level: int) -> Choice:
    return Choice((("policy", level),))


def _credit(answers: Answers) -> np.ndarray:
    return np.where(answers.correct, answers.weights, 0.0)


def _name_work(recipe: Recipe, chosen: TrainingPolicy) -> str:
    """Another choice or recipe has a folder of its own."""
    from ops.files.hashing import hash_json

    return hash_json([recipe.model_dump(mode="json"), chosen.to_dict(), DRAWS, SEED])[:16]


def _write(fresh: Mapping[str, Mapping[str, Any]]) -> Path:
    """The results of this folder, and those that were kept before of sources that it has none of."""
    kept = RESULTS / f"{BENCHMARK}.json"
    before = {each["source"]: each for each in read_json(kept)["sources"]} if kept.exists() else {}
    together = {**before, **fresh}
    if not together:
        raise UserError("no source is compared yet; the same command goes on")
    found = [together[name] for name in SOURCES if name in together]
    rows = []
    for each in found:
        for key, unit in (("chosen_score", "share"), ("best_score", "share"), ("gap", "share"), ("gap_error", "share")):
            rows.append(Row(f"{each['source']}: {key}", round(each[key], 4), unit))
    ratios = {f"wide_search_points: {each['source']}": 100 * each["gap"] for each in found}
    return write_result(BENCHMARK, rows, ratios, sources=found)
