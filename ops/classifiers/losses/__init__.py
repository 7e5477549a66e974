"""The losses that an arm may name: each is one line here."""

from ops.classifiers.ingredients import Loss
from ops.classifiers.losses.class_weighted import ClassWeighted
from ops.classifiers.losses.effective_number import EffectivelyWeighted
from ops.classifiers.losses.focal import Focal
from ops.classifiers.losses.ldam import Ldam
from ops.classifiers.losses.logit_adjusted import LogitAdjusted
from ops.classifiers.losses.plain import CrossEntropy

LOSSES: dict[str, type[Loss]] = {
    "plain": CrossEntropy,
    "class_weighted": ClassWeighted,
    "effective_number": EffectivelyWeighted,
    "logit_adjusted": LogitAdjusted,
    "ldam": Ldam,
    "focal": Focal,
}
