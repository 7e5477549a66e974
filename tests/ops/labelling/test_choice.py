"""The choice of a block, a share of noise and a probe: planted truth, ties, errors, and no look at what is asked."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from ops.labelling.choice import FOLDS, Choice, answer_folds, choose_probe, measure
from ops.labelling.probes import Probe

PROBES = (Probe("linear", 10.0), Probe("neighbours"))
TRAIN, VALIDATION = np.arange(30) % 3, np.arange(60) % 3
LABELS = np.concatenate([TRAIN, VALIDATION])


def describe(noise: float, rows: np.ndarray) -> Mapping[str, np.ndarray]:
    """Two blocks; only `up1` knows the class, and only at little noise."""
    rng = np.random.default_rng(round(100 * noise))
    blind = rng.normal(size=(len(LABELS), 4)).astype(np.float32)
    strength = 8.0 if noise < 0.2 else 0.5
    return {"down1": blind[rows], "up1": (blind + strength * np.eye(4, dtype=np.float32)[LABELS])[rows]}


def choose(**options: object) -> Choice:
    return choose_probe(describe, [0.4, 0.1], TRAIN, VALIDATION, classes=3, seed=0, probes=PROBES, **options)


def test_the_block_and_the_noise_that_know_the_class_are_chosen_and_every_trial_is_told() -> None:
    lines: list[str] = []
    choice = choose(sink=lines.append)
    assert (choice.best.block, choice.best.noise) == ("up1", 0.1) and choice.best.score == 1.0
    assert choice.judge == "cross-fitting" and choice.images == len(LABELS)
    tried = [(trial.noise, trial.block, trial.probe) for trial in choice.trials]
    assert tried == [(noise, block, probe) for noise in (0.4, 0.1) for block in ("down1", "up1") for probe in PROBES]
    assert choice.best is next(trial for trial in choice.trials if trial.score == 1.0), "the first of equal ones"
    assert len(lines) == 2 and lines[1] == "probe: block up1 at noise 0.1, linear 10: 100.0 ± 0.0 %"
    told = choice.to_dict()
    assert told["chosen"] == {
        "block": "up1", "noise": 0.1, "method": "linear", "strength": 10.0, "score": 1.0, "error": 0.0
    }  # fmt: skip
    assert len(told["trials"]) == 8 and choose() == choice


def test_many_validation_images_judge_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.datasets.folds.LARGE", len(VALIDATION))
    choice = choose()
    assert choice.judge == "validation" and choice.images == len(VALIDATION)


def test_labels_that_say_nothing_score_as_chance_in_spite_of_cross_fitting() -> None:
    labels = np.random.default_rng(3).permutation(np.repeat([0, 1], 200))
    values = np.random.default_rng(4).normal(size=(400, 20)).astype(np.float32)
    folds = np.arange(400) % FOLDS
    correct = answer_folds(Probe("linear", 100.0), values, labels, folds, 2)
    assert len(correct) == 400 and abs(correct.mean() - 0.5) < 0.1
    memory = answer_folds(Probe("neighbours"), values, labels, np.where(folds == 0, 0, -1), 2)
    assert len(memory) == 80, "images of fold -1 are only learnt from"


def test_a_score_and_its_error_have_closed_forms() -> None:
    correct = np.array([True, True, True, False, True, False])
    labels = np.array([0, 0, 0, 0, 1, 1])
    score, error = measure(correct, labels)
    assert score == (0.75 + 0.5) / 2
    assert error == pytest.approx(np.sqrt(0.75 * 0.25 / 4 + 0.5 * 0.5 / 2) / 2)


def test_images_of_one_unit_are_never_on_both_sides() -> None:
    """Each picture is there three times with a random label: whoever sees a copy knows it."""
    rng = np.random.default_rng(0)
    values = np.repeat(rng.normal(size=(40, 30)), 3, axis=0).astype(np.float32)
    labels = np.repeat(rng.integers(0, 2, 40), 3)
    units = np.repeat(np.arange(40), 3)
    given = {"classes": 2, "seed": 0, "probes": (Probe("neighbours"),)}
    apart, together = (
        choose_probe(
            lambda noise, rows: {"up1": values[rows]}, [0.1], labels[:60], labels[60:], units=each, **given
        ).best.score
        for each in (None, units)
    )
    assert apart > 0.9 and together < 0.75


def test_fewer_labelled_images_than_folds_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 5 labelled training images, one for each fold .* there are 4"):
        choose_probe(describe, [0.1], TRAIN[:4], VALIDATION, classes=3, seed=0)


def test_of_many_training_images_some_are_learnt_from_and_only_these_are_described(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ops.labelling.choice.MOST_IMAGES", 10)
    asked: list[np.ndarray] = []

    def note(noise: float, rows: np.ndarray) -> Mapping[str, np.ndarray]:
        asked.append(rows)
        return describe(noise, rows)

    choice = choose_probe(note, [0.1], TRAIN, VALIDATION, classes=3, seed=0, probes=PROBES)
    (rows,) = asked
    assert len(rows) == choice.images == 10 + len(VALIDATION) and (np.diff(rows) > 0).all()
    assert (rows[:10] < len(TRAIN)).all() and rows[10:].tolist() == list(range(len(TRAIN), len(LABELS)))
    assert choice.best.score == 1.0
