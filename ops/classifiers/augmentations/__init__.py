"""The augmentations that an arm may name: each is one line here."""

from ops.classifiers.augmentations.cutout import HiddenSquare
from ops.classifiers.augmentations.flip_crop import FlipAndCrop
from ops.classifiers.augmentations.gridmask import HiddenGrid
from ops.classifiers.augmentations.none import Unchanged
from ops.classifiers.augmentations.policy import ComposedPolicy
from ops.classifiers.augmentations.randaugment import RandomOperations
from ops.classifiers.augmentations.views import ContrastViews
from ops.classifiers.ingredients import Augmentation

AUGMENTATIONS: dict[str, type[Augmentation]] = {
    "none": Unchanged,
    "flip_crop": FlipAndCrop,
    "policy": ComposedPolicy,
    "randaugment": RandomOperations,
    "cutout": HiddenSquare,
    "gridmask": HiddenGrid,
    "views": ContrastViews,
}
