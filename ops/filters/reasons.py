"""Why a generated image is rejected: the names, their order, and what people are told.

One list for the rules, the index, the funnel, the report and the card. It knows no thresholds and loads nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Twin = Literal["train", "generated", "held_out", "parent"]


@dataclass(frozen=True)
class Reason:
    """One reason: its name in the index, a phrase for people, and the column of the index that tells how strongly.

    `twin` says which image a rejected one resembles too much; its id is in the column `twin_column`.
    """

    name: str
    meaning: str
    score: str
    twin: Twin | None = None

    @property
    def twin_column(self) -> str:
        return "parent_id" if self.twin == "parent" else f"nearest_{self.twin}_id"

    @property
    def title(self) -> str:
        return self.name.replace("_", " ")


SURPLUS = "surplus"  # passed every rule, but its class was full: no fault of the image
REASONS: dict[str, Reason] = {
    reason.name: reason
    for reason in (
        Reason("unsafe", "a safety classifier calls it unsafe", "unsafe_probability"),
        Reason("blank", "hardly anything to see", "structure"),
        Reason("saturated", "too many pixels are at their darkest or brightest", "saturation"),
        Reason("wrong_label", "the scorer doubts its label", "label_probability"),
        Reason("clip_disagrees", "CLIP sees something else than its label", "clip_agreement"),
        Reason("atypical", "far from real images of its class, or made of something else", "typicality"),
        Reason("copy_of_train", "pixel by pixel a training image", "train_distance", "train"),
        Reason("near_copy_of_train", "almost a training image", "train_distance", "train"),
        Reason("near_copy_of_parent", "almost the image that it is a variant of", "parent_distance", "parent"),
        Reason("copy_of_held_out", "pixel by pixel a validation or test image", "held_out_distance", "held_out"),
        Reason("near_copy_of_held_out", "almost a validation or test image", "held_out_distance", "held_out"),
        Reason("repeat", "pixel by pixel an earlier generated image", "generated_distance", "generated"),
        Reason("near_repeat", "almost an earlier generated image of its class", "generated_distance", "generated"),
    )
}
COPYING = frozenset(name for name, reason in REASONS.items() if reason.twin)  # what tells nothing of quality
