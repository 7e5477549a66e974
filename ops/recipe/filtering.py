"""The section `filter` of a recipe: the rules that reject generated images, and the cutoff of each."""

from __future__ import annotations

from pydantic import Field

from ops.recipe.pretrained import ClipSettings, ExtractorSettings, SafetySettings
from ops.settings.cut import Cut
from ops.settings.section import Section


class FilterSettings(Section):
    """Which generated images are rejected. Exact copies and exact repeats are always rejected.

    A number is the share of held-out real images that the rule may reject. It sets a threshold for each class; classes
    with too few held-out images take theirs from all classes together.
    """

    wrong_label: Cut | None = Field(
        Cut(real_rejected=0.1), description="the scorer's probability of the image's own label is low"
    )
    atypical: Cut | None = Field(
        Cut(real_rejected=0.01),
        description="it is far from the images of its class in the scorer's features, or its texture is unlike that of"
        " any real image; each check may reject half of the share; with `threshold` only the features are checked",
    )
    near_copy: Cut | None = Field(
        Cut(real_rejected=0.01),
        description="it is nearer to a real image than held-out real images are, relative to how near that real image"
        " is to another one",
    )
    near_parent: Cut | None = Field(
        None,
        description="for variants of real images: it is nearer to its own parent than held-out real images are to any"
        " training image; null: variants may be as near to their parent as they are",
    )
    near_repeat: Cut | None = Field(
        Cut(real_rejected=0.01), description="it is too near to an earlier generated image of its class"
    )
    blank: Cut | None = Field(
        Cut(real_rejected=0.001), description="its contrast is below half of that of the faintest real images"
    )
    saturated: Cut | None = Field(
        Cut(real_rejected=0.001),
        description="its share of black and white pixels is more than halfway from the highest share in real images to"
        " 100 %",
    )
    clip: ClipSettings | None = Field(
        None, description="a CLIP that checks whether an image fits the name of its class; null: not checked"
    )
    safety: SafetySettings | None = Field(None, description="a classifier of unsafe images; null: not checked")
    extractor: ExtractorSettings | None = Field(
        None, description="a further network whose features the metrics of the accepted set use; it rejects nothing"
    )
