"""The builders of the stages: each reads its inputs' folders, calls the computations, writes its output.

A builder takes a `StageRun` and returns metrics (flat, mostly numbers) for the manifest. Builders are
looked up by name so that a door loads torch only for the stage it runs.
"""

from importlib import import_module

from ops.stages.materialization import Builder

_PLACES = {
    "real_images": "real",
    "expansion_plan": "plan",
    "scorer": "scorer",
    "generator": "generator",
    "generator_onnx": "generator_onnx",
    "generated_images": "generated",
    "accepted_images": "accepted",
    "mixed_dataset": "mixed",
    "baseline_classifiers": "classifiers",
    "expanded_classifiers": "classifiers",
    "verdict": "verdict",
    "report": "report",
}


def find_builder(stage: str) -> Builder:
    """The function `build_<stage>` of the stage's module."""
    builder: Builder = getattr(import_module(f"ops.chain.{_PLACES[stage]}"), f"build_{stage}")
    return builder
