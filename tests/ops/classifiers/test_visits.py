"""How often images are shown: the published table, exact counts, and the two ways of weighing real images."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ops.classifiers.examples import Examples
from ops.classifiers.sampling import find_weight, real_share
from ops.classifiers.visits import count_mixed, count_visits
from ops.recipe.arms import Arm

K, M = 1_000, 1_000_000
# Of AdaInf's published runs, 100,000 steps of 2 x 256: real, generated, N; β, and by its code's passes through copied
# indices the rows and steps of a pass, which drops what is left of the rows, and how often each real image is shown.
TABLE = [
    (50 * K, 0, 1, 1.0, 50 * K, 97, 1031),
    (50 * K, M, 1, 0.0476, 1_050 * K, 2050, 49),
    (50 * K, M, 5, 0.2, 1_250 * K, 2441, 205),
    (50 * K, M, 10, 0.3333, 1_500 * K, 2929, 341),
    (50 * K, M, 20, 0.5, 2_000 * K, 3906, 512),
    (50 * K, 100 * K, 1, 0.3333, 150 * K, 292, 342),
    (25 * K, 0, 1, 1.0, 25 * K, 48, 2083),
    (5 * K, 0, 1, 1.0, 5 * K, 9, 11111),
    (5 * K, 500 * K, 10, 0.0909, 550 * K, 1074, 931),
    (100 * K, 0, 1, 1.0, 100 * K, 195, 513),
    (100 * K, M, 1, 0.0909, 1_100 * K, 2148, 47),
    (100 * K, M, 10, 0.5, 2_000 * K, 3906, 256),
]


@pytest.mark.parametrize("row", TABLE)
def test_drawing_shows_images_as_often_as_published_passes_but_for_what_these_drop(row: tuple[float, ...]) -> None:
    real, generated, copies, share, rows, per_pass, per_real = row
    found = real_share(copies, int(real), int(generated))
    assert found == pytest.approx(share, abs=5e-5)
    visits = count_visits(int(real), int(generated), found, steps=100 * K, batch_size=512)
    kept = per_pass * 512 / rows  # of a pass
    assert visits.per_real == pytest.approx(per_real * kept, abs=0.7)
    assert visits.per_real * real + (visits.per_generated or 0) * generated == pytest.approx(100 * K * 512)


def test_steps_on_real_images_alone_count_for_them() -> None:
    found = count_visits(10, 20, 0.5, steps=100, batch_size=8, mixed_steps=75)
    assert found.per_real == (75 * 4 + 25 * 8) / 10 and found.per_generated == 75 * 4 / 20
    assert found.to_dict()["per_generated"] == 15.0
    assert (
        found.describe("x")
        == "x: each of 10 real images is shown 50 times and each of 20 generated ones 15 times (β 0.5)"
    )


def test_a_share_and_a_weight_say_the_same() -> None:
    for beta in (0.05, 1 / 3, 0.9):
        assert real_share(find_weight(beta, 50 * K, M), 50 * K, M) == pytest.approx(beta)
    assert find_weight(1 / 3, 50 * K, M) == pytest.approx(10)


def test_an_arms_beta_gives_real_images_this_share_of_what_weighs_something() -> None:
    marks = np.array([False] * 4 + [True] * 12)
    relabelled = np.array([False] * 14 + [True] * 2)
    examples = Examples(
        np.zeros((16, 1, 2, 2), np.uint8), np.zeros(16, np.int64), np.where(marks, 1.0, 10.0), marks, relabelled
    )
    weights = examples.weigh(Arm.model_validate({"beta": 0.4}))
    assert weights[~marks].sum() / weights.sum() == pytest.approx(0.4)
    assert weights[marks].tolist() == [1.0] * 10 + [0.0] * 2
    assert examples.weigh(Arm()).sum() == 50 and examples.weigh(Arm.model_validate({"real_weight": 2.0})).sum() == 18


def test_without_generated_images_all_is_real() -> None:
    found = count_visits(100, 0, 1.0, steps=10, batch_size=20)
    assert found.per_real == 2 and found.per_generated is None and math.isclose(found.share, 1)
    assert found.describe("x") == "x: each of 100 real images is shown 2 times"


def test_the_last_share_of_the_steps_leaves_one_that_shows_all_images() -> None:
    assert [count_mixed(finish, 10) for finish in (0.0, 0.25, 0.5, 0.95)] == [10, 7, 5, 1]
    assert count_mixed(0.1, 1_000) == 900  # 0.1 has no exact binary form
