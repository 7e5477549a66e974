"""The reasons to reject a generated image: their names, their order, and a phrase for each.

One list for the rules, the index, the funnel, the report and the card. It knows no thresholds and loads nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Original = Literal["train", "generated", "held_out", "parent"]


@dataclass(frozen=True)
class Reason:
    """One reason: its name in the index, a phrase for people, and the index's column with the score behind it.

    `original` is the kind of image that a rejected one resembles too much; its id is in the column `original_column`.
    """

    name: str
    meaning: str
    score: str
    original: Original | None = None

    @property
    def original_column(self) -> str:
        return "parent_id" if self.original == "parent" else f"nearest_{self.original}_id"

    @property
    def title(self) -> str:
        return self.name.replace("_", " ")


WRONG_LABEL = "wrong_label"
SURPLUS = "surplus"  # the image breaks no rule, but its class was full
REASONS: dict[str, Reason] = {
    reason.name: reason
    for reason in (
        Reason("unsafe", "a safety classifier calls it unsafe", "unsafe_probability"),
        Reason("blank", "hardly anything to see", "structure"),
        Reason("saturated", "too many pixels are at their darkest or brightest", "saturation"),
        Reason(WRONG_LABEL, "the scorer doubts its label", "label_probability"),
        Reason("clip_disagrees", "CLIP sees something else than its label", "clip_agreement"),
        Reason(
            "atypical", "far from real images of its class, or its texture is unlike that of real images", "typicality"
        ),
        Reason("copy_of_train", "pixel by pixel a training image", "train_distance", "train"),
        Reason("near_copy_of_train", "almost a training image", "train_distance", "train"),
        Reason("near_copy_of_parent", "almost the image that it is a variant of", "parent_distance", "parent"),
        Reason("copy_of_held_out", "pixel by pixel a validation or test image", "held_out_distance", "held_out"),
        Reason("near_copy_of_held_out", "almost a validation or test image", "held_out_distance", "held_out"),
        Reason("repeat", "pixel by pixel an earlier generated image", "generated_distance", "generated"),
        Reason("near_repeat", "almost an earlier generated image of its class", "generated_distance", "generated"),
    )
}
DUPLICATION = frozenset(name for name, reason in REASONS.items() if reason.original)  # not about quality
