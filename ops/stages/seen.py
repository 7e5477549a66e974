"""What a prior has seen, for people: in the verdict, the report, the card and the UI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.files.outputs import PRIOR
from ops.files.storage import read_json


@dataclass(frozen=True)
class Seen:
    """The kind of a prior, the name of its pool, the number of images there, and their licence.

    weights: of a prior that learnt elsewhere, `model` and `licence` as the recipe names them; the pool then gave it no
    more than the scale of its latents.
    """

    kind: str
    pool: str
    images: int
    licence: str
    weights: Mapping[str, Any] | None = None

    @property
    def told(self) -> str:
        """`a prior that saw 5,000 unlabelled images of NAME`, and what it is if it learnt elsewhere."""
        name = "a prior" if self.weights is None else f"a prior that learnt elsewhere ({self.weights['model']}) and"
        that = " that" if self.weights is None else ""
        return f"{name}{that} saw {self.images:,} unlabelled image{'' if self.images == 1 else 's'} of {self.pool}"

    def disclose(self, labelled: int, seeing: Sequence[str] = ()) -> str:
        """What a verdict must say beside its decision: the two sides had not the same images.

        labelled: how many of the images were among the labelled training images as well. seeing: the arms without
        generated images that saw the pool too.
        """
        known = f"{labelled:,} of these, the labelled ones" if labelled else "none of these"
        if seeing:
            named = f"{', '.join(seeing[:-1])} and {seeing[-1]}" if len(seeing) > 1 else seeing[0]
            return (
                f" The generated images come from {self.told}; of the arms without generated images {named} learnt from"
                f" this pool too, and the others saw {known}."
            )
        return (
            f" The generated images come from {self.told}; the arms without generated images saw {known}, so a"
            " difference is that of the pool and the generator together."
            + ("" if self.weights is None else " What its weights learnt from is not known here.")
        )

    def to_dict(self) -> dict[str, Any]:
        facts = {"kind": self.kind, "pool": self.pool, "images": self.images, "licence": self.licence}
        return facts if self.weights is None else {**facts, "weights": dict(self.weights)}


def read_seen(prior: Path | None) -> Seen | None:
    """From the folder of the stage `prior`; None without a folder, or without a prior there."""
    found = {} if prior is None else read_json(prior / PRIOR)
    return Seen(**found) if found else None
