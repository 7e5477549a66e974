"""Which moment of a training is kept: the last one, unless an earlier one is clearly better."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ops.training.state import Observation, TrainingState, is_clearly_better

SPACES = ("a", "b")
Numbers = dict[str, tuple[float, float]]
numbers = st.fixed_dictionaries({name: st.tuples(st.floats(-9, 9), st.floats(0, 3)) for name in SPACES})


def judge(*observations: Observation) -> int:
    """The number of the kept observation, counted from 1."""
    state = TrainingState()
    for observation in observations:
        state = TrainingState(**json.loads(json.dumps(vars(state))))  # a killed training goes on from its checkpoint
        state.step += 1
        state.judge(observation)
    return state.best_step


def at(*values: float, error: float = 0.1) -> Observation:
    return Observation({name: (value, error) for name, value in zip(SPACES, values, strict=True)})


def test_a_blind_space_cannot_bring_noise_back() -> None:
    # The audit's case: a weak scorer (a) preferred noise, clearly, to strokes; another space (b) did not.
    assert judge(at(1.0, 9.0), at(3.0, 4.0)) == 2


def test_an_earlier_moment_is_kept_where_it_is_better_in_every_space_beyond_the_errors() -> None:
    assert judge(at(1.0, 1.0), at(2.0, 2.0)) == 1
    assert judge(at(1.0, 1.0), at(2.0, 2.0, error=2.0)) == 2
    assert judge(at(1.0, 1.0), at(2.0, 1.0)) == 2


def test_small_losses_do_not_add_up() -> None:
    moments = [at(value, value) for value in (1.0, 1.2, 1.4, 1.6)]
    assert judge(*moments[:2]) == 2
    assert judge(*moments) == 2  # the third is clearly worse than the first, though not than the second


def test_a_moment_that_is_not_usable_is_kept_only_if_there_is_no_other() -> None:
    gone = Observation(usable=False, stop=True)
    assert judge(gone) == 1
    assert judge(at(5.0, 5.0), gone) == 1
    assert judge(gone, at(5.0, 5.0)) == 2


def test_without_measurements_the_last_moment_is_kept() -> None:
    assert judge(*[Observation()] * 4) == 4


@given(st.lists(numbers, min_size=1, max_size=6))
def test_no_usable_moment_is_clearly_better_than_the_kept_one(moments: list[Numbers]) -> None:
    kept = judge(*(Observation(moment) for moment in moments))
    assert not any(is_clearly_better(earlier, moments[kept - 1]) for earlier in moments[: kept - 1])
    for later in moments[kept:]:
        assert any(is_clearly_better(earlier, later) for earlier in moments)


@given(numbers, numbers)
def test_two_moments_are_never_both_better(one: Numbers, other: Numbers) -> None:
    assert not (is_clearly_better(one, other) and is_clearly_better(other, one))


def test_equal_moments_are_rarely_called_different() -> None:
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(2000):
        one, other = ({name: (rng.normal(0, 0.1), 0.1) for name in SPACES} for _ in range(2))
        wrong += is_clearly_better(one, other)
    assert wrong / 2000 < 0.025**2 * 4
