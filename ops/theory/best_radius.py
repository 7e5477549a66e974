"""How far to augment: the radius that minimises the bound of AdaInf's theory in the toy, by the number of samples.

Wang et al. 2024, *Do Generated Data Always Help Contrastive Learning?*, theorem 4.1: with the best encoder of k
features on the augmentation graph, the error of a linear probe is at most c₁·α/λ_{k+1} + c₂·α. (A third term is for
generated samples that are not like real ones; the toy has none.) c₁ = 8 and c₂ = 16 are from memory, and no source that
could be read confirms them. The best radius needs their ratio alone. The toy knows no images and no networks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ops.errors import UserError
from ops.machine.progress import Progress, Sink, ignore
from ops.theory.augmentation_graph import ACROSS, Floats, draw_samples, find_eigenvalues
from ops.theory.labelling_error import find_labelling_error

MOST = 20_000_000  # views of one graph


@dataclass(frozen=True)
class Constants:
    """c₁ > 0 of α/λ_{k+1} and c₂ ≥ 0 of α."""

    connectivity: float = 8.0
    labelling: float = 16.0


REMEMBERED = Constants()
UNCONFIRMED = (
    "The bound's constants, 8 and 16 by default, are from memory and unconfirmed: of the bound only the shape can be"
    " read, and the best radius depends on their ratio."
)


@dataclass(frozen=True)
class GraphSummary:
    """Lists by radius, or by number of samples; rows of lists have a row for each number, an entry for each radius.

    samples: n. radius: r. features: k. labelling_error: α, a share. connectivity, connectivity_se: λ_{k+1}, 0 to 1, its
    mean over the repeats and the standard error (se). unconnected: share of repeats in which it is 0. bound: the median
    over the repeats; None where it is infinite. best_radius, best_radius_se: the least bound's radius, mean and
    standard error over the repeats in which some bound is finite; None where these are none, or for an error one.
    best_bound: the least of the row `bound`.
    """

    samples: list[int]
    radius: list[float]
    features: int
    labelling_error: list[float]
    connectivity: list[list[float]]
    connectivity_se: list[list[float]]
    unconnected: list[list[float]]
    bound: list[list[float | None]]
    best_radius: list[float | None]
    best_radius_se: list[float | None]
    best_bound: list[float | None]
    warnings: list[str]


def bound_probe(labelling_error: Floats, connectivity: Floats, constants: Constants) -> Floats:
    """c₁·α/λ_{k+1} + c₂·α; infinite where λ_{k+1} is 0. α is above 0; shapes as numpy broadcasts them."""
    with np.errstate(divide="ignore"):
        return np.asarray(
            constants.connectivity * labelling_error / connectivity + constants.labelling * labelling_error
        )


def sum_up_graphs(
    samples: Sequence[int],
    radius: Sequence[float],
    *,
    features: int,
    repeats: int,
    seed: int,
    constants: Constants = REMEMBERED,
    sink: Sink = ignore,
) -> GraphSummary:
    """Draw the graphs of all numbers and radii. A repeat's larger samples contain its smaller ones. repeats: 2 or more.

    UserError where a number of samples is not above the features, or its graph would be too large.
    """
    for count in samples:
        check_size(count, features)
    found = measure_connectivity(samples, radius, features=features, repeats=repeats, seed=seed, sink=sink)
    error = np.array([find_labelling_error(each) for each in radius])
    bounds = bound_probe(error, found, constants)
    best = [_choose(rows, np.asarray(radius)) for rows in bounds]
    medians = [[_drop_infinite(value) for value in np.median(rows, axis=0)] for rows in bounds]
    return GraphSummary(
        samples=list(samples),
        radius=list(radius),
        features=features,
        labelling_error=error.tolist(),
        connectivity=found.mean(axis=1).tolist(),
        connectivity_se=(found.std(axis=1, ddof=1) / math.sqrt(repeats)).tolist(),
        unconnected=(found == 0).mean(axis=1).tolist(),
        bound=medians,
        best_radius=[float(each.mean()) if len(each) else None for each in best],
        best_radius_se=[float(each.std(ddof=1)) / math.sqrt(len(each)) if len(each) > 1 else None for each in best],
        best_bound=[min((value for value in row if value is not None), default=None) for row in medians],
        warnings=[UNCONFIRMED, *_list_limits(samples, radius, bounds, best)],
    )


def measure_connectivity(
    samples: Sequence[int], radius: Sequence[float], *, features: int, repeats: int, seed: int, sink: Sink = ignore
) -> Floats:
    """λ_{k+1} of every graph, float64 [numbers of samples, repeats, radii].

    A graph depends on seed, repeat, number and radius alone.
    """
    found = np.empty((len(samples), repeats, len(radius)))
    progress = Progress(sink, "graphs", found.size, "graphs")
    for number, count in enumerate(samples):
        for repeat in range(repeats):
            drawn = draw_samples(count, np.random.default_rng([seed, repeat]))
            for place, each in enumerate(radius):
                found[number, repeat, place] = find_eigenvalues(drawn, each, features + 1)[features]
                progress.update((number * repeats + repeat) * len(radius) + place + 1)
    return found


def check_size(count: int, features: int) -> None:
    """UserError unless so many samples have a λ_{k+1}, and a graph that fits into memory."""
    if count <= features:
        raise UserError(f"{count} samples are too few for {features} features; allowed: more samples than features")
    views = round(math.pi * ACROSS**2)
    if count * views > MOST:
        raise UserError(
            f"{count:,} samples would have {count * views:,} views, of which {MOST:,} are allowed;"
            f" take at most {MOST // views:,} samples"
        )


def _choose(bounds: Floats, radius: Floats) -> Floats:
    """The radius of the least bound of each repeat in which one is finite."""
    finite = np.isfinite(bounds).any(axis=1)
    return np.asarray(radius[bounds[finite].argmin(axis=1)])


def _drop_infinite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _list_limits(samples: Sequence[int], radius: Sequence[float], bounds: Floats, best: Sequence[Floats]) -> list[str]:
    """What is amiss with these numbers."""
    found = []
    if bounds.min() >= 1:
        found.append("The bound is nowhere below 1, the largest error there is: of the error itself it says nothing.")
    ends = {"smallest": min(radius), "largest": max(radius)}
    for count, rows, chosen in zip(samples, bounds, best, strict=True):
        if (without := len(rows) - len(chosen)) > 0:
            found.append(
                f"With {count:,} samples no radius connects the graph in {without} of {len(rows)} repeats; these have"
                " no best radius and are left out."
            )
        for name, end in ends.items():
            if (at := int((chosen == end).sum())) > 0:
                found.append(
                    f"With {count:,} samples the best radius is the {name} of the list, {end:g}, in {at} of {len(rows)}"
                    " repeats: take more radii."
                )
    return found
