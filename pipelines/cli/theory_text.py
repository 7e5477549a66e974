"""The words of `growset theory`: tables of simulations and of a bound's terms, advice and warnings, line by line."""

from collections.abc import Mapping, Sequence

from ops.theory.best_radius import GraphSummary
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


def format_graphs(found: GraphSummary) -> list[str]:
    """Connectivity and bound by radius, a column for each number of samples; then the best radius of each, warnings."""
    names = [f"n = {count:,}" for count in found.samples]
    connectivity = [("radius", "α", *(part for name in names for part in (name, "± se")))]
    bounds = [("radius", *names)]
    for place, radius in enumerate(found.radius):
        values = [
            (row[place], errors[place]) for row, errors in zip(found.connectivity, found.connectivity_se, strict=True)
        ]
        shown = [part for value, error in values for part in (f"{value:.4f}", f"{error:.2g}")]
        connectivity.append((f"{radius:g}", f"{100 * found.labelling_error[place]:.2f} %", *shown))
        bounds.append((f"{radius:g}", *(_show(row[place], "#.3g", "∞") for row in found.bound)))
    best = [("n", "best radius", "± se", "bound there")]
    for number, count in enumerate(found.samples):
        best.append(
            (
                f"{count:,}",
                _show(found.best_radius[number], ".3f"),
                _show(found.best_radius_se[number], ".2g"),
                _show(found.best_bound[number], "#.3g"),
            )
        )
    return [
        f"labelling error α, and connectivity λ, eigenvalue number {found.features + 1}:",
        *_lay_out(connectivity),
        "",
        "bound, the median of the repeats:",
        *_lay_out(bounds),
        "",
        *_lay_out(best),
        "",
        *format_advice([], found.warnings),
    ]


def _show(value: float | None, form: str, nothing: str = "–") -> str:
    return nothing if value is None else format(value, form)


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
