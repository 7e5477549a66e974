"""The pairings that an arm may name: each is one line here."""

from ops.classifiers.ingredients import Pairing
from ops.classifiers.pairings.cutmix import PastedPairs
from ops.classifiers.pairings.mixup import MixedPairs
from ops.classifiers.pairings.none import Unpaired
from ops.classifiers.pairings.samplepairing import AveragedPairs

PAIRINGS: dict[str, type[Pairing]] = {
    "none": Unpaired,
    "mixup": MixedPairs,
    "cutmix": PastedPairs,
    "samplepairing": AveragedPairs,
}
