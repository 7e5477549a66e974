"""The losses of maker and critic at each step: the non-saturating game of Goodfellow et al. 2014, with labels.

With σ the logistic function, softplus(x) = log(1 + eˣ), T the random change of what the critic sees (`augmentation`),
real images x of labels y, and made ones G(z, y') of labels drawn like those of real ones:

    L_D = softplus(-D(T(x), y)) + softplus(D(T(G(z, y')), y'))      = -log σ(D) - log(1 - σ(D))
    L_G = softplus(-D(T(G(z, y')), y')) + λ L_ms                    = -log σ(D) + λ L_ms

A maker that is told classes soon draws one image of each. L_ms = |z₁ - z₂| / |G(z₁, y') - G(z₂, y')|, of mean absolute
differences over pairs of one label, keeps it from that (Mao et al. 2019, "Mode seeking GANs", eq. 4).

All random numbers of step t come from (seed, t), so that a batch can be drawn ahead and a training resumes with the
same bits. Batches are cut into parts in the same way on every device, because a maker may normalise over its part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ops.generators.adversarial.augmentation import change, draw_changes
from ops.generators.adversarial.given import Given
from ops.generators.adversarial.pair import Pair, frozen
from ops.generators.batches import draw_batch
from ops.machine.precision import compute_in
from ops.recipe.adversarial import AdversarialSettings, Change
from ops.training.microbatches import cut_batch, in_parts

REAL, CRITICS, MAKERS = range(3)  # streams of a step: real images, those made for the critic's step, and the maker's
SETTLING = 3  # the stream of labels that the maker is settled on
SAMPLE = 500  # images that it is settled on
BETAS = (0.5, 0.999)  # of AdamW, as published for DCGAN: the gradients of a game turn quickly
SAMENESS = 1e-5  # L_ms has an end: images that are equal have the inverse of this


@dataclass(frozen=True)
class Batch:
    """What a step learns from.

    real : float [n, C, H, W] in -1..1.
    labels : int64 [3, n], of the streams REAL, CRITICS and MAKERS.
    latents : float [2, n, latent], for the critic's step and the maker's.
    changes : float [3, n, ...] by stream, from `Game.draw_changes`.
    """

    step: int
    real: Tensor
    labels: Tensor
    latents: Tensor
    changes: Tensor


class Game:
    """The losses of critic and maker, as functions of the step; `prepare` draws its batch ahead.

    A kind with other losses replaces the terms, or the two `find_..._loss`.

    Parameters
    ----------
    pair : on the device where it computes.
    kinds : of changes that the critic's images get.
    mode_seeking : λ of L_ms.
    advance : called before each step of the critic, such as to follow its singular values.
    """

    critics_betas: tuple[float, float] = BETAS
    makers_betas: tuple[float, float] = BETAS

    def __init__(
        self,
        pair: Pair,
        settings: AdversarialSettings,
        given: Given,
        *,
        kinds: Sequence[Change] = (),
        mode_seeking: float = 0.0,
        advance: Callable[[nn.Module], None] = lambda critic: None,
    ) -> None:
        self.pair, self.settings, self.given = pair, settings, given
        self.advance, self.mode_seeking = advance, mode_seeking
        self.images = (given.images.float() / 127.5 - 1).to(given.device)
        self.labels = given.labels.cpu()
        self.by_class = [np.flatnonzero(self.labels.numpy() == c) for c in range(int(self.labels.max()) + 1)]
        self.find_critic_terms = self.compute_in_parts(CriticTerms(pair.critic, kinds))
        self.find_maker_terms = self.compute_in_parts(MakerTerms(pair, kinds, mode_seeking))
        self.ahead: Batch | None = None
        self.now: Batch | None = None

    def find_critic_loss(self, step: int) -> Tensor:
        """L_D."""
        batch = self.find_batch(step)
        self.advance(self.pair.critic)
        made = self.make(batch.latents[0], batch.labels[CRITICS])
        seen = batch.real, batch.labels[REAL], batch.changes[REAL]
        with compute_in(self.given.precision, self.given.device):
            return self.find_critic_terms(made, batch.labels[CRITICS], batch.changes[CRITICS], *seen).mean()

    def find_maker_loss(self, step: int) -> Tensor:
        """L_G."""
        batch = self.find_batch(step)
        with compute_in(self.given.precision, self.given.device), frozen(self.pair.critic):
            return self.find_maker_terms(batch.latents[1], batch.labels[MAKERS], batch.changes[MAKERS]).mean()

    def prepare(self, step: int) -> None:
        """Draw the batch of the next step."""
        self.ahead = self._draw(step)

    def settle(self) -> None:
        """Settle the maker, in fp32, on latents and labels that depend on the seed alone."""
        index = draw_batch(self.by_class, self.settings.class_balanced, SAMPLE, self.given.seed, 0, SETTLING)
        generator = torch.Generator().manual_seed(self.given.seed * 1_000_003 + self.settings.steps)
        z = torch.randn((SAMPLE, self.pair.maker.latent), generator=generator)
        with torch.no_grad():
            self.pair.maker.settle(z.to(self.given.device), self.labels[index].to(self.given.device))

    def describe(self) -> dict[str, float]:
        """Metrics of the kept moment that the kind has besides those of all."""
        return {}

    def make(self, z: Tensor, labels: Tensor) -> Tensor:
        """The made images of a step, [n, C, H, W], without gradients."""

        def make(rows: slice) -> Tensor:
            with torch.no_grad(), compute_in(self.given.precision, self.given.device):
                return cast(Tensor, self.pair.maker(z[rows], labels[rows]))

        parts = cut_batch(len(z), z[0].numel())
        on_cpu = self.given.device == "cpu"
        return torch.cat(list(self.given.pool.map(make, parts) if on_cpu else map(make, parts)))

    def compute_in_parts(self, network: nn.Module) -> Callable[..., Tensor]:
        """The network of the rows of its arguments, computed in parts: by several threads on the CPU, else in turn."""
        if self.given.device == "cpu":
            return in_parts(network, self.given.pool)

        def compute(*given: Tensor) -> Tensor:
            parts = cut_batch(len(given[0]), given[0][0].numel())
            return torch.cat([network(*(tensor[rows] for tensor in given)) for rows in parts])

        return compute

    def find_batch(self, step: int) -> Batch:
        """The batch of a step, drawn once for both losses."""
        for batch in (self.now, self.ahead):
            if batch is not None and batch.step == step:
                self.now = batch
                return batch
        self.now = self._draw(step)
        return self.now

    def draw_changes(self, streams: int, count: int, generator: torch.Generator) -> Tensor:
        """What the changes of the critic's images follow from, float [streams, count, ...]."""
        return draw_changes((streams, count), generator)

    def draw_rows(self, stream: int, step: int) -> Tensor:
        """The training images of a stream, int64 [n]; of those that the maker draws only the labels matter.

        Labels of the maker's step come in pairs where L_ms compares these.
        """
        settings, repeats = self.settings, 2 if self.mode_seeking and stream == MAKERS else 1
        count = -(-settings.batch_size // repeats)
        index = draw_batch(self.by_class, settings.class_balanced, count, self.given.seed, step, stream)
        return torch.from_numpy(index).repeat_interleave(repeats)[: settings.batch_size]

    def _draw(self, step: int) -> Batch:
        device, count, seed = self.given.device, self.settings.batch_size, self.given.seed
        rows = [self.draw_rows(stream, step) for stream in (REAL, CRITICS, MAKERS)]
        # Drawn on the CPU, so that a run does not depend on the device.
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        latents = torch.randn((2, count, self.pair.maker.latent), generator=generator)
        changes = self.draw_changes(3, count, generator)
        return Batch(
            step,
            self.images[rows[REAL].to(device)],
            self.labels[torch.stack(rows)].to(device),
            latents.to(device),
            changes.to(device),
        )


class CriticTerms(nn.Module):
    """L_D of each row, for parts of a batch; its parameters are the critic's."""

    def __init__(self, critic: nn.Module, kinds: Sequence[Change]) -> None:
        super().__init__()
        self.critic, self.kinds = critic, tuple(kinds)

    def forward(
        self, made: Tensor, made_labels: Tensor, made_changes: Tensor, real: Tensor, labels: Tensor, changes: Tensor
    ) -> Tensor:
        """float32 [n]."""
        fake = self.critic(change(made, made_changes, self.kinds), made_labels)
        true = self.critic(change(real, changes, self.kinds), labels)
        return F.softplus(fake) + F.softplus(-true)


class MakerTerms(nn.Module):
    """L_G of each row, for parts of a batch; the critic only judges. L_ms is that of the part."""

    def __init__(self, pair: Pair, kinds: Sequence[Change], mode_seeking: float = 0.0) -> None:
        super().__init__()
        self.maker, self.critic, self.kinds, self.mode_seeking = pair.maker, pair.critic, tuple(kinds), mode_seeking

    def forward(self, z: Tensor, labels: Tensor, changes: Tensor) -> Tensor:
        """float32 [n]."""
        made = self.maker(z, labels)
        fooled = F.softplus(-self.critic(change(made, changes, self.kinds), labels))
        return fooled + self.mode_seeking * find_sameness(made, z, labels) if self.mode_seeking else fooled


def find_sameness(made: Tensor, z: Tensor, labels: Tensor) -> Tensor:
    """L_ms of neighbouring rows that have one label; 0 where there are none."""
    alike = labels[1:] == labels[:-1]
    if not alike.any():
        return made.new_zeros(())
    images, latents = ((rows[1:] - rows[:-1])[alike].abs().mean() for rows in (made, z))
    return latents / (images + SAMENESS * latents)
