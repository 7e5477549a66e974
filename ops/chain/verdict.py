"""Stage `verdict`: evaluate the stored classifiers on the test images, and decide.

Test images are looked at once, or twice if the recipe allows it and the first look is undecided. For the second look
as many seeds again are trained for every arm, and the seeds of both looks decide together. Each look is written to the
evaluation log before it is made. Both looks compare the same two arms: those picked on validation with the first seeds.

The recipe may ask for a learning curve of the two compared arms, on validation images, before the first look.

Where the generator was not used, the arms without generated images are evaluated once, and nothing is compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ops.chain.parts.answers import Answers, Network, find_correct
from ops.chain.parts.classifiers import BASELINES, weights_file
from ops.chain.parts.controlled import ALL_LEFT_OUT
from ops.chain.parts.fold_verdict import judge_folds
from ops.chain.parts.later_seeds import FOLDER, train_later_seeds
from ops.chain.parts.learning_curve import trace_curve
from ops.chain.parts.look import look
from ops.chain.parts.pools import count_shared, tell_pool
from ops.chain.parts.reference import LOGGED, read_reference
from ops.chain.parts.trained import Trained, read_trained
from ops.classifiers.augmentations import AUGMENTATIONS
from ops.datasets.pixels import PixelDataset, read_rows, read_split
from ops.datasets.shards import find_shards
from ops.datasets.units import find_units
from ops.files.manifests import read_manifest
from ops.files.outputs import RUNS, VERDICT
from ops.files.storage import replace_file, write_json
from ops.recipe.arms import Arm
from ops.recipe.pool_arms import list_seeing
from ops.stages.materialization import StageRun
from ops.stages.seen import read_seen
from ops.stages.several import assign_generators
from ops.stages.unused import read_unused
from ops.stages.without_labels import read_without_labels
from ops.verdict.decision import decide
from ops.verdict.evaluation_count import find_looks
from ops.verdict.pool import compare_pool
from ops.verdict.records import Verdict
from ops.verdict.reference import ReferenceAnswers
from ops.verdict.same_compute import Row, average_probabilities, compare_same_compute
from ops.verdict.without_generator import judge_baselines

NONE_ACCEPTED = "not one of the drawn images was accepted"  # a check stops all runs but rehearsals before that
REHEARSED = "This is a rehearsal with few images and steps, and decides nothing. "


def build_verdict(run: StageRun) -> dict[str, Any]:
    """Write runs.parquet (correct per arm or reference model, seed and test image) and verdict.json."""
    if run.recipe.verdict.folds is not None:
        return judge_folds(run)
    trained = read_trained(run)
    curve = trace_curve(run, trained)
    arms = {arm: settings for side in trained.arms.values() for arm, settings in side.items()}
    networks = list_networks(run, trained, arms)
    answers = _look(run, networks)
    test = read_split(run.inputs["real_images"], "test")
    verdict = _judge(run, trained, answers, test, look=1)
    earlier = []
    # More seeds do not help classifiers that have not learnt.
    may_look_again = run.recipe.verdict.looks == 2 and trained.challenger is not None
    if may_look_again and verdict.decision == "no evidence" and verdict.has_learnt:
        run.runtime.sink(f"first look: {verdict.sentence}")
        earlier.append(_summarise_look(verdict))
        later = train_later_seeds(run, trained.results)
        networks += list_networks(run, trained, arms, later)
        answers = _look(run, networks)
        verdict = _judge(run, trained, answers, test, look=2)
    same_compute = _compare_ways(run, trained, answers, test)

    seen = read_seen(run.inputs.get("prior"), run.inputs.get("generated_images"))
    pool = compare_pool(verdict, list_seeing(run.recipe.baselines))
    without = read_without_labels(run.inputs["real_images"])
    found = verdict.to_dict() | {
        "earlier_looks": earlier,
        "left_out": trained.left_out,
        "same_compute": [row.to_dict() for row in same_compute],
        **({} if curve is None else {"curve": curve.to_dict()}),
        **({} if seen is None else {"prior": seen.to_dict()}),
        **({} if pool is None else {"pool": pool.to_dict()}),
        **({} if without is None else {"unlabelled": without.to_dict()}),
    }
    write_json(run.out / VERDICT, found)
    _write_runs(run.out / RUNS, answers, _read_reference(run, trained), test.rows["image_id"])
    run.runtime.sink(verdict.sentence)
    if curve is not None:
        run.runtime.sink(f"learning curve: {curve.sentence}")
    decisive = [contrast.difference for contrast in verdict.contrasts if contrast.role == "decisive"]
    reference = verdict.reference
    assert reference is not None
    return {
        "decision": verdict.decision,
        "sentence": verdict.sentence,
        "metric": verdict.metric,
        **{
            f"difference{end}": round(value, 6)
            for gap in decisive
            for end, value in (("", gap.estimate), ("_low", gap.low), ("_high", gap.high))
        },
        "smallest_detectable_effect": verdict.smallest_detectable_effect,
        **find_looks(run.workspace, run.expansion).to_metrics(),
        **{f"test_{row.arm}": round(row.score.estimate, 6) for row in verdict.arms},
        "reference_test": round(reference.score.estimate, 6),
        "has_learnt": verdict.has_learnt,
        "generator_used": verdict.unused is None,
    }


def list_networks(
    run: StageRun, trained: Trained, arms: Mapping[str, Arm], later: Mapping[str, Sequence[int]] | None = None
) -> list[Network]:
    """The networks of the first seeds, or of the `later` seeds by arm.

    Only the two arms that validation picked are also evaluated for what the same compute buys.
    """
    baseline, challenger = trained.baseline, trained.challenger
    networks = []
    for arm, side in trained.sides.items():
        found = trained.results[side]
        folder = run.inputs[side] if later is None else run.out / FOLDER
        seeds = [int(seed) for seed in found["arms"][arm]["per_seed"]] if later is None else later[arm]
        networks += [
            Network(
                arm,
                seed,
                folder / weights_file(arm),
                found["precision"],
                mirrored=arm in (baseline, challenger) and _shows_mirrored(arms[arm]),
                keeps_probabilities=arm == baseline,
            )
            for seed in seeds
        ]
    return networks


def _shows_mirrored(arm: Arm) -> bool:
    return AUGMENTATIONS[arm.augmentation.kind].mirrors(arm.augmentation)


def _look(run: StageRun, networks: Sequence[Network]) -> dict[str, dict[int, Answers]]:
    """Answers by arm and seed."""
    return look(
        run, networks, run.inputs["real_images"], run.inputs[BASELINES], _place_answers(run), label="test images"
    )


def _place_answers(run: StageRun) -> Path:
    """The folder of answers, which an interrupted run leaves."""
    return run.scratch / "answers"


def _read_reference(run: StageRun, trained: Trained) -> ReferenceAnswers:
    return read_reference(trained.results[BASELINES]["reference"], _place_answers(run))


def _judge(
    run: StageRun, trained: Trained, answers: Mapping[str, Mapping[int, Answers]], test: PixelDataset, *, look: int
) -> Verdict:
    verdict = _decide(run, trained, answers, test, look=look)
    verdict = replace(verdict, sentence=verdict.sentence + trained.tell_left_out())
    seen = read_seen(run.inputs.get("prior"), run.inputs.get("generated_images"))
    if seen is not None and verdict.unused is None:
        shared = count_shared(run.inputs["prior"], run.inputs["real_images"])
        pool = compare_pool(verdict, list_seeing(run.recipe.baselines))
        verdict = replace(verdict, sentence=verdict.sentence + tell_pool(seen, shared, pool))
    if (without := read_without_labels(run.inputs["real_images"])) is not None and verdict.unused is None:
        verdict = replace(verdict, sentence=verdict.sentence + without.disclose())
    rehearsal = run.recipe.verdict.rehearsal
    return replace(verdict, sentence=REHEARSED + verdict.sentence) if rehearsal else verdict


def _decide(
    run: StageRun, trained: Trained, answers: Mapping[str, Mapping[int, Answers]], test: PixelDataset, *, look: int
) -> Verdict:
    entries, settings = trained.entries, run.recipe.verdict
    correct = {arm: _stack_correct(answers[arm]) for arm in entries}
    confidences, train_counts = {arm: _stack_confidence(answers[arm]) for arm in entries}, _count_train(run)
    validation = {arm: entry["validation"] for arm, entry in entries.items()}
    costs = trained.measure_costs(run.recipe.classifier.seeds)
    if trained.challenger is None:
        return judge_baselines(
            correct,
            validation,
            test.labels,
            test.class_names,
            unused=ALL_LEFT_OUT
            if trained.left_out_by_controller
            else read_unused(run.inputs["generated_images"]) or NONE_ACCEPTED,
            kinds=trained.kinds,
            metric=trained.metric,
            budget=trained.budget,
            aliases=trained.aliases,
            confidence=settings.confidence,
            validation_per_class=trained.rates,
            reference=_read_reference(run, trained),
            units=_find_units(run, test),
            train_counts=train_counts,
            confidences=confidences,
            costs=costs,
        )
    return decide(
        correct,
        trained.kinds,
        validation,
        test.labels,
        test.class_names,
        metric=trained.metric,
        budget=trained.budget,
        aliases=trained.aliases,
        confidence=settings.confidence,
        look=look,
        looks=settings.looks,
        generators=_list_generators(trained, answers),
        validation_images=int(read_manifest(run.inputs["real_images"])["metrics"]["validation"]),
        validation_per_class=trained.rates,
        reference=_read_reference(run, trained),
        units=_find_units(run, test),
        counterparts=trained.counterparts,
        train_counts=train_counts,
        confidences=confidences,
        costs=costs,
    )


def _compare_ways(
    run: StageRun, trained: Trained, answers: Mapping[str, Mapping[int, Answers]], test: PixelDataset
) -> list[Row]:
    """What the same compute buys: an ensemble of the picked baseline, and mirrored images for the two compared arms."""
    baseline, challenger = trained.baseline, trained.challenger
    probabilities = [found.probabilities for found in answers[baseline].values() if found.probabilities is not None]
    ensemble = find_correct(average_probabilities(np.stack(probabilities)), test.labels)
    mirrored = {
        arm: [a.mirrored for a in answers[arm].values() if a.mirrored is not None]
        for arm in (baseline, challenger)
        if arm is not None
    }
    return compare_same_compute(
        _stack_correct(answers[baseline]),
        None if challenger is None else _stack_correct(answers[challenger]),
        ensemble,
        {arm: np.stack(found) for arm, found in mirrored.items() if found},
        test.labels,
        baseline=baseline,
        challenger=challenger,
        metric=trained.metric,
        confidence=run.recipe.verdict.confidence,
        generators=_list_generators(trained, answers),
        validation_per_class=trained.rates,
        units=_find_units(run, test),
    )


def _find_units(run: StageRun, test: PixelDataset) -> np.ndarray | None:
    return find_units(run.inputs["real_images"], test.rows)


def _stack_confidence(by_seed: Mapping[int, Answers]) -> np.ndarray:
    """float64 [S, n]."""
    return np.stack([found.confidence for found in by_seed.values()]).astype(np.float64)


def _count_train(run: StageRun) -> list[int]:
    """Training images of each class."""
    real = run.inputs["real_images"]
    labels = read_rows(find_shards(real, "train"))["label"].to_numpy()
    return np.bincount(labels, minlength=read_manifest(real)["metrics"]["classes"]).tolist()


def _stack_correct(by_seed: Mapping[int, Answers]) -> np.ndarray:
    """bool [S, n]."""
    return np.stack([found.correct for found in by_seed.values()])


def _list_generators(trained: Trained, answers: Mapping[str, Mapping[int, Answers]]) -> list[int] | None:
    """The generator of each seed of the expanded arms; None for one generator."""
    if trained.challenger is None or trained.generators == 1:
        return None
    return assign_generators(len(answers[trained.challenger]), trained.generators)


def _summarise_look(verdict: Verdict) -> dict[str, Any]:
    """The result of an undecided look, which the next look replaces."""
    decisive = next(c for c in verdict.to_dict()["contrasts"] if c["role"] == "decisive")
    return {
        "look": verdict.look,
        "seeds": verdict.seeds,
        "decision": verdict.decision,
        "difference": decisive["difference"],
    }


def _write_runs(
    path: Path, answers: Mapping[str, Mapping[int, Answers]], reference: ReferenceAnswers, image_ids: pl.Series
) -> None:
    """The reference model's rows have no seed."""
    found = [(arm, seed, one.correct) for arm, by_seed in answers.items() for seed, one in by_seed.items()]
    table = pl.concat(
        (
            pl.DataFrame({"image_id": image_ids, "correct": correct}).select(
                pl.lit(arm).alias("arm"), pl.lit(seed).alias("seed"), "image_id", "correct"
            )
            for arm, seed, correct in [*found, (LOGGED, None, reference.correct)]
        ),
        how="vertical_relaxed",
    )
    with replace_file(path) as temporary:
        table.write_parquet(temporary, compression="zstd", statistics=False)
