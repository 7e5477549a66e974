"""How often an image is shown: pure arithmetic, before anything is trained.

Optimizer steps are the budget, whatever the number of images. AdaInf shows each real image N times as often as a
generated one. Its code copies the index of a real image N times and passes through all (`count_passes`); here images
are drawn so that a batch has a share β of real ones (`count_visits`).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from ops.classifiers.sampling import real_share


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


@dataclass(frozen=True)
class Passes:
    """What passes through copied indices amount to, as in AdaInf's code.

    share : β. rows : of the index. steps_per_pass : of one pass. passes : in all steps. per_real, per_generated : how
    often each image is shown, if a pass showed every row. same_pairs : pairs of copies of one image in a batch, in the
    mean; without ids they are negatives of each other.
    """

    share: float
    rows: int
    steps_per_pass: int
    passes: float
    per_real: float
    per_generated: float | None
    same_pairs: float


def count_passes(
    real_images: int, generated_images: int, copies: int, *, steps: int, batch_size: int, ranks: int
) -> Passes:
    """N copies of each real image beside each generated one; every rank drops what is left of its part of a pass.

    batch_size : of a rank.
    """
    rows = copies * real_images + generated_images
    per_pass = math.ceil(rows / ranks) // batch_size
    passes = steps / per_pass
    together = ranks * batch_size
    pairs = Fraction(real_images * math.comb(copies, 2) * math.comb(together, 2), math.comb(rows, 2))
    return Passes(
        share=real_share(copies, real_images, generated_images),
        rows=rows,
        steps_per_pass=per_pass,
        passes=passes,
        per_real=copies * passes,
        per_generated=passes if generated_images else None,
        same_pairs=float(pairs),
    )
