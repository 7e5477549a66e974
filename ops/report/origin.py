"""What a published dataset's card says of the origin of its generated images.

A generator was trained here or elsewhere, and a prior may have seen a pool. The statements follow from facts that are
told from outside; files, arms' scores and the rest of the card are not known here.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence

from ops.datasets.unlabelled import CLASS_NAME
from ops.stages.seen import Seen, list_names
from ops.stages.without_labels import WithoutLabels

# Of a generator that was trained here, of an imported one, and of an imported one that was fine-tuned here.
_TRAINED_HERE = {
    "trained": "trained on the real training images alone",
    "seen": "The generator, the filters and all settings saw train and validation only.",
    "licence": "The generated images come from a model\nthat was trained on nothing but these.",
}
_BROUGHT_IN = {
    "trained": "trained elsewhere, on what is not known here",
    "seen": "The filters and all settings saw train and\nvalidation only; what the generator saw is not known here.",
    "licence": "The generated images come from a model\nthat was trained elsewhere; which licence holds for them is not"
    " known here.",
}
_TUNED = {
    "trained": "trained elsewhere, on what is not known here,\nand fine-tuned on the real training images",
    "seen": "The fine-tuning, the filters and all settings saw\ntrain and validation only; what the generator saw"
    " before is not known here.",
    "licence": "The generated images come from a model\nthat was trained elsewhere and fine-tuned on these; the licence"
    " of its weights, as their owner states it: {licence}.",
}
_SAW_POOL = {
    "trained": "trained on {images}\nof {pool} without labels",
    "seen": "The prior saw no image of\nvalidation or test; the filters and all settings saw train and validation only."
    " {arms}. Copies of the pool's images were not searched for.",
    "licence": "The generated images come from a model\nthat was trained on the images of {pool}; their licence, as"
    " their owner states it: {licence}.",
}
_LABELLED_POOL = {
    "trained": "trained on the real training images and on\nthose of {images} of {pool} that a probe labelled",
    "seen": "The generator, its prior, the\nprobe, the filters and all settings saw train, validation and the pool"
    " alone, which holds no image of validation or test.\n{arms}. Copies of the pool's images were not searched for.",
    "licence": "The generated images come from a model\nthat was trained on these and on images of {pool}; their"
    " licence, as their owner states it: {licence}.",
}
_WITHOUT_LABELS = {
    "trained": "trained on {told},\nand saw no label",
    "seen": "The generator, the filters and\nall settings saw train and validation only. Images of {source} that are"
    " labelled too were left out.\n\n**Labels.** {images} real images of `train` and all generated ones have none."
    " Their class is `{name}`, the last\none, which stands for no class: leave them out of what learns from labels.",
    "licence": "The generated images come from a model\nthat was trained on these and on images of {source}; their"
    " licence, as their owner states it: {licence}.",
}
_LICENSED = (
    "The generated images come from a model\nthat was trained elsewhere; the licence of its weights, as their owner"
    " states it: {licence}."
)
_SCALED_BY_POOL = {
    "trained": "trained elsewhere, on what is not known here,\nand scaled by {images} of {pool} without labels",
    "seen": "The filters and all settings saw train and\nvalidation only; what the prior saw elsewhere is not known"
    " here. {arms}.",
    "licence": _LICENSED,
}
# Of variants, after `trained`: what each of them was made of.
_VARIED = ", each as a variant of a\nreal training image (column `parent_id`)"
_MARKS = re.compile(r"([\\`*_\[\]|~])")


def find_origin(
    trained_here: bool,
    refused: Mapping[str, str] | None = None,
    seen: Seen | None = None,
    weights: str | None = None,
    tuned: bool = False,
    seeing: Sequence[str] = (),
    without: tuple[WithoutLabels, str] | None = None,
) -> dict[str, str]:
    """The card's statements on the origin of generated images, for a generator that was trained here or imported.

    refused: why classes got no variants, by their names; None where the images are not variants. seen: what the prior
    saw that drew them; None where none did. weights: the licence of weights that were brought in, where it is known;
    tuned: whether they were then fine-tuned on the real training images. seeing: arms without generated images that saw
    the prior's pool too. without: the images without labels that were expanded, and their licence.
    """
    said = _TRAINED_HERE if trained_here else _BROUGHT_IN
    if weights is not None:
        said = _TUNED if tuned else said | {"licence": _LICENSED}
        said = said | {"licence": said["licence"].format(licence=escape_text(weights))}
    if seen is not None:
        origin = _LABELLED_POOL if seen.labels else _SAW_POOL
        facts = {"images": f"{seen.images:,} images", "pool": escape_text(seen.pool), "arms": _tell_seeing(seeing)}
        told, licence = origin, seen.licence
        if seen.weights is not None:
            told, licence = _SCALED_BY_POOL, str(seen.weights["licence"])
        said = {key: text.format(**facts, licence=escape_text(licence)) for key, text in told.items()}
    if without is not None:
        found, licence = without
        facts = {"told": escape_text(found.told), "images": f"{found.images:,}", "source": escape_text(found.source)}
        facts |= {"name": CLASS_NAME, "licence": escape_text(licence)}
        said = {key: text.format(**facts) for key, text in _WITHOUT_LABELS.items()}
    if refused is None:
        return said
    classes = "; ".join(f"{escape_text(name)}: {why}" for name, why in refused.items())
    bare = f"\n\nWithout generated images, because the gate refused their variants: {classes}." if refused else ""
    return said | {"trained": said["trained"] + _VARIED, "seen": said["seen"] + bare}


def _tell_seeing(seeing: Sequence[str]) -> str:
    """What the arms without generated images learnt from, where a prior saw a pool."""
    if not seeing:
        return "The arms without generated images\nlearnt from the labelled images alone"
    named = escape_text(list_names(seeing))
    return (
        f"Of the arms without generated images\n{named} learnt from the pool too, and the others from the labelled"
        " images alone"
    )


def escape_text(text: str) -> str:
    """A user's text for one line of Markdown: HTML and Markdown characters in it are escaped."""
    return _MARKS.sub(r"\\\1", html.escape(" ".join(text.split()), quote=False))
