"""The check before a run: does the score have a gradient with respect to z and b at all?

A decoder that is called under `torch.no_grad` gives images as good as any, and no gradient. That happened to users of
GIF's release (its issue 1: another package's decoder, with that decorator, came first on the import path). So before a
run, one group is taken through prior and scorer, and the link that breaks the chain is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import torch
from torch import Tensor

from ops.errors import UserError
from ops.generators.units import Unit
from ops.imagination.guide import NotFinite, start
from ops.imagination.imagining import Imagination


def check_gradients(imagination: Imagination, images: Tensor, units: Sequence[Unit], group: int | None = None) -> None:
    """UserError unless guidance can move the variants of one of these seed images [n, C, H, W] in 0..1; few are enough.

    Latents, decoded images and answers must have the shapes and ranges that `ops.imagination.protocols` promises, all
    gradients must be finite, and those of z and of b must differ from 0 somewhere. `group` : variants that are climbed
    together, a call's rows unless it says otherwise; no call has more rows for it.
    """
    alive = [False, False]
    for image, unit in zip(images, units, strict=True):
        _check_links(imagination, image, unit)
        ks = range(group or imagination.rows)
        latents = imagination.encode(image, unit, ks)
        drawn = imagination.draw(unit, ks, latents)
        try:
            gradient = imagination.guide(image, unit, ks).find_slope(latents, drawn).gradient
        except NotFinite as error:
            _refuse(str(error))
        for number, value in enumerate(gradient):
            alive[number] |= bool((value != 0).any())
    if not all(alive):
        names = " and ".join(name for name, found in zip("zb", alive, strict=True) if not found)
        _refuse(
            f"the score's gradient with respect to {names} is 0 for {len(units)} seed images; a ball of radius"
            f" {imagination.preset.ball.radius:g} may clamp every element, or the scorer's answer is constant"
        )


def _check_links(imagination: Imagination, image: Tensor, unit: Unit) -> None:
    """Follow the gradient from the latents through the decoder to the answer, for one variant."""
    first = range(1)
    prior, scorer = start(imagination.prior, imagination.ask(unit, first)), imagination.scorer
    latents = imagination.encode(image, unit, first).detach().clone()
    if tuple(latents.shape[1:]) != tuple(prior.latent_shape):
        _refuse(f"the prior encodes to {tuple(latents.shape[1:])}, and its latents are {tuple(prior.latent_shape)}")
    with torch.enable_grad():
        inputs = latents.requires_grad_()
        if scorer.reads == "images":
            inputs = prior.decode(inputs)
            _follow(inputs, latents, "the prior's decode")
            if not bool(((inputs >= 0) & (inputs <= 1)).all()):  # NaN is not in 0..1 either
                _refuse("the prior decodes to levels outside of 0..1")
        answer = scorer.answer(inputs, [unit.key])
        _follow(answer.features, latents, "the scorer's features")
        _follow(answer.log_probabilities, latents, "the scorer's log-probabilities")
    if not torch.allclose(answer.log_probabilities.exp().sum(1), torch.ones(()).to(inputs), atol=1e-3):
        _refuse("the scorer's probabilities do not sum to 1")
    if not torch.allclose(answer.features.norm(dim=1), torch.ones(()).to(inputs), atol=1e-3):
        _refuse("the scorer's features are not of length 1")
    if not 0 <= unit.label < answer.log_probabilities.shape[1]:
        _refuse(f"the label {unit.label} is not one of the scorer's {answer.log_probabilities.shape[1]} classes")


def _follow(value: Tensor, latents: Tensor, link: str) -> None:
    """Refuse a value that does not lead back to the latents; networks whose weights have a gradient hide that."""
    if not value.requires_grad or not _leads_back(value, latents):
        _refuse(f"no gradient passes through {link} (torch.no_grad, inference_mode or detach)")


def _leads_back(value: Tensor, latents: Tensor) -> bool:
    return torch.autograd.grad(value.sum(), [latents], retain_graph=True, allow_unused=True)[0] is not None


def _refuse(reason: str) -> NoReturn:
    raise UserError(f"imagination cannot be guided: {reason}")
