"""The trainers that an arm may name: each is one line here. A trainer turns a training into a network."""

from collections.abc import Callable

from ops.classifiers.contrastive.methods import METHODS
from ops.classifiers.ingredients import Training
from ops.classifiers.networks.classifier import Classifier
from ops.classifiers.trainers.contrastive import fit_contrastive
from ops.classifiers.trainers.fine_tuned import fit_fine_tuned
from ops.classifiers.trainers.probe import fit_probe
from ops.classifiers.trainers.refitted import fit_feature_diffusion, fit_refitted
from ops.classifiers.trainers.supervised import fit_supervised

TRAINERS: dict[str, Callable[[Training], Classifier]] = {
    "supervised": fit_supervised,
    "refitted": fit_refitted,
    "feature_diffusion": fit_feature_diffusion,
    "probe": fit_probe,
    "fine_tuned": fit_fine_tuned,
    **dict.fromkeys(METHODS, fit_contrastive),
}
