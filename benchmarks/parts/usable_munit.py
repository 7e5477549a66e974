"""When a generator of kind `munit` becomes usable: the chain's own stages on images, up to the exported generator.

A recipe's stages are run in a new workspace. At each checkpoint of the training the watch of the stage applies the gate
of variants, as always; here the moment is noted when its answer is there. The exported generator then passes the gate
once more, on more images. The module does not know which images these are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.sources.drawn import Drawn
from benchmarks.sources.writing import write_parquet
from ops.chain import generator as stage
from ops.chain.driver import Chain
from ops.files.outputs import GATE, LEARNING_CURVE, USABILITY
from ops.files.storage import read_json, write_json
from ops.generators.protocol import Observer, Sample
from ops.machine.progress import Sink
from ops.recipe.munit import MunitSettings
from ops.recipe.stages import upstream
from ops.scaffold.workspace import create_workspace
from ops.stages.materialization import Runtime
from ops.training.state import Observation

SCORER, GENERATOR, LAST = "scorer", "generator", "generator_onnx"
DEFAULTS: dict[str, Any] = {  # what a recipe must name, although most of it is not read here
    **{key: {} for key in ("data", "plan", "tuning", "scorer", "generator", "sampler", "filter", "mix", "classifier")},
    "prior": None,
    **{key: {} for key in ("verdict", "report", "publish")},
    "baselines": {"real": {}},
    "expanded": {"expanded": {}},
    "seed": 0,
    "on_new_images": "retrain",
}


@dataclass(frozen=True)
class Moment:
    """A checkpoint. minutes: from the start of the stage until it was judged. passed: the gate, and not for copies.

    moved, kept: what the gate found, in grey levels and as a share (None: too few images that the scorer names).
    position: how far variants lie from empty images (0) towards real ones (1); None: no feature space can tell.
    """

    step: int
    minutes: float
    passed: bool
    moved: float
    kept: float | None
    position: float | None


@dataclass(frozen=True)
class Usable:
    """moments: in order. steps: of the recipe. needed: its sampler's `usable_from`. stages: seconds of each.

    Of the exported generator: how many of the `classes` are `used`, its position, and the gate's sentence.
    """

    moments: tuple[Moment, ...]
    steps: int
    needed: float | None
    stages: dict[str, float]
    used: int
    classes: int
    position: float | None
    sentence: str

    @property
    def first_passed(self) -> Moment | None:
        """The first checkpoint that passes the gate; None if none does."""
        return next((moment for moment in self.moments if moment.passed), None)

    @property
    def first_usable(self) -> Moment | None:
        """The first one that passes and lies near enough to real images, too: the chain would use it."""
        return next((m for m in self.moments if m.passed and not _is_below(m.position, self.needed)), None)


@dataclass
class Stopwatch:
    """An observer that notes when another one has answered: step, seconds, and whether the moment is usable."""

    observer: Observer
    clock: Callable[[], float] = time.monotonic
    noted: list[tuple[int, float, bool]] = field(default_factory=list)

    def observe(self, step: int, sample: Sample) -> Observation:
        found = self.observer.observe(step, sample)
        self.noted.append((step, self.clock(), found.usable))
        return found


def train_until_usable(drawn: Drawn, recipe: Mapping[str, Any], folder: Path, sink: Sink) -> Usable:
    """Run the stages on images, in a workspace in the empty `folder`, and read what they stored.

    recipe : the sections that differ from their defaults.
    """
    write_parquet(drawn, folder / "images")
    made = create_workspace(folder / "workspace", folder / "images")
    # JSON is YAML too.
    write_json(made.workspace.recipe_path(made.name), {"source": made.name, **DEFAULTS, **recipe})
    chain = Chain(made.workspace, Runtime(sink=sink))
    for name in upstream(GENERATOR):
        chain.run(made.name, name)
    watches: list[Stopwatch] = []

    def watch(*given: Any, **named: Any) -> Stopwatch:
        watches.append(Stopwatch(build(*given, **named)))
        return watches[-1]

    build, started = stage.build_watch, time.monotonic()
    with patch.object(stage, "build_watch", watch):
        trained = chain.run(made.name, GENERATOR)
    exported = chain.run(made.name, LAST)
    (watched,) = watches
    gate = read_json(exported.folder / GATE)
    found = made.workspace.load_recipe(made.name)
    assert isinstance(found.generator, MunitSettings)
    return Usable(
        tuple(list_moments(watched.noted, read_json(trained.folder / LEARNING_CURVE), started)),
        found.generator.steps,
        found.sampler.usable_from,
        read_json(made.workspace.timings(made.name)),
        sum(entry["why"] is None for entry in gate["classes"]),
        len(gate["classes"]),
        read_json(exported.folder / USABILITY)["position"],
        gate["sentence"],
    )


def list_moments(
    noted: Sequence[tuple[int, float, bool]], curve: Sequence[dict[str, Any]], started: float
) -> list[Moment]:
    """What was noted, with the figures of the learning curve; ValueError for a checkpoint whose variants nobody
    judged."""
    figures = {row["step"]: row for row in curve}
    if bare := [step for step, _, _ in noted if figures.get(step, {}).get("moved") is None]:
        raise ValueError(f"no variants were judged at step {bare[0]}")
    return [
        Moment(step, (at - started) / 60, passed, **{key: figures[step][key] for key in ("moved", "kept", "position")})
        for step, at, passed in noted
    ]


def _is_below(value: float | None, limit: float | None) -> bool:
    return value is not None and limit is not None and value < limit
