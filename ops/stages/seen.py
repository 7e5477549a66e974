"""What a prior has seen, for people: in the verdict, the report, the card and the UI.

Whether a generator learnt from the prior's pool too, its config.json says (`ops.generators.folder.PSEUDO`). The stage
generated_images records it in its rounds.json, so that later stages need not read the generator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.files.outputs import PRIOR, ROUNDS
from ops.files.storage import read_json

LEARNT_FROM_POOL = "pseudo_labelled"  # the key in rounds.json


@dataclass(frozen=True)
class Seen:
    """The kind of a prior, the name of its pool, the number of images there, and their licence.

    weights: of a prior that learnt elsewhere, `model` and `licence` as the recipe names them; the pool then gave it no
    more than the scale of its latents. labels: whether a generator was trained that learnt from the pool with labels of
    a probe; else the prior draws.
    """

    kind: str
    pool: str
    images: int
    licence: str
    weights: Mapping[str, Any] | None = None
    labels: bool = False

    @property
    def told(self) -> str:
        """`a prior that saw 5,000 unlabelled images of NAME`, and what it is if it learnt elsewhere."""
        saw = f"saw {self.images:,} unlabelled image{'' if self.images == 1 else 's'} of {self.pool}"
        if self.labels:
            return f"a generator whose prior {saw}, and that learnt from those that a probe labelled"
        if self.weights is not None:
            return f"a prior that learnt elsewhere ({self.weights['model']}) and {saw}"
        return f"a prior that {saw}"

    def disclose(self, labelled: int, seeing: Sequence[str] = ()) -> str:
        """What a verdict must say beside its decision: the two sides had not the same images.

        labelled: how many of the images were among the labelled training images as well. seeing: the arms without
        generated images that saw the pool too.
        """
        known = f"{labelled:,} of these, the labelled ones" if labelled else "none of these"
        elsewhere = "" if self.weights is None else " What its weights learnt from is not known here."
        if seeing:
            return (
                f" The generated images come from {self.told}; of the arms without generated images"
                f" {list_names(seeing)} learnt from this pool too, and the others saw {known}.{elsewhere}"
            )
        return (
            f" The generated images come from {self.told}; the arms without generated images saw {known}, so a"
            f" difference is that of the pool and the generator together.{elsewhere}"
        )

    def to_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {"kind": self.kind, "pool": self.pool, "images": self.images, "licence": self.licence}
        if self.weights is not None:
            found["weights"] = dict(self.weights)
        return {**found, "pseudo_labels": True} if self.labels else found


def list_names(names: Sequence[str]) -> str:
    """`a`, `a and b` or `a, b and c`."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def read_seen(prior: Path | None, generated_images: Path | None = None) -> Seen | None:
    """From the folder of the stage `prior`; None without a folder, or without a prior there.

    generated_images : folder of that stage; without it nothing is known of a generator beside the prior.
    """
    found = {} if prior is None else read_json(prior / PRIOR)
    if not found:
        return None
    labels = generated_images is not None and LEARNT_FROM_POOL in read_json(generated_images / ROUNDS)
    return Seen(**found, labels=labels)
