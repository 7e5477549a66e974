"""The columns of imagined.parquet: how each imagined image came about.

| column | holds |
|---|---|
| image_id, parent_id, k | the image, its seed image, its number |
| mode, target | what made it (the mode in effect), and the class that was to be kept |
| draw | the number of the draw that it is: k, but for `overdraw`, which keeps some of the draws |
| z_moved, b_moved | Euclidean length of the ascent's way from the perturbation as it was drawn |
| z_before, b_before, z_after, b_after | the perturbation as it was drawn, and after the ascent; lists, if it is short |
| consistency, entropy, diversity, total, each `_before` and `_after` | the scores without their weights, and weighted |
| clamped | share in 0..1 of the latent's elements that the ball holds back |
| slope | length of the score's gradient at the start |
| prompt | the text that it was varied under, of a prior that is told one |
| flagged | whether the prior's own safety checker flags it, where that looks; the image is black then |

`before` is what the perturbation would have given as it was drawn; with `overdraw`, the mean over the draws that the
variant was chosen from.

A perturbation of more than MOST_NUMBERS numbers is stored where the four lists take no more room than the image's
pixels, as an embedding's beside a large image; else only how far it moved. The perturbation as it was drawn follows
from the run's seed, the seed image and the variant's number
(`ops.imagination.perturbation.draw_perturbation`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ops.generators.drawers import FLAGGED, PROMPT
from ops.imagination.blocks import Block
from ops.imagination.criteria import Scores
from ops.imagination.perturbation import Perturbation

MOST_NUMBERS = 64  # of z that are stored for a variant, however small it is
BYTES = 16  # of four float32 for each of these numbers


def list_columns(
    block: Block, parent: str, first: int, mode: str, prompts: Sequence[str] | None = None, *, checked: bool = False
) -> dict[str, np.ndarray]:
    """All columns but image_id, for the variants `first` and on of the seed image `parent`; [n] or [n, d] each.

    prompts : of the draws that were kept, of a prior that is told texts. checked : whether a checker has looked.
    """
    variants, count = block.variants, len(block.variants)
    columns = {
        "parent_id": np.full(count, parent),
        "k": np.arange(first, first + count, dtype=np.int64),
        "mode": np.full(count, mode),
        "target": np.full(count, variants.target, np.int64),
        "draw": block.numbers.numpy().astype(np.int64),
    }
    for name, start, end in zip("zb", variants.start, variants.end, strict=True):
        columns[f"{name}_moved"] = (end - start).flatten(1).norm(dim=1).numpy()
    if variants.start.z[0].numel() <= max(MOST_NUMBERS, variants.images[0].numel() // BYTES):
        for when, moved in (("before", variants.start), ("after", variants.end)):
            columns |= _flatten(moved, when)
    for when, scores in (("before", variants.before), ("after", variants.after)):
        columns |= _name_scores(scores, when)
    columns |= {"clamped": variants.clamped.numpy(), "slope": variants.slope.numpy()}
    if prompts is not None:
        columns[PROMPT] = np.array(prompts)
    if checked:
        columns[FLAGGED] = variants.flagged.numpy()
    return columns


def _flatten(moved: Perturbation, when: str) -> dict[str, np.ndarray]:
    return {f"{name}_{when}": values.flatten(1).numpy() for name, values in moved._asdict().items()}


def _name_scores(scores: Scores, when: str) -> dict[str, np.ndarray]:
    return {f"{name}_{when}": values.numpy() for name, values in scores._asdict().items()}
