"""Arms that learn from images without their labels: which they are, and what has no effect in them.

Their network learns to tell images by two views of each, and a logistic regression then learns the labels of the real
images from what it sees. The module knows settings alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ops.recipe.arms import Arm, NoAugmentation, Policy
from ops.recipe.ingredients.contrastive import ContrastiveTrainer
from ops.recipe.ingredients.trainers import ProbeTrainer
from ops.recipe.ingredients.views import Views
from ops.recipe.strength import JITTERED, find_standard, read_strength, weaken_labelled, weaken_views
from ops.settings.kinds import Kind

UNCHANGED = (NoAugmentation(), Policy())
CHANGES = ("jitter", "grey", "blur", "solarize", "flip")  # probabilities of what views change
IDLE = ("pairing", "sampler", "loss", "targets", "consistency", "variants", "unlabelled", "finish", "separate")


def is_contrastive(arm: Arm) -> bool:
    """Whether its network learns without labels."""
    return isinstance(arm.trainer, ContrastiveTrainer)


def find_batch(arm: Arm, batch_size: int) -> int:
    """Images of an optimizer step of the arm, where others have `batch_size`."""
    return arm.trainer.batch_size if isinstance(arm.trainer, ContrastiveTrainer) else batch_size


def find_largest_batch(arms: Iterable[Arm], batch_size: int) -> int | None:
    """The largest batch of all arms; None where it is `batch_size`, which arms without a batch of their own have."""
    largest = max((find_batch(arm, batch_size) for arm in arms), default=batch_size)
    return largest if largest > batch_size else None


def check_contrastive(arms: Mapping[str, Arm]) -> None:
    """ValueError for keys without effect in an arm that learns without labels, and for a strength without effect."""
    plain = Arm()
    for name, arm in arms.items():
        if is_contrastive(arm):
            if idle := [key for key in IDLE if getattr(arm, key) != getattr(plain, key)]:
                raise ValueError(
                    f"{idle[0]} has no effect in the arm {name!r}: trainer: {arm.trainer.kind} learns from views of"
                    " images without their labels; remove it"
                )
            if arm.augmentation in UNCHANGED or _shows_all(arm.augmentation):
                raise ValueError(
                    f"trainer: {arm.trainer.kind} of the arm {name!r} compares two views of an image, and with this"
                    " augmentation both are the image; remove the augmentation, or write augmentation: views"
                )
        if arm.strength is not None and not _is_followed(arm, read_strength(arm.strength)):
            raise ValueError(
                f"strength has no effect in the arm {name!r}, which says itself how images are augmented; remove it"
            )
        if arm.strength is not None and isinstance(arm.trainer, ProbeTrainer):
            raise ValueError(
                f"strength has no effect in the arm {name!r}: trainer: probe blends no images; name its augmentation"
            )


def _shows_all(augmentation: Kind) -> bool:
    """Whether views are the whole image, unchanged."""
    return isinstance(augmentation, Views) and all(
        getattr(augmentation, key) == (key == "crop") for key in ("crop", *CHANGES)
    )


def _is_followed(arm: Arm, strength: float) -> bool:
    """Whether anything in the arm is what its strength means."""
    if (standard := find_standard(arm.trainer)) is not None:
        views = arm.augmentation
        meant = weaken_views(strength, standard)
        moved = ("crop", *JITTERED)
        return (
            isinstance(views, Views)
            and views.preset is None
            and any(getattr(views, key) == meant[key] for key in moved)
        )
    labelled = Arm.model_validate(weaken_labelled(strength))
    blended = labelled.pairing.kind != "none" and arm.pairing == labelled.pairing
    return arm.augmentation == labelled.augmentation or blended
