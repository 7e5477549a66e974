"""The arms of several recipes as one set: names of distinct trainings, and the picks over all of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ops.study.comparing.pooling import name_trainings, pool_arms
from tests.compared import answer, enter

LABELS = np.arange(1000) % 4
MIXUP, OTHER = answer(0.8, 0), answer(0.8, 1)


def test_a_training_that_recipes_share_has_one_name_and_another_one_says_its_recipe() -> None:
    one = enter("one", {"mixup": MIXUP}, {"grown": answer(0.7, 2)})
    two = enter("two", {"mixup": MIXUP.copy()}, {"grown": answer(0.7, 3)})
    three = enter("three", {"mixup": OTHER}, {"drawn": answer(0.7, 4)})
    assert name_trainings([one, two]) == {
        ("one", "mixup"): "mixup", ("one", "grown"): "grown of one",
        ("two", "mixup"): "mixup", ("two", "grown"): "grown of two",
    }  # fmt: skip
    names = name_trainings([one, two, three])
    assert names["one", "mixup"] == names["two", "mixup"] == "mixup of one"
    assert (names["three", "mixup"], names["three", "drawn"]) == ("mixup of three", "drawn")


def test_equal_answers_of_arms_of_another_kind_or_with_another_validation_score_are_two_trainings() -> None:
    assert len(set(name_trainings([enter("one", {"real": MIXUP}, {"grown": MIXUP})]).values())) == 2
    pair = [enter(name, {"real": MIXUP}, {}, {"real": score}) for name, score in (("one", 0.7), ("two", 0.8))]
    assert name_trainings(pair) == {("one", "real"): "real of one", ("two", "real"): "real of two"}


def test_the_best_of_all_recipes_are_picked_on_validation() -> None:
    weak = enter("weak", {"real": answer(0.5, 5)}, {"grown": answer(0.6, 6)})
    strong = enter("strong", {"mixup": MIXUP}, {"drawn": answer(0.9, 7)}, {"drawn": 0.55})
    pool = pool_arms([weak, strong], LABELS)
    assert pool.setup is not None
    assert (pool.setup.picks.baseline, pool.setup.picks.challenger) == ("mixup", "grown")
    assert pool.challengers == {"weak": "grown", "strong": "drawn"}
    assert set(pool.setup.picks.baselines) == {"real", "mixup"} and pool.list_names(strong, "expanded") == ["drawn"]


def test_without_a_generated_image_there_is_nothing_to_set_up() -> None:
    pool = pool_arms([enter("one", {"real": MIXUP}, {})], LABELS)
    assert pool.setup is None and pool.challengers == {}


def test_seeds_that_share_a_generator_are_averaged_first() -> None:
    both = enter("one", {"real": MIXUP}, {"grown": OTHER})
    found = pool_arms([replace(both, generators=[0, 1, 2, 0, 1])], LABELS).setup
    plain = pool_arms([both], LABELS).setup
    assert found is not None and plain is not None
    means = np.stack([OTHER[[0, 3]].mean(0), OTHER[[1, 4]].mean(0), OTHER[[2]].mean(0)])
    assert np.isclose(found.comparison.differ("grown", "real", "accuracy", tail=0.025).estimate,
                      means.mean() - MIXUP.mean())  # fmt: skip
    assert found.seeds.rate("grown").tolist() == plain.seeds.rate("grown").tolist()
