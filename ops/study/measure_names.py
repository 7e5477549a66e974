"""The names of what a study measures of classifiers. `ops.study.measures` finds the values; it loads nothing."""

from __future__ import annotations

from typing import Literal, get_args

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
]
ClassifierCurve = Literal["recall", "ekld"]
CORRUPTED = get_args(CorruptionMeasure)  # the mean over all corruptions, then each of them
OF_TRAINING = get_args(TrainingMeasure)  # measured on what was learnt from
NUISANCED = get_args(InvarianceMeasure)  # measures and curves that need a nuisance
