"""A line of figures on each of several generators, for the funnel and the report; read from manifests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ops.files.manifests import MANIFEST
from ops.stages.several import count_generators, place, read_part


@dataclass(frozen=True)
class GeneratorLine:
    """One generator and its set of images.

    drawn, accepted, missing: images. acceptance: share of the drawn that broke no rule. learnt_frechet: the Fréchet
    distance of 500 draws with the selected weights, in the scorer's features. accepted_frechet: that of the accepted
    images, in a random network's features. Both are to validation images, and None if unknown.
    """

    generator: int
    drawn: int
    accepted: int
    missing: int
    acceptance: float
    learnt_frechet: float | None
    accepted_frechet: float | None


def collect_generators(generator: Path, accepted: Path) -> list[GeneratorLine]:
    """A line for each generator in the folders of two stages; empty for a single one. `generator` may be missing."""
    count, trained_here = count_generators(accepted), (generator / MANIFEST).exists()
    lines = []
    for number in range(count) if count > 1 else ():
        kept = read_part(place(accepted, number))["metrics"]
        learnt = read_part(place(generator, number))["metrics"] if trained_here else {}
        lines.append(
            GeneratorLine(
                number,
                kept["generated"],
                kept["accepted"],
                kept["shortfall"],
                kept["accept_rate"],
                learnt.get("quality_frechet"),
                kept.get("FD_random"),
            )
        )
    return lines
