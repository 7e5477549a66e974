"""dvc.yaml, generated from the stage table and the table of figures: one matrix stage per stage, over the active
expansions, and the folders that `dvc metrics` and `dvc plots` read."""

from __future__ import annotations

import io
from dataclasses import asdict
from typing import Any

from ruamel.yaml import YAML

from ops.history.figures import METRICS, PLOTS
from ops.recipe.stages import STAGES, Stage

EXPANSION = "${item.expansion}"
HEADER = """\
# Generated from ops/recipe/stages.py by `python -m ops.documents.dvcfile`; a test compares. Do not edit.
# `dvc repro` runs the stages that changed, through the same assets as the Dagster UI and `growset run`.
"""


def describe_stage(stage: Stage) -> dict[str, Any]:
    """One stage of dvc.yaml. Outputs persist: a run replaces them whole, so DVC must not delete them before it."""
    versions = [f"stage_versions.{name}" for name in (stage.name, *stage.repeats)]
    if not stage.inputs:
        versions.append(f"source_versions.{EXPANSION}")
    params: list[Any] = [{"params.yaml": versions}]
    if stage.sections:
        params.insert(0, {f"recipes/{EXPANSION}.yaml": list(stage.sections)})
    described: dict[str, Any] = {
        "matrix": {"expansion": "${expansions}"},
        "cmd": f"growset materialize {stage.name} {EXPANSION}",
    }
    if stage.inputs:
        described["deps"] = [f"data/{EXPANSION}/{name}" for name in stage.inputs]
    described["params"] = params
    described["outs"] = [{f"data/{EXPANSION}/{stage.name}": {"persist": True}}]
    return described


def render() -> str:
    """The text of dvc.yaml."""
    yaml, buffer = YAML(), io.StringIO()
    yaml.default_flow_style = False
    yaml.width = 120
    described = {
        "stages": {name: describe_stage(stage) for name, stage in STAGES.items()},
        "metrics": [METRICS],
        "plots": [{folder: asdict(plot)} for folder, plot in PLOTS.items()],
    }
    yaml.dump(described, buffer)
    return HEADER + buffer.getvalue()


if __name__ == "__main__":
    from pathlib import Path

    Path("dvc.yaml").write_text(render(), encoding="utf-8")
