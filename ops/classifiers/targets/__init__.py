"""The targets that an arm may learn: each is one line here."""

from ops.classifiers.ingredients import Targets
from ops.classifiers.targets.labels import OwnLabels
from ops.classifiers.targets.teacher import Teachers

TARGETS: dict[str, type[Targets]] = {"labels": OwnLabels, "teacher": Teachers}
