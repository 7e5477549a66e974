"""The numbers and words of the medical profile of imagination, for images in which a style, a wide variation or a
mirroring may change the finding. `ops.recipe.profiles` applies them.

The numbers are those of published runs on medical images (GIF at 554e608: radius 0.5 on OrganSMNIST, 0.1 on PathMNIST
and BreastMNIST; strength 0.4 on OrganSMNIST, though 0.9 on the others, with a prior fine-tuned on them; DistDiff, arXiv
2403.06741: strength 0.2). GIF's own medical runs kept adjectives such as "colorful" in their prompts, and mirrored seed
images although left and right are classes of OrganSMNIST.
"""

from __future__ import annotations

MEDICAL = "medical"
STRENGTH, MOST_STRENGTH = 0.2, 0.4  # where a recipe has none, and at most
RADIUS, MOST_RADIUS = 0.1, 0.5  # in an L∞ ball
MOST_HIDDEN = 0.1  # of a seed image's patches, which a prior of kind mae invents whatever the strength; no run gave it
STYLE_WORDS = (  # GIF's adjectives and domains, and words like them
    "colorful", "colourful", "stylized", "stylised", "high-contrast", "low-contrast", "posterized", "posterised",
    "solarized", "solarised", "sheared", "bright", "dark", "cartoon", "painting", "sketch", "drawing", "artistic",
)  # fmt: skip
