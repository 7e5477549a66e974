"""Images without labels that an expansion grows, for people: in the verdict, the report, the card and the UI.

Where they lie is told by `ops.datasets.unlabelled`, and who learns from them by the arms.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ops.datasets.unlabelled import find_growing, has_unlabelled
from ops.files.manifests import read_manifest


@dataclass(frozen=True)
class WithoutLabels:
    """The source of the images without labels, how many are used, the labelled training images beside them, and how
    many images of that source are left out because they are labelled too."""

    source: str
    images: int
    labelled: int
    left_out: int

    @property
    def told(self) -> str:
        """`2,000 images of NAME without labels and 100 labelled ones`."""
        return (
            f"{self.images:,} image{'' if self.images == 1 else 's'} of {self.source} without labels and"
            f" {self.labelled:,} labelled one{'' if self.labelled == 1 else 's'}"
        )

    def disclose(self) -> str:
        """What a verdict says beside its decision."""
        return (
            f" The generator and the arms that learn without labels saw {self.told}; every other arm, and each probe,"
            f" learnt from the {self.labelled:,} labelled images alone."
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def read_without_labels(real_images: Path) -> WithoutLabels | None:
    """From the folder of the stage real_images; None where all images are labelled."""
    if not has_unlabelled(real_images):
        return None
    counts = read_manifest(find_growing(real_images))["metrics"]
    name = read_manifest(real_images)["settings"]["data"]["unlabelled"]
    return WithoutLabels(name, counts["unlabelled"], counts["labelled"], counts["left_out"])
