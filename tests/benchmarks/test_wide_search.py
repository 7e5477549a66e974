"""The wide search: random policies are valid, and the best of a known truth is found and trained for longer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks import wide_search
from benchmarks.parts import harness
from benchmarks.wide_search import CHOSEN, KEPT, LONGEST, draw_level, make_level, race
from ops.classifiers.networks.classifier import Classifier
from ops.errors import UserError
from ops.files.storage import read_json
from ops.recipe.arms import Policy, RandAugment, SmallResNet
from ops.recipe.settling import TrainingPolicy
from ops.tuning.factors import Choice, Factor, build_augmentation
from ops.tuning.search import Answers, Trial

FOLDS = 3
FOUND = {"draws": 40, "fresh_chosen_score": 0.9, "fresh_best_score": 0.91}


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (3, 64, 64)])
def test_random_policies_are_valid_and_differ(shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(0)
    levels = [draw_level(rng, shape, True, number) for number in range(40)]
    factor = Factor("policy", tuple(levels))
    drawn = [build_augmentation([factor], Choice((("policy", place),))) for place in range(len(levels))]
    assert {policy.kind for policy in drawn} == {"policy", "randaugment"}
    assert len({repr(policy) for policy in drawn}) > 35
    for level in levels:
        Classifier(SmallResNet(standardise=level.standardise, **level.network), shape, 4)
    assert {level.standardise for level in levels} == {"none", "image", *(["grey"] if shape[0] == 3 else [])}


@pytest.mark.parametrize("augmentation", [Policy(shift=0.1, flip=0.5, noise=0.08), RandAugment(strength=4, flip=0.0)])
def test_the_chosen_policy_is_trained_as_it_was_chosen(augmentation: Policy | RandAugment) -> None:
    level = make_level(TrainingPolicy(augmentation, "image", 400, {"stride": 1, "width": 16}))
    assert build_augmentation([Factor("policy", (level,))], Choice((("policy", 0),))) == augmentation
    assert level.network == {"stride": 1, "width": 16}


class Truth:
    """Level k is right on a share of k / 20 of the images, and more than 100 steps help level 9 alone."""

    def __init__(self) -> None:
        self.trained = set[Trial]()

    def ask(self, trials: Sequence[Trial]) -> dict[Trial, Answers]:
        self.trained |= set(trials)
        return {trial: self.answer(trial) for trial in trials}

    def answer(self, trial: Trial) -> Answers:
        level = trial.choice.levels[0][1]
        rate = {100: 0.45, 200: 0.7, 400: 0.9}[trial.steps] if level == 9 else level / 20
        return Answers(np.arange(100) < 100 * rate, np.full(100, 1 / 300))


def test_the_best_is_found_with_its_steps() -> None:
    truth = Truth()
    level, steps, table = race(truth, 11, 100, FOLDS)
    assert (level, steps) == (9, 400)
    assert table[9, 400] == pytest.approx(0.9) and table[CHOSEN, 100] == 0
    assert len([key for key in table if key[1] == 100]) == KEPT + 1
    assert len(truth.trained) == 11 + 2 * (KEPT + 1) + FOLDS * (LONGEST + 1)


def test_results_of_other_sources_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (harness, wide_search):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    figures = {"chosen_score": 0.9, "best_score": 0.95, "gap_error": 0.01}
    gaps = iter((0.012, 0.0, 0.02))

    def compare(workspace: object, name: str, *_: object) -> dict[str, object]:
        return FOUND | figures | {"gap": next(gaps), "source": name}

    monkeypatch.setattr(wide_search, "run_source", lambda *given, **keys: {"state": "done"})
    monkeypatch.setattr(wide_search, "compare_source", compare)
    with pytest.raises(UserError, match="no source is compared yet; the same command goes on"):
        wide_search.run(["letters"], stop_after=0.01, folder=tmp_path)
    assert not list(tmp_path.iterdir())
    for place, name in enumerate(("letters", "digits", "letters")):
        path = wide_search.run([name], folder=tmp_path / str(place))
    found = read_json(path)
    assert [each["source"] for each in found["sources"]] == ["letters", "digits"]
    assert found["ratios"] == {"wide_search_points: letters": 2.0, "wide_search_points: digits": 0.0}
