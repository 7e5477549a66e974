"""Fingerprints: the identity of a stage's intent (its keys, its version, its inputs' contents)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

from ops.files.hashing import hash_json
from ops.recipe.arms import Arm
from ops.recipe.ingredients.balancing import Balancing
from ops.recipe.pool_arms import list_seeing
from ops.recipe.schema import Recipe
from ops.recipe.stages import STAGES

# Keys that came later, with the value that outputs from before were made with: with it they stay current. The verdict
# would otherwise look at the test images again.
LATER_KEYS: dict[str, Any] = {
    "verdict.curve_seeds": 0,
    "sampler.strength": None,
    "sampler.moves": 2.0,
    "sampler.keeps": 0.9,
    "sampler.truncation": None,
    "sampler.imagination": None,
    "generator.pseudo_labels": None,
    "generator.narrow": False,
    "prior.pseudo_labels": None,
    "sampler.imagination.profile": None,
    "plan.seeds": "all",
    "data.unlabelled": None,
    "report.worth": None,
    "report.prices": None,
}

# Mends that changed what a stage makes for some recipes alone, which name them in its settings; others stay current.
MENDS: tuple[tuple[str, str, Callable[[Recipe], bool]], ...] = (
    (
        "generator_onnx",
        "variants of the sampler are judged in the class shares of validation",
        lambda r: r.sampler.precision != "fp32",
    ),
    (
        "generator_onnx",
        "a scorer that is trained here reads images as it learnt them, whatever the preset",
        lambda r: (found := r.sampler.imagination) is not None and found.preset == "release" and found.reads_own,
    ),
    (
        "expanded_classifiers",
        "losses and feature diffusion go by the images that they are shown, and by their weights",
        lambda r: any(_balances_what_it_sees(arm) for arm in r.expanded.values()),
    ),
    (
        "expanded_classifiers",
        "any real image takes the place of a generated one without a label",
        lambda r: r.data.unlabelled is not None and any(arm.placebo.kind != "none" for arm in r.expanded.values()),
    ),
    (
        "training_policy",
        "a stride of 4 is a usual one, and has variants",
        lambda r: r.tuning.policy and getattr(r.classifier.network, "stride", None) == 4,
    ),
)


def _balances_what_it_sees(arm: Arm) -> bool:
    """Whether the arm ends on real images or learns some without labels, with a loss that goes by the classes' sizes,
    or diffuses the features of generated images too."""
    by_size = isinstance(arm.loss, Balancing) or arm.loss.kind == "ldam"
    return arm.trainer.kind == "feature_diffusion" or (by_size and (arm.finish > 0 or arm.targets.kind != "labels"))


def stage_settings(recipe: Recipe, stage: str) -> dict[str, Any]:
    """The recipe keys that `stage` reads, with defaults filled in, JSON-ready; its switch alone where that is null."""
    resolved, switch = recipe.model_dump(mode="json"), STAGES[stage].switch

    def find(key: str) -> Any:
        return reduce(lambda place, part: place[part], key.split("."), resolved)

    if switch is not None and find(switch) is None:
        return {switch: None}
    for place, idle in LATER_KEYS.items():
        *sections, key = place.split(".")
        section = reduce(lambda found, name: found.get(name) or {}, sections, resolved)
        if key in section and section[key] == idle:
            del section[key]
    found = {key: find(key) for key in STAGES[stage].keys}
    mends = [says for name, says, applies in MENDS if name in (stage, *STAGES[stage].repeats) and applies(recipe)]
    return {**found, "mends": mends} if mends else found


def is_idle(recipe: Recipe, stage: str) -> bool:
    """Whether the stage does nothing with this recipe."""
    switch = STAGES[stage].switch
    return switch is not None and reduce(getattr, switch.split("."), recipe) is None


def list_inputs(recipe: Recipe, stage: str) -> tuple[str, ...]:
    """The stages that `stage` reads with this recipe, in the order of its entry."""
    idle = {name for name, key, value in STAGES[stage].asks if reduce(getattr, key.split("."), recipe) != value}
    idle |= {name for name in STAGES[stage].inputs if STAGES[name].optional and is_idle(recipe, name)}
    idle |= set() if list_seeing(recipe.baselines) else set(STAGES[stage].for_pool_arms)
    return tuple(name for name in STAGES[stage].inputs if name not in idle)


def stage_fingerprint(stage: str, version: int, settings: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """Equal for equal settings, version and input contents; later stages have no influence.

    Parameters
    ----------
    settings : `stage_settings`.
    inputs : content hash of each input, by its name.
    """
    return hash_json({"stage": stage, "version": version, "settings": settings, "inputs": inputs})
