"""The report's facts on what gains are worth in real labels, where the recipe asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ops.files.outputs import LABEL_CURVE
from ops.files.storage import read_json
from ops.recipe.sections import ReportSettings
from ops.worth.curve import LabelCurve
from ops.worth.money import read_prices
from ops.worth.result import value_gains

CURVE = "label_curve"  # the stage
# What a user would not compute without generated images, beside the arms that show whether they help.
MAKING = ("scorer", "expansion_plan", "prior", "generator", "generator_onnx", "generated_images", "accepted_images",
          "mixed_dataset")  # fmt: skip


def collect_worth(
    inputs: Mapping[str, Path],
    verdict: Mapping[str, Any],
    settings: ReportSettings,
    *,
    generated: int,
    seconds: Mapping[str, float],
) -> dict[str, Any] | None:
    """`value_gains` of the verdict; None where the recipe does not ask.

    inputs: folders by stage. generated: images that passed the filters. seconds: of the stages that were run here.
    """
    if settings.worth is None:
        return None
    curve = LabelCurve.from_dict(read_json(inputs[CURVE] / LABEL_CURVE))
    made = [stage for stage in MAKING if stage in inputs]
    spent = sum(seconds[stage] for stage in made) if all(stage in seconds for stage in made) else None
    return value_gains(curve, verdict, generated=generated, prices=read_prices(settings.prices), seconds=spent)
