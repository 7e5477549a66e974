"""A guide knows one seed image and can say of any perturbation what it is worth and which way is up.

Diversity couples all variants of a group, so the naive gradient keeps the decoder's activations of the whole group.
The score sees a variant only through its features φ_i and log-probabilities l_i, and these are small. So the gradient
is found in three steps, as in gradient caching (Gao et al. 2021, arXiv 2101.06983):

    1. φ_i, l_i of all variants, a few at a time and without gradients;
    2. ∂S/∂φ_i and ∂S/∂l_i, on the small numbers alone;
    3. again a few at a time: ∂S/∂z_i = (∂φ_i/∂z_i)ᵀ ∂S/∂φ_i + (∂l_i/∂z_i)ᵀ ∂S/∂l_i.

The gradient is exact, memory does not grow with K, and the price is one more forward pass, which is saved where the
group fits into one call or diversity has no weight.

**Bits.** Kernels may round differently for batches of another size. Therefore every call of prior and scorer gets the
same number of rows, all of one seed image and in order, the last call being filled up. Neither other seed images nor
their order nor the number of workers can change a bit. Another number of rows can, in the last digits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ops.generators.units import Unit
from ops.imagination.criteria import Scores, find_target, rate
from ops.imagination.perturbation import Perturbation
from ops.imagination.presets import Preset, find_statistics
from ops.imagination.projection import project
from ops.imagination.protocols import (
    Answer,
    CheckedPrior,
    Prior,
    RenderingPrior,
    Request,
    Scorer,
    SettlingPrior,
    StartingPrior,
    Statistics,
)


class NotFinite(ValueError):
    """A latent or a gradient is infinite or not a number, so that a step would go anywhere, or nowhere by its sign."""


class GuideSlope(NamedTuple):
    """The gradient of the group's summed score with respect to z and b, and the answer at the scored points."""

    gradient: Perturbation
    answer: Answer


