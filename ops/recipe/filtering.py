"""The section `filter` of a recipe: which rules reject generated images, and where each of them cuts."""

from __future__ import annotations

from pydantic import Field

from ops.recipe.pretrained import ClipSettings, ExtractorSettings, SafetySettings
from ops.settings.cut import Cut
from ops.settings.section import Section


class FilterSettings(Section):
    """Which generated images are rejected, beside exact copies and repeats, which always are.

    A number is the share of held-out real images that the rule may reject: its thresholds follow from that, class by
    class, from the classes together where a class has too few.
    """

    wrong_label: Cut | None = Field(
        Cut(real_rejected=0.1), description="the scorer's probability of the image's own label is low"
    )
    atypical: Cut | None = Field(
        Cut(real_rejected=0.01),
        description="it lies far from the images of its class in the scorer's features, or its texture is that of no"
        " real image; each may reject half of the share; `threshold` is one of the features, and texture is not asked",
    )
    near_copy: Cut | None = Field(
        Cut(real_rejected=0.01),
        description="it lies nearer to a real image than held-out real images do, compared with how near to another"
        " one that image lies itself",
    )
    near_parent: Cut | None = Field(
        None,
        description="of variants of real images: it lies nearer to its own parent than held-out real images do to any"
        " training image; null: no nearness to the parent is too near",
    )
    near_repeat: Cut | None = Field(
        Cut(real_rejected=0.01), description="so near to an earlier generated image of its class"
    )
    blank: Cut | None = Field(
        Cut(real_rejected=0.001), description="it shows less than half as much as the emptiest real images do"
    )
    saturated: Cut | None = Field(
        Cut(real_rejected=0.001),
        description="its share of black and white pixels is nearer to all than to any real image's",
    )
    clip: ClipSettings | None = Field(None, description="a CLIP that is asked whether an image fits its class's name")
    safety: SafetySettings | None = Field(None, description="a classifier of unsafe images; null: not checked")
    extractor: ExtractorSettings | None = Field(
        None, description="a network in whose features the accepted set is measured too; it rejects nothing"
    )
