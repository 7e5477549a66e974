"""The names of what a study measures of classifiers. `ops.study.measures` finds the values; nothing here computes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

from ops.recipe.ingredients.contrastive import CONTRASTIVE

CorruptionMeasure = Literal[
    "corrupted",
    "corrupted_gaussian_noise",
    "corrupted_shot_noise",
    "corrupted_impulse_noise",
    "corrupted_gaussian_blur",
    "corrupted_motion_blur",
    "corrupted_brightness",
    "corrupted_contrast",
    "corrupted_pixelate",
    "corrupted_jpeg",
    "corrupted_elastic",
]
TrainingMeasure = Literal["training_accuracy", "gap", "real_gap"]
InvarianceMeasure = Literal["ekld", "ekld_error", "ekld_head", "ekld_rare", "agreement", "size_correlation"]
LabelFreeMeasure = Literal["alignment", "uniformity", "relative_confusion"]
ClassifierMeasure = Literal[
    "accuracy",
    "balanced_accuracy",
    "worst_class",
    "head",
    "middle",
    "tail",
    "calibration_error",
    "fgsm",
    "ifgsm",
    CorruptionMeasure,
    TrainingMeasure,
    "refused",
    InvarianceMeasure,
    LabelFreeMeasure,
]
ClassifierCurve = Literal["recall", "ekld"]
CORRUPTED = get_args(CorruptionMeasure)  # the mean over all corruptions, then each of them
OF_TRAINING = get_args(TrainingMeasure)  # measured on what was learnt from
NUISANCED = get_args(InvarianceMeasure)  # measures and curves that need a nuisance
LABEL_FREE = get_args(LabelFreeMeasure)  # of arms that learn without labels
# Told of every arm that says auto; no part asks for them. The first is told of the arms beside it too.
DECIDED = ("validation", "chosen_strength", "chosen_real_weight", "uses_generated", "race_steps")


def check_label_free(measures: Sequence[str], arms: Iterable[Any]) -> None:
    """ValueError for scores without labels in the first place, where a figure needs all arms, and for scores that no
    arm has; arms: their keys, as written."""
    if not (asked := [name for name in measures if name in LABEL_FREE]):
        return
    if measures[0] == asked[0]:
        raise ValueError(f"measures begins with {asked[0]}, which arms that learn labels have not; begin with another")
    trainers = [keys.get("trainer") for keys in arms if isinstance(keys, Mapping)]
    kinds = [trainer.get("kind") if isinstance(trainer, Mapping) else trainer for trainer in trainers]
    if not set(CONTRASTIVE).intersection(kind for kind in kinds if isinstance(kind, str)):
        raise ValueError(
            f"measures: {asked[0]} is of arms that learn without labels, and no arm has such a trainer; add one, or"
            " remove it"
        )
