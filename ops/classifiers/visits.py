"""How often an image is shown: pure arithmetic, before anything is trained.

Optimizer steps are the budget, whatever the number of images. AdaInf shows each real image N times as often as a
generated one. Its code copies the index of a real image N times and passes through all; here images are drawn so that a
batch has a share β of real ones.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any


def count_mixed(finish: float, steps: int) -> int:
    """Steps before the last share `finish`, which shows real images alone; one at least."""
    return max(1, steps - math.ceil(round(finish * steps, 9)))


@dataclass(frozen=True)
class Visits:
    """What a training shows.

    share : β. per_real, per_generated : how often each image is shown, in the mean; None without generated images.
    real_per_batch : the fewest and the most real images of a batch; None where they are left to chance.
    views : of an image each time.
    """

    real_images: int
    generated_images: int
    share: float
    steps: int
    batch_size: int
    per_real: float
    per_generated: float | None
    real_per_batch: tuple[int, int] | None = None
    views: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        found = asdict(self)
        for key in ("share", "per_real", "per_generated"):
            found[key] = None if found[key] is None else round(found[key], 6)
        return found | {"real_per_batch": None if self.real_per_batch is None else list(self.real_per_batch)}

    def describe(self, arm: str) -> str:
        """`adainf: each of 100 real images is shown 20.5 times and each of 200 generated ones 2.05 times (β 0.833)`."""
        shown = f"{arm}: each of {self.real_images:,} real images is shown {self.per_real:.4g} times"
        if self.per_generated is None:
            return shown
        return (
            f"{shown} and each of {self.generated_images:,} generated ones {self.per_generated:.4g} times"
            f" (β {self.share:.3g})"
        )


def count_visits(
    real_images: int,
    generated_images: int,
    share: float,
    *,
    steps: int,
    batch_size: int,
    mixed_steps: int | None = None,
) -> Visits:
    """Visits where a share β of what is shown is real; mixed_steps: those before real images come alone; None: all.

    >>> count_visits(50_000, 1_000_000, 1 / 3, steps=100_000, batch_size=512).per_real
    341.3333333333333
    """
    if generated_images == 0:
        share = 1.0
    shown = steps * batch_size
    mixed = (steps if mixed_steps is None else mixed_steps) * batch_size
    real = share * mixed + (shown - mixed)
    per_generated = (1 - share) * mixed / generated_images if generated_images else None
    return Visits(real_images, generated_images, share, steps, batch_size, real / real_images, per_generated)
