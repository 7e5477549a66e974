"""The pairings that an arm may name: each is one line here."""

from ops.classifiers.ingredients import Pairing
from ops.classifiers.pairings.mixup import MixedPairs
from ops.classifiers.pairings.none import Unpaired

PAIRINGS: dict[str, type[Pairing]] = {"none": Unpaired, "mixup": MixedPairs}
