"""Run a stage's builder once for each generator of the recipe; a killed run resumes with the first unfinished one.

The builder knows only one generator: its run has that generator's folders and seed. With one generator the run is
passed on unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ops.files.storage import read_json, write_json
from ops.stages.materialization import Builder, StageRun
from ops.stages.several import join_metrics, place, place_inputs

DONE = "built.json"  # in a generator's scratch folder: its metrics, written when it is built


def build_each(run: StageRun, build: Builder, count: int, *, summed: Sequence[str] = ()) -> dict[str, Any]:
    """Metrics of `build`, called for each of `count` generators; `summed` names those to add (see `join_metrics`)."""
    if count == 1:
        return build(run)
    each = []
    for generator in range(count):
        one = narrow(run, generator)
        done = one.scratch / DONE
        if not done.exists():
            one.out.mkdir(parents=True, exist_ok=True)
            write_json(done, build(one))
        each.append(read_json(done))
    return join_metrics(each, summed)


def narrow(run: StageRun, generator: int) -> StageRun:
    """The run of one of several generators: its inputs, output and scratch folder; its number starts every line."""
    sink, runtime = run.runtime.sink, run.runtime
    if runtime.has_sink:
        runtime = replace(runtime, sink=lambda line: sink(f"[generator {generator}] {line}"))
    return replace(
        run,
        inputs=place_inputs(run.inputs, generator),
        out=place(run.out, generator),
        scratch=place(run.scratch, generator),
        generator=generator,
        runtime=runtime,
    )
