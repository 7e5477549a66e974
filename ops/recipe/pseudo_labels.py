"""The section `pseudo_labels` of a generator: labels for the prior's pool, so that the generator learns from it too."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ops.settings.section import Count, Section

Share = Annotated[float, Field(gt=0, lt=1)]


class PseudoLabelSettings(Section):
    """A probe on the prior's features gives the pool's images labels; the surest of each class are learnt from."""

    per_class: Count | None = Field(
        None,
        description="most images of the pool that each class takes; null: those of the pool divided by the number of"
        " classes",
    )
    noise: tuple[Share, ...] = Field(
        (0.1, 0.3, 0.5),
        strict=False,
        min_length=1,
        max_length=8,
        description="shares of noise at which the prior's blocks are probed; validation chooses one, and a block",
    )
