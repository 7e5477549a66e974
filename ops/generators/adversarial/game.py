"""The losses of maker and critic at each step: the non-saturating game of Goodfellow et al. 2014, with labels.

With σ the logistic function, softplus(x) = log(1 + eˣ), T the random change of what the critic sees (`augmentation`),
real images x of labels y, and made ones G(z, y') of labels drawn like those of real ones:

    L_D = softplus(-D(T(x), y)) + softplus(D(T(G(z, y')), y'))      = -log σ(D) - log(1 - σ(D))
    L_G = softplus(-D(T(G(z, y')), y')) + λ L_ms                    = -log σ(D) + λ L_ms

A maker that is told classes may draw one image of each. L_ms = |z₁ - z₂| / |G(z₁, y') - G(z₂, y')|, of mean absolute
differences over pairs of one label, keeps it from that (Mao et al. 2019, "Mode seeking GANs", eq. 4).

All random numbers of step t come from (seed, t), so that a batch can be drawn ahead and a training resumes with the
same bits. Batches are cut into parts in the same way on every device and for both networks, because a network may
normalise over its part or compare the images in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from ops.generators.adversarial.ahead import Ahead
from ops.generators.adversarial.augmentation import draw_changes
from ops.generators.adversarial.given import Given
from ops.generators.adversarial.losses import Augment, CriticTerms, MakerTerms
from ops.generators.adversarial.pair import Pair, frozen
from ops.generators.batches import draw_batch
from ops.machine.precision import compute_in
from ops.recipe.adversarial import AdversarialSettings
from ops.training.microbatches import cut_batch, in_parts

REAL, CRITICS, MAKERS = range(3)  # streams of a step: real images, those made for the critic's step, and the maker's
SETTLING = 3  # the stream of labels that the maker is settled on
SAMPLE = 500  # images that it is settled on
BETAS = (0.5, 0.999)  # of AdamW, as published for DCGAN: the gradients of a game turn quickly


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

    A kind whose critic learns from more replaces `find_critic_loss`.

    Parameters
    ----------
    pair : on the device where it computes.
    augment : what the critic sees of images, given what `draw_changes` drew.
    mode_seeking : λ of L_ms.
    advance : called before each step of the critic, such as to follow its singular values.
    """

    betas: tuple[float, float] = BETAS
    group = 32  # rows that no cut of a batch parts: batch norms over fewer are noise

    def __init__(
        self,
        pair: Pair,
        settings: AdversarialSettings,
        given: Given,
        *,
        augment: Augment,
        mode_seeking: float = 0.0,
        advance: Callable[[nn.Module], None] = lambda critic: None,
    ) -> None:
        self.pair, self.settings, self.given = pair, settings, given
        self.advance, self.mode_seeking = advance, mode_seeking
        self.images = (given.images.float() / 127.5 - 1).to(given.device)
        self.labels = given.labels.cpu()
        self.by_class = [np.flatnonzero(self.labels.numpy() == c) for c in range(int(self.labels.max()) + 1)]
        self.find_critic_terms = self.compute_in_parts(CriticTerms(pair.critic, augment))
        self.find_maker_terms = self.compute_in_parts(MakerTerms(pair, augment, mode_seeking))
        self.batches = Ahead(self._draw)

    def find_critic_loss(self, step: int) -> Tensor:
        """L_D."""
        return self.judge(self.find_batch(step))[:, 0].mean()

    def judge(self, batch: Batch) -> Tensor:
        """Of each row L_D and the score of its real image, float32 [n, 2]; follows what `advance` does first."""
        self.advance(self.pair.critic)
        made = self.make(batch.latents[0], batch.labels[CRITICS])
        seen = batch.real, batch.labels[REAL], batch.changes[REAL]
        with compute_in(self.given.precision, self.given.device):
            return self.find_critic_terms(made, batch.labels[CRITICS], batch.changes[CRITICS], *seen)

    def find_maker_loss(self, step: int) -> Tensor:
        """L_G."""
        batch = self.find_batch(step)
        with compute_in(self.given.precision, self.given.device), frozen(self.pair.critic):
            return self.find_maker_terms(batch.latents[1], batch.labels[MAKERS], batch.changes[MAKERS]).mean()

    def prepare(self, step: int) -> None:
        """Draw the batch of the next step."""
        self.batches.prepare(step)

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

        parts = self.cut(len(z))
        on_cpu = self.given.device == "cpu"
        return torch.cat(list(self.given.pool.map(make, parts) if on_cpu else map(make, parts)))

    def cut(self, count: int) -> list[slice]:
        """The parts of `count` rows, by the numbers of an image, whatever a network is given."""
        return cut_batch(count, self.images[0].numel(), self.group)

    def compute_in_parts(self, network: nn.Module) -> Callable[..., Tensor]:
        """The network of the rows of its arguments, computed in parts: by several threads on the CPU, else in turn."""
        if self.given.device == "cpu":
            return in_parts(network, self.given.pool, cut=self.cut)

        def compute(*given: Tensor) -> Tensor:
            parts = self.cut(len(given[0]))
            return torch.cat([network(*(tensor[rows] for tensor in given)) for rows in parts])

        return compute

    def find_batch(self, step: int) -> Batch:
        """The batch of a step, drawn once for both losses."""
        return self.batches.find(step)

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
