"""What a good variant is: it keeps the class of its seed image, adds information, and differs from its siblings.

    S = λ_con s'_j + λ_ent (H(s') - H(s)) + λ_div D(φ'_1, ..., φ'_K)        H(p) = -Σ p ln p

s and s' are the scorer's probabilities on the seed image and on the variant, j is the class to keep, φ' are features
of length 1. GIF sets every λ to 1 and takes the scorer's own prediction for j.

Two facts decide how these numbers are to be read.

**The optimum of the first two terms does not keep the class by itself.** Over all probability vectors, λ_con p_j +
λ_ent H(p) is greatest where p_k ∝ exp(λ_con [k = j] / λ_ent). With λ_con = λ_ent that is p_j = e / (e + C - 1): 0.23 of
10 classes, 0.027 of 100. A variant that climbs far enough ends there. p_j ≥ q at the optimum needs

    λ_con ≥ λ_ent ln( q (C - 1) / (1 - q) ),

which is ln(C - 1) for q = 1/2 (`find_consistency`). Where λ_con is smaller, the class is kept by the ball, by few steps
and by the prior, and not by the score.

**Diversity as GIF writes it hardly counts.** A softmax over the d entries of a vector of length 1 is almost uniform, so
the divergence from the mean is about |φ' - φ̄|² / 2d: 1e-5 to 1e-4 at d = 512, against numbers of order 1. A
temperature t multiplies it by 1 / t² as long as the softmax stays flat; the cosine form does not depend on d.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ops.imagination.protocols import Answer

Form = Literal["kl_from_mean", "kl_to_mean", "cosine"]


@dataclass(frozen=True)
class Criteria:
    """The terms of the score and their weights.

    target : the class to keep, the seed image's "label" or the scorer's "prediction" on it.
    consistency : λ_con; None stands for the least that keeps the class probable, `find_consistency` of `entropy`.
    entropy, diversity : λ_ent and λ_div.
    form : of D, with p = softmax(φ / temperature): "kl_from_mean" is KL(p̄ ‖ p'), the release's; "kl_to_mean" is
        KL(p' ‖ p̄), the paper's; "cosine" is 1 - cos(φ', φ̄), without a temperature. p̄ is that of the mean feature.
    """

    target: Literal["label", "prediction"] = "label"
    consistency: float | None = 1.0
    entropy: float = 1.0
    diversity: float = 1.0
    form: Form = "kl_from_mean"
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"the temperature must be above 0, not {self.temperature}")
        if self.form == "cosine" and self.temperature != 1.0:
            raise ValueError("a temperature has no effect on diversity in its cosine form")


class Scores(NamedTuple):
    """The terms of n variants, float32 [n] each, without their weights, and the weighted `total`.

    consistency : s'_j in 0..1. entropy : H(s') - H(s) in nats. diversity : D, 0 or more up to rounding.
    """

    consistency: Tensor
    entropy: Tensor
    diversity: Tensor
    total: Tensor

    def take(self, rows: Tensor | slice) -> Scores:
        """Some of the variants."""
        return Scores(*(term[rows] for term in self))


def rate(answer: Answer, seed: Answer, target: int, criteria: Criteria, earlier: Tensor | None = None) -> Scores:
    """The scores of the n variants of one seed image, which are one group.

    Parameters
    ----------
    answer : on the variants, n rows.
    seed : on the seed image, one row; it is a constant.
    target : the class to keep.
    earlier : features [m, d] of other variants that the mean includes, as constants.
    """
    logs = answer.log_probabilities
    consistency = logs[:, target].exp()
    gain = measure_entropy(logs) - measure_entropy(seed.log_probabilities.detach())
    spread = measure_diversity(answer.features, criteria.form, criteria.temperature, earlier)
    keeping = criteria.consistency
    if keeping is None:
        keeping = find_consistency(logs.shape[1], criteria.entropy)
    total = keeping * consistency + criteria.entropy * gain + criteria.diversity * spread
    return Scores(consistency, gain, spread, total)


def find_target(seed: Answer, label: int, criteria: Criteria) -> int:
    """The class to keep, of a seed image with a label and the scorer's answer on it, one row.

    ValueError for a label that is not one of the scorer's classes.
    """
    classes = seed.log_probabilities.shape[1]
    if not 0 <= label < classes:
        raise ValueError(f"the label {label} is not one of the scorer's {classes} classes")
    return label if criteria.target == "label" else int(seed.log_probabilities[0].argmax())


def find_consistency(classes: int, entropy: float = 1.0, probability: float = 0.5) -> float:
    """The least λ_con at which the optimum of λ_con p_j + λ_ent H(p) has p_j >= `probability`; at least 1.

    >>> round(find_consistency(100), 2), round(find_consistency(9), 2), find_consistency(2)
    (4.6, 2.08, 1.0)
    """
    return max(1.0, entropy * math.log(probability * max(classes - 1, 1) / (1 - probability)))


def measure_entropy(log_probabilities: Tensor) -> Tensor:
    """H(p) = -Σ p ln p of each row of finite log-probabilities [n, K], in nats, [n]."""
    return -(log_probabilities.exp() * log_probabilities).sum(1)


def measure_diversity(features: Tensor, form: Form, temperature: float = 1.0, earlier: Tensor | None = None) -> Tensor:
    """How much each of the features [n, d] differs from their mean, [n]; its mean over the group is GIF's S_div.

    It is exactly 0, with a gradient of 0, for one variant alone: a sign step would make ±1 of any rounding error.
    """
    group = features if earlier is None else torch.cat([earlier.detach(), features])
    if len(group) == 1:
        return (features * 0).sum(1)
    mean = group.mean(dim=0, keepdim=True)
    if form == "cosine":
        return 1 - F.cosine_similarity(features, mean, dim=1)
    own, common = (torch.log_softmax(value / temperature, dim=1) for value in (features, mean))
    if form == "kl_from_mean":
        return (common.exp() * (common - own)).sum(1)
    return (own.exp() * (own - common)).sum(1)
