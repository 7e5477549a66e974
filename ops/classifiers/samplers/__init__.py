"""The samplers that an arm may name: each is one line here."""

from ops.classifiers.ingredients import Sampler
from ops.classifiers.samplers.class_balanced import ClassBalanced
from ops.classifiers.samplers.effective_number import EffectiveNumber
from ops.classifiers.samplers.square_root import SquareRoot
from ops.classifiers.samplers.uniform import Uniform

SAMPLERS: dict[str, type[Sampler]] = {
    "uniform": Uniform,
    "class_balanced": ClassBalanced,
    "square_root": SquareRoot,
    "effective_number": EffectiveNumber,
}
