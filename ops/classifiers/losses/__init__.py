"""The losses that an arm may name: each is one line here."""

from ops.classifiers.ingredients import Loss
from ops.classifiers.losses.class_weighted import ClassWeighted
from ops.classifiers.losses.plain import CrossEntropy

LOSSES: dict[str, type[Loss]] = {"plain": CrossEntropy, "class_weighted": ClassWeighted}
