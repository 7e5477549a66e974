"""Whether a generator takes long to train here, and how long on a GPU: computed from products, not measured."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ops.classifiers.products import Shape
from ops.generators.registry import KINDS
from ops.machine.durations import describe_estimate
from ops.recipe.schema import Recipe

LONG = 3600.0  # seconds that people wait for a generator
GPU_RATE = 5e12  # products a second: a small part of the peak of any data-centre GPU, as such small networks reach it


def warn_of_length(recipe: Recipe, seconds: float, shape: Shape, root: Path) -> str | None:
    """A warning where training the generators, or the prior, takes longer than an hour; `seconds` are those of this
    machine.

    shape: (channels, height, width) of the images.
    """
    if recipe.generator.in_torch or seconds <= LONG:
        return None
    name, trained = ("generator", recipe.generator) if recipe.prior is None else ("prior", recipe.prior)
    cost = KINDS[trained.kind].guess(trained, recipe.sampler, shape, root, GPU_RATE, 1)
    return (
        f"the {name} needs a GPU: training takes {describe_estimate(seconds)} here, and"
        f" {describe_estimate(cost.fit_seconds * trained.seeds)} with --device cuda at"
        f" {GPU_RATE / 1e12:g} TFLOP/s (computed, not measured); or lower {name}.steps, or give smaller images"
    )


def warn_of_large_networks(recipe: Recipe, seconds: Mapping[str, float]) -> str | None:
    """A warning where the generator draws large images in torch; `seconds` by stage are those of this machine."""
    if not recipe.generator.in_torch:
        return None
    here = sum(seconds[stage] for stage in ("generator", "generator_onnx", "generated_images"))
    return (
        f"kind: {recipe.generator.kind} needs a GPU (--device cuda --provider cuda): fine-tuning, examining and drawing"
        f" take {describe_estimate(here)} here, computed from the products of its networks; how long a GPU takes was"
        " not measured"
    )
