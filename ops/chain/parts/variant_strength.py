"""`sampler.strength: auto`: the widest strength with which a generator's variants pass the gate.

A wide strength shows a classifier more of what may change, and more of the variants lose their class. How wide is too
wide depends on the images and on how well the generator has learnt, so no number fits all. Strengths are tried from the
widest on, in torch, with the noise and the limits of the gate that the exported sampler must pass afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ops.chain.parts.units import take_seeds
from ops.chain.parts.variant_gate import judge_drawn
from ops.datasets.pixels import PixelDataset
from ops.generators.drawers import DrawerSpec
from ops.generators.folder import CONFIG, is_labelled, read_config
from ops.generators.registry import KINDS
from ops.generators.torch_drawer import TorchFile
from ops.judging.scorer import load_scorer
from ops.machine.progress import Sink
from ops.recipe.profiles import limit_strength
from ops.recipe.sampler import SamplerSettings

STRENGTHS = (1.0, 0.8, 0.6, 0.4, 0.2)
MOST_OF_PRIOR = 0.8  # beyond it a prior would forget the image and its class


def choose_strength(
    generator: Path,
    sampler: SamplerSettings,
    scorer: Path,
    train: PixelDataset,
    *,
    sink: Sink,
    imagines: Callable[[SamplerSettings], DrawerSpec] | None = None,
) -> tuple[SamplerSettings, list[dict[str, Any]]]:
    """The sampler with a number for its strength, and the trials: `strength`, `moved`, `kept`, `refused`, `used`.

    The first strength with which no class is refused ends the search. Where each refuses some, the one that refuses
    the fewest is taken, the widest of these. A sampler whose strength is not `auto` comes back as it is, with nothing
    tried. `imagines` : the drawer of a sampler with a number, of a recipe that imagines.
    """
    if sampler.strength != "auto":
        return sampler, []
    seeds = take_seeds(train)
    config, judge, tried = read_config(generator), load_scorer(scorer), list[dict[str, Any]]()
    kind = KINDS[config["kind"]]
    most = min(limit_strength(sampler.imagination), 1.0 if is_labelled(config) else MOST_OF_PRIOR)
    for strength in [each for each in STRENGTHS if each <= most]:
        candidate = _set(sampler, strength)
        drawer: DrawerSpec = TorchFile(generator / CONFIG, kind.load, ("noise", "image"), candidate)
        if imagines is not None:
            drawer = imagines(candidate)
        gate = judge_drawn(drawer, judge, train, seeds, moves=sampler.moves, keeps=sampler.keeps)
        refused = len(gate.list_refused(train.class_names))
        tried.append({"strength": strength, "moved": gate.moved, "kept": gate.kept, "refused": refused})
        sink(
            f"generator_onnx: strength {strength:g}: {gate.told}; {refused} of {len(train.class_names)} classes refused"
        )
        if not refused:
            break
    chosen = min(tried, key=lambda trial: (trial["refused"], -trial["strength"]))
    sink(f"generator_onnx: strength {chosen['strength']:g} is used")
    return _set(sampler, chosen["strength"]), [{**trial, "used": trial is chosen} for trial in tried]


def _set(sampler: SamplerSettings, strength: float) -> SamplerSettings:
    """The sampler with a number; 1 is written as null, with which the image's own style is not even looked for."""
    return sampler.model_copy(update={"strength": None if strength == 1 else strength})
