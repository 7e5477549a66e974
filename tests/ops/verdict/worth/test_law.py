"""The law of a learning curve: fits find known laws, and sizes and errors are each other's inverse."""

from __future__ import annotations

import numpy as np
import pytest

from ops.verdict.worth.law import EXPONENTS, Laws, fit_laws

SIZES = [125.0, 250.0, 500.0, 1000.0]


@pytest.mark.parametrize(
    ("errors", "exponent"),
    [
        ([0.05 + 3.0 * n**-0.5 for n in SIZES], 0.5),
        ([2.0 * n**-0.3 for n in SIZES], 0.3),
        ([0.6 - 0.06 * np.log(n) for n in SIZES], 0.0),
        ([0.4 - 0.0002 * n for n in SIZES], -1.0),
    ],
)
def test_a_curve_without_noise_gives_its_law_back(errors: list[float], exponent: float) -> None:
    law = fit_laws(SIZES, [errors], np.ones(4))
    assert law.exponent[0] == pytest.approx(exponent, abs=1e-9)
    assert law.find_errors(SIZES)[0] == pytest.approx(errors, abs=1e-9)


def test_the_size_of_a_gain_has_errors_that_are_lower_by_it() -> None:
    exponents = EXPONENTS[::5]
    count = len(exponents)
    laws = Laws(1000.0, np.full(count, 0.2), np.full(count, 0.05), exponents)
    for gain in (-0.03, -0.001, 0.001, 0.03):
        sizes = laws.find_sizes(np.full(count, gain))
        found = np.array([laws.find_errors([size])[row, 0] for row, size in enumerate(sizes)])
        assert found == pytest.approx(np.full(count, 0.2 - gain), abs=1e-12)
    assert (laws.find_sizes(np.zeros(count)) == 1000.0).all()


def test_what_is_never_reached_is_infinite() -> None:
    floor = Laws(1000.0, np.array([0.2]), np.array([0.05]), np.array([0.5]))  # errors fall to 0.2 - 0.05 / 0.5
    assert np.isinf(floor.find_sizes([0.1])) and np.isfinite(floor.find_sizes([0.0999]))
    few = Laws(1000.0, np.array([0.02]), np.array([0.05]), np.array([0.0]))
    assert np.isinf(few.find_sizes([0.021])), "errors are not below 0"
    flat = Laws(1000.0, np.array([0.2]), np.array([0.0]), np.array([0.5]))
    assert [float(flat.find_sizes([gain])[0]) for gain in (0.01, 0.0, -0.01)] == [np.inf, 1000.0, 0.0]


def test_a_curve_that_rises_is_fitted_flat() -> None:
    law = fit_laws(SIZES, [[0.1, 0.11, 0.12, 0.13]], np.ones(4))
    assert law.slope[0] == 0.0 and law.errors[0] == pytest.approx(0.115)


def test_a_size_that_is_known_better_counts_more() -> None:
    errors, variances = [[0.3, 0.25, 0.2, 0.18]], np.array([1.0, 1.0, 1.0, 1e-8])
    assert fit_laws(SIZES, errors, variances, np.zeros(1)).errors[0] == pytest.approx(0.18, abs=1e-6)
    assert fit_laws(SIZES, errors, np.ones(4), np.zeros(1)).errors[0] != pytest.approx(0.18, abs=1e-3)


def test_fewer_than_three_sizes_are_refused() -> None:
    for sizes in ([500.0, 1000.0], [500.0, 1000.0, 1000.0]):
        with pytest.raises(ValueError, match="needs 3 sizes, not 2"):
            fit_laws(sizes, [np.full(len(sizes), 0.1)], np.ones(len(sizes)))
    with pytest.raises(ValueError, match="above 0"):
        fit_laws(SIZES, [np.full(4, 0.1)], np.zeros(4))
