"""The words of `growset theory`: tables of a simulation and of a bound's terms, advice and warnings, line by line."""

from collections.abc import Mapping, Sequence

from ops.theory.bound import Bound
from ops.theory.summary import Summary

TERMS = {
    "divergence": "n/t · M·TV",
    "sampling": "M (√m + √n)/t",
    "learner_change": "m √n β/t",
    "learner_stability": "β (m log m + n log n)/t",
    "generator_stability": "m log m · M·𝒯/t",
}
"""The bound's terms by name, as `ops.theory.bound` explains them."""


def format_summary(found: Summary) -> list[str]:
    """Gap and risk at each γ, then the bound with its terms, advice and warnings."""
    gaps = [("γ", "generated", "NLL gap", "± se", "error gap", "± se", "test NLL", "closed form", "test error")]
    bounds = [("γ", *(name.replace("_", " ") for name in TERMS), "bound", "published")]
    for number, gamma in enumerate(found.gamma):
        gaps.append(
            (
                f"{gamma:g}",
                f"{found.generated[number]:,}",
                f"{found.nll_gap[number]:#.4g}",
                f"{found.nll_gap_se[number]:.2g}",
                f"{100 * found.zero_one_gap[number]:.2f} %",
                f"{100 * found.zero_one_gap_se[number]:.2f}",
                f"{found.test_nll[number]:#.4g}",
                f"{found.expected_test_nll[number]:#.4g}",
                f"{100 * found.test_error[number]:.2f} %",
            )
        )
        terms = found.bound_terms[number]
        bounds.append(
            (
                f"{gamma:g}",
                *(f"{terms[name]:#.4g}" for name in TERMS),
                f"{found.bound[number]:#.4g}",
                f"{found.published_bound[number]:#.4g}",
            )
        )
    return [
        *_lay_out(gaps),
        "",
        "bound of the NLL's gap, in nats, up to constants:",
        *_lay_out(bounds),
        "",
        *format_advice(found.advice, found.warnings),
    ]


def format_terms(columns: Mapping[str, Bound]) -> list[str]:
    """Each term with its formula, a column for each number of generated samples."""
    rows = [("term", "", *columns)]
    rows += [
        (name.replace("_", " "), formula, *(f"{getattr(bound, name):#.4g}" for bound in columns.values()))
        for name, formula in TERMS.items()
    ]
    rows.append(("bound", "", *(f"{bound.total:#.4g}" for bound in columns.values())))
    return [*_lay_out(rows, left=2), "m real, n generated, t = m + n samples; M the largest loss, β = B/t"]


def format_advice(sentences: Sequence[str], warnings: Sequence[str]) -> list[str]:
    return [*sentences, *(f"warning: {warning}" for warning in warnings)]


def _lay_out(rows: Sequence[Sequence[str]], *, left: int = 0) -> list[str]:
    """Rows of cells as lines; the first `left` columns start at the left, numbers end at the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            f"{cell:<{width}}" if place < left else f"{cell:>{width}}"
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
