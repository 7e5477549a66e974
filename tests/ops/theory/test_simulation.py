"""The simulation: the law of the plain loop, the reference values, the closed forms, and what stays the same."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ks_2samp

from benchmarks.parts.mixture_loop import repeat_plainly
from ops.errors import UserError
from ops.theory import simulation
from ops.theory.mixture import Mixture, expect_nll_difference, expect_test_nll, find_gap_floor
from ops.theory.simulation import MOST, simulate

GAMMAS = (0, 1, 2, 5, 10, 20, 50)
REPEATS = 1_000
NEW = 100  # new samples of a repeat where the loop draws them all
# Mean gaps of the authors' unmodified functions over 1,000 repeats, by dimensions and real samples.
PUBLISHED = {
    (1, 20): (0.1344, 0.1491, 0.1541, 0.1440, 0.1405, 0.1415, 0.1383),
    (1, 50): (0.0801, 0.0906, 0.0876, 0.0865, 0.0833, 0.0823, 0.0816),
    (1, 100): (0.0575, 0.0624, 0.0648, 0.0630, 0.0593, 0.0598, 0.0592),
    (1, 200): (0.0411, 0.0443, 0.0435, 0.0436, 0.0433, 0.0417, 0.0415),
    (1, 500): (0.0267, 0.0295, 0.0288, 0.0287, 0.0276, 0.0268, 0.0270),
    (2, 10): (0.3169, 0.3473, 0.3375, 0.3338, 0.3236, 0.3154, 0.3153),
    (10, 10): (1.103, 0.988, 0.893, 0.786, 0.749, 0.713, 0.712),
    (20, 10): (2.049, 1.669, 1.380, 1.105, 0.992, 0.941, 0.937),
    (50, 10): (5.040, 3.818, 2.978, 2.072, 1.732, 1.607, 1.553),
    (100, 10): (9.973, 7.545, 5.509, 3.439, 2.594, 2.307, 2.186),
}


@pytest.mark.parametrize(
    ("dim", "real"), [pytest.param(*each, marks=pytest.mark.slow) if each[1] > 100 else each for each in PUBLISHED]
)
def test_gaps_are_the_published_ones_and_losses_the_closed_forms(dim: int, real: int) -> None:
    mixture, numbers = Mixture(dim, real), [gamma * real for gamma in GAMMAS]
    found = simulate(mixture, numbers, repeats=REPEATS, seed=0)
    gap, error = summarise(np.abs(found.nll_difference))
    assert np.all(np.abs(gap - PUBLISHED[dim, real]) < 3 * np.sqrt(2) * error)
    for values, expect in ((found.test_nll, expect_test_nll), (found.nll_difference, expect_nll_difference)):
        mean, error = summarise(values)
        assert np.all(np.abs(mean - [expect(mixture, number) for number in numbers]) < 4 * error)


def test_the_risk_is_that_of_an_independent_simulation_and_the_gap_ends_at_its_floor() -> None:
    mixture = Mixture(50, 10)
    found = simulate(mixture, [0, 10, 50, 200, 1000], repeats=REPEATS, seed=1)
    mean, error = summarise(found.test_error)
    assert np.all(np.abs(mean - [0.1619, 0.1801, 0.1722, 0.1655, 0.1627]) < 4 * error)
    mean, error = summarise(found.test_nll - found.nll_difference)
    assert np.all(np.abs(mean - [22.47, 24.35, 26.29, 27.13, 27.38]) < 4 * error)
    gap, error = summarise(np.abs(found.nll_difference))
    assert abs(gap[-1] - find_gap_floor(mixture)) < 4 * error[-1]


@pytest.mark.parametrize(("dim", "real"), [(1, 4), (3, 6), (20, 10)])
def test_every_number_has_the_law_of_a_plain_loop(dim: int, real: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "TEST", NEW)
    gammas = [0, 1 / real, 3 / real, 1, 2.5]
    numbers = [0, 1, 3, real, int(2.5 * real)]
    loop = repeat_plainly(dim, real, gammas, repeats=250, seed=5, new=NEW)
    train_nll, train_error, test_nll, test_error = np.moveaxis(loop, -1, 0)
    found = simulate(Mixture(dim, real), numbers, repeats=1_500, seed=5)
    pairs = {
        "NLL difference": (test_nll - train_nll, found.nll_difference),
        "error difference": (test_error - train_error, found.error_difference),
        "test NLL": (test_nll, found.test_nll),
        "test error": (test_error, found.test_error),
        "training NLL": (train_nll, found.test_nll - found.nll_difference),
        "training error": (train_error, found.test_error - found.error_difference),
    }
    for name, (plain, fast) in pairs.items():
        for place, number in enumerate(numbers):
            assert ks_2samp(plain[:, place].round(9), fast[place].round(9)).pvalue > 1e-3, (name, number)


def test_a_planted_fault_has_another_law(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deviations of the whole set instead of those within classes, say 1.2 times as large, would be noticed."""
    fit = simulation._fit

    def fit_wrongly(samples: np.ndarray) -> simulation._Real:
        real = fit(samples)
        return simulation._Real(real.samples, real.means, 1.2 * real.deviations)

    plain = repeat_plainly(20, 10, [2], repeats=250, seed=5, new=NEW)
    monkeypatch.setattr(simulation, "_fit", fit_wrongly)
    found = simulate(Mixture(20, 10), [20], repeats=1_500, seed=5)
    assert ks_2samp(plain[:, 0, 0], found.test_nll[0] - found.nll_difference[0]).pvalue < 1e-6


def test_neither_chunks_nor_more_repeats_nor_other_numbers_change_a_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = simulate(Mixture(3, 6), [0, 5, 12], repeats=50, seed=3)
    monkeypatch.setattr(simulation, "CHUNK", 100)
    pieces = simulate(Mixture(3, 6), [12, 0], repeats=20, seed=3)
    for name in ("nll_difference", "error_difference", "test_nll", "test_error"):
        assert np.allclose(getattr(whole, name)[[2, 0], :20], getattr(pieces, name), rtol=1e-12, atol=0), name
    other = simulate(Mixture(3, 6), [0], repeats=20, seed=4)
    assert not np.isclose(other.test_nll, whole.test_nll[:1, :20]).any()


def test_what_does_not_fit_into_memory_is_refused_before_it_is_drawn() -> None:
    with pytest.raises(UserError, match=f"one repeat would need {MOST + 1:,} random numbers"):
        simulate(Mixture(1, 10), [MOST - 9], repeats=2, seed=0)


def test_progress_is_told() -> None:
    lines: list[str] = []
    simulate(Mixture(2, 4), [0], repeats=2, seed=0, sink=lines.append)
    assert lines[-1].startswith("simulation: 2/2 repeats")


def summarise(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard error of each row."""
    return values.mean(axis=1), values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])