@dataclass(frozen=True, eq=False)
class Guide:
    """Scores variants of the seed image `unit`.

    seed : the scorer's answer on it, one row. target : the class to keep. statistics : what replaces the scorer's
    normalisation of variants. rows : variants in each call of prior and scorer. clean : the seed image's latent, for a
    `SettlingPrior`. requests : of the variants whose latents the methods are given, row by row, for a `StartingPrior`.
    """

    prior: Prior
    scorer: Scorer
    preset: Preset
    unit: Unit
    seed: Answer
    target: int
    statistics: Statistics | None
    rows: int
    clean: Tensor | None = None
    requests: tuple[Request, ...] = ()

    def finish(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """The finished images of latents [n, ...], without gradients, and which of them a checker flags, bool [n]."""
        with torch.no_grad():
            found = [self._finish(latents[part], part) for part in cut(len(latents), self.rows)]
        images, flagged = (torch.cat(parts) for parts in zip(*found, strict=True))
        return images, flagged

    def judge(self, latents: Tensor, images: Tensor | None = None) -> Answer:
        """The scorer's answer on latents [n, ...], without gradients; `images` saves it decoding them again."""
        with torch.no_grad():
            return _join(
                [
                    self._judge(latents[part], part, None if images is None else images[part])
                    for part in cut(len(latents), self.rows)
                ]
            )

    def rate(self, answer: Answer, earlier: Tensor | None = None) -> Scores:
        """The scores of a group's answer; see `ops.imagination.criteria.rate`."""
        return rate(answer, self.seed, self.target, self.preset.criteria, earlier)

    def place(self, latents: Tensor, perturbation: Perturbation) -> Tensor:
        """f' of latents f [n, ...], in the ball, as the decoder can read it."""
        return self._settle(self.project(latents, perturbation), latents)

    def project(self, latents: Tensor, perturbation: Perturbation) -> Tensor:
        """f' in the ball, before a `SettlingPrior` settles it."""
        return project(perturbation.apply(latents), latents, self.preset.ball)

    def find_slope(self, latents: Tensor, perturbation: Perturbation, earlier: Tensor | None = None) -> GuideSlope:
        """The slope of a group, with latents f [n, ...], where the preset takes its score.

        It is that of the sum over the group, so that a variant's own terms do not weigh less in a large one.
        `NotFinite` if it is not finite.
        """
        parts, pull = list(cut(len(latents), self.rows)), None
        if len(parts) > 1 and self.preset.criteria.diversity:
            with torch.no_grad():
                answers = [self._judge(self._aim(latents[part], perturbation.take(part)), part) for part in parts]
            pull = self._find_pull(_join(answers), earlier)
        found = [
            self._find_part(
                latents[part], part, perturbation.take(part), earlier, None if pull is None else pull.take(part)
            )
            for part in parts
        ]
        gradient = Perturbation(*(torch.cat(values) for values in zip(*(each.gradient for each in found), strict=True)))
        if not all(bool(value.isfinite().all()) for value in gradient):
            raise NotFinite(f"the score's gradient is not finite for the seed image {self.unit.key}")
        return GuideSlope(gradient, _join([each.answer for each in found]))

    def _find_part(
        self,
        latents: Tensor,
        part: slice,
        perturbation: Perturbation,
        earlier: Tensor | None,
        pull: Answer | None,
    ) -> GuideSlope:
        with torch.enable_grad():
            leaves = Perturbation(*(value.detach().requires_grad_() for value in perturbation))
            answer = self._judge(self._aim(latents, leaves), part)
            pull = pull or self._find_pull(answer.detach(), earlier)
            gradient = torch.autograd.grad(list(answer), list(leaves), list(pull))
        return GuideSlope(Perturbation(*gradient), answer.detach())

    def _find_pull(self, answer: Answer, earlier: Tensor | None) -> Answer:
        """∂S/∂φ and ∂S/∂l of a whole group."""
        with torch.enable_grad():
            leaves = Answer(*(value.detach().requires_grad_() for value in answer))
            total = self.rate(leaves, earlier).total.sum()
            return Answer(*torch.autograd.grad(total, list(leaves)))

    def _aim(self, latents: Tensor, perturbation: Perturbation) -> Tensor:
        if self.preset.scored == "projected":
            return self.place(latents, perturbation)
        return self._settle(perturbation.apply(latents), latents)

    def _settle(self, moved: Tensor, latents: Tensor) -> Tensor:
        if self.clean is None or not isinstance(self.prior, SettlingPrior):
            return moved
        return self.prior.settle(moved, latents, self.clean)

    def _judge(self, latents: Tensor, part: slice, images: Tensor | None = None) -> Answer:
        """Of one call, on the latents of the rows `part`."""
        inputs = latents
        if self.scorer.reads == "images":
            inputs = self._decode(latents, part) if images is None else images
        answer = self.scorer.answer(fill(inputs, self.rows), [self.unit.key] * self.rows, self.statistics)
        return answer.take(slice(len(latents)))

    def _decode(self, latents: Tensor, part: slice) -> Tensor:
        return _widen(self._start(part).decode(fill(latents, self.rows))[: len(latents)])

    def _finish(self, latents: Tensor, part: slice) -> tuple[Tensor, Tensor]:
        prior, filled = self._start(part), fill(latents, self.rows)
        if isinstance(prior, CheckedPrior):
            images, flagged = prior.finish(filled)
            return _widen(images[: len(latents)]), flagged[: len(latents)]
        images = (prior.render if isinstance(prior, RenderingPrior) else prior.decode)(filled)[: len(latents)]
        return _widen(images), torch.zeros(len(images), dtype=torch.bool, device=images.device)

    def _start(self, part: slice) -> Prior:
        """The prior for the rows `part` and those that fill up their call."""
        asked = self.requests[part]
        return start(self.prior, asked + asked[-1:] * (self.rows - len(asked)))


def make_guide(
    prior: Prior,
    scorer: Scorer,
    preset: Preset,
    unit: Unit,
    image: Tensor,
    data: Statistics | None,
    rows: int,
    requests: Sequence[Request] = (),
) -> Guide:
    """The guide for variants of a seed image [C, H, W] in 0..1. `data`: statistics of the data, for presets that use
    them."""
    seed = answer_seeds(prior, scorer, image[None], [unit], find_statistics(preset.seed_input, data))
    target = find_target(seed, unit.label, preset.criteria)
    clean = None
    if isinstance(prior, SettlingPrior):
        with torch.no_grad():
            clean = prior.encode(image[None]).float().clone()
    statistics = find_statistics(preset.variant_input, data)
    return Guide(prior, scorer, preset, unit, seed, target, statistics, rows, clean, tuple(requests))


def start(prior: Prior, requests: Sequence[Request]) -> Prior:
    """The prior that decodes these variants: a `StartingPrior` needs to know which they are."""
    return prior.start_from(requests) if isinstance(prior, StartingPrior) else prior


def answer_seeds(
    prior: Prior, scorer: Scorer, images: Tensor, units: Sequence[Unit], statistics: Statistics | None = None
) -> Answer:
    """The scorer's answer on seed images [n, C, H, W] in 0..1 themselves, one call for each."""
    with torch.no_grad():
        answers = []
        for image, unit in zip(images.split(1), units, strict=True):
            inputs = prior.encode(image) if scorer.reads == "latents" else image
            answers.append(scorer.answer(inputs, [unit.key], statistics))
        return _join(answers).detach()


def cut(count: int, rows: int) -> Iterator[slice]:
    """Consecutive slices of at most `rows` of `count` rows."""
    return (slice(first, min(first + rows, count)) for first in range(0, count, rows))


def fill(values: Tensor, rows: int) -> Tensor:
    """`values` [n, ...] with the last row repeated up to `rows`."""
    missing = rows - len(values)
    return torch.cat([values, values[-1:].expand(missing, *values.shape[1:])]) if missing else values


def _widen(images: Tensor) -> Tensor:
    """A prior in bf16 is scored in float32."""
    return images.to(torch.promote_types(images.dtype, torch.float32))


def _join(answers: Sequence[Answer]) -> Answer:
    return Answer(*(torch.cat(parts) for parts in zip(*answers, strict=True)))
