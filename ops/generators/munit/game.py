"""The losses of makers and critics at each step (Huang et al. 2018, §3.2), for one set of images.

With one branch, x₁ and x₂ are two independent batches of the set, c = Eᶜ(x₁), x₁' = G(c, s) with s ~ N(0, I):

    L_D = D(x₁')² + (D(x₂) - 1)²
    L_G = (D(x₁') - 1)² + λ_x |G(c, Eˢ(x₁)) - x₁| + λ_c |Eᶜ(x₁') - c| + λ_s |Eˢ(x₁') - s|
          + λ_cyc |G(Eᶜ(x₁'), Eˢ(x₁)) - x₁|

With two branches, a learns from x₁ and b from x₂, and each decodes the content of the other: x_ba = G_a(E_bᶜ(x₂), s_a)
is judged by D_a and found again by E_aᶜ and E_aˢ. Labels are never told. All random numbers of step t come from
(seed, t), so that a batch can be drawn ahead and a training resumes with the same bits.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ops.generators.adversarial.ahead import Ahead
from ops.generators.adversarial.pair import frozen
from ops.generators.adversarial.spectral import advance
from ops.generators.batches import draw_batch
from ops.generators.denoising.augmentation import draw_moves, move
from ops.generators.munit.network import Makers, Munit
from ops.machine.precision import compute_in
from ops.recipe.denoisers import MOVES
from ops.recipe.munit import MunitSettings
from ops.training.microbatches import cut_batch, in_parts

SHIFTS = MOVES.model_copy(update={"flip": 0.0})  # what the critic's images are moved by


@dataclass(frozen=True)
class Batch:
    """What a step learns from; the second dimension is that of the branches, B.

    images : float [n, B, C, H, W], whose content is varied: of the branch itself.
    real : float [n, B, C, H, W], what each branch's critic takes for real.
    styles : float [2, n, B, style], first for the critics' step, then for the makers'.
    moves : float [3, n, B, PLACE]: of the critics' made images, of their real ones, and of the makers' made ones.
    """

    step: int
    images: Tensor
    real: Tensor
    styles: Tensor
    moves: Tensor


class Game:
    """The losses of critics and makers, as functions of the step; `prepare` draws its batch ahead.

    Parameters
    ----------
    munit : on the device where it computes.
    images : uint8 [n, C, H, W]; labels : int64 [n], every class 0..K-1 present. They only balance the batches.
    pool : threads that compute the parts of a batch; no bit depends on their number.
    precision : "fp32" or "bf16", in which the networks multiply; norms and losses are float32.
    """

    def __init__(
        self,
        munit: Munit,
        settings: MunitSettings,
        images: Tensor,
        labels: Tensor,
        *,
        seed: int,
        pool: ThreadPoolExecutor,
        precision: str,
        device: str = "cpu",
    ) -> None:
        self.munit, self.settings, self.seed = munit, settings, seed
        self.pool, self.precision, self.device = pool, precision, device
        self.images = (images.float() / 127.5 - 1).to(device)
        self.by_class = [np.flatnonzero(labels.cpu().numpy() == c) for c in range(int(labels.max()) + 1)]
        self.find_critics_terms = in_parts(CriticsTerms(munit.critics, settings), pool, device)
        self.find_makers_terms = in_parts(MakersTerms(munit, settings), pool, device)
        self.batches = Ahead(self._draw)

    def find_critics_loss(self, step: int) -> Tensor:
        """L_D, summed over branches; follows the critics' singular values first."""
        batch = self.batches.find(step)
        advance(self.munit.critics)
        with compute_in(self.precision, self.device):
            made = self._make(batch.images, batch.styles[0])
            terms: Tensor = self.find_critics_terms(made, batch.real, *batch.moves[:2])
        return terms.mean()

    def find_makers_loss(self, step: int) -> Tensor:
        """L_G, summed over branches."""
        batch = self.batches.find(step)
        with compute_in(self.precision, self.device), frozen(self.munit.critics):
            terms: Tensor = self.find_makers_terms(batch.images, batch.styles[1], batch.moves[2])
        settings = self.settings
        weights = (1.0, settings.reconstruction, settings.content, settings.consistency, settings.cycle)
        return (terms.mean(dim=0) * torch.tensor(weights, device=terms.device)).sum()

    def prepare(self, step: int) -> None:
        """Draw the batch of the next step."""
        self.batches.prepare(step)

    def _make(self, images: Tensor, styles: Tensor) -> Tensor:
        """The made images of a step, [n, B, C, H, W], without gradients."""

        def make(rows: slice) -> Tensor:
            with torch.no_grad(), compute_in(self.precision, self.device):
                return make_images(self.munit.makers, images[rows], styles[rows])

        if self.device != "cpu":
            return make(slice(None))
        return torch.cat(list(self.pool.map(make, cut_batch(len(images), images[0].numel()))))

    def _draw(self, step: int) -> Batch:
        settings, balanced = self.settings, self.settings.class_balanced
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        drawn = []
        for stream in range(2):
            index = draw_batch(self.by_class, balanced, settings.batch_size, self.seed, step, stream)
            images = self.images[torch.from_numpy(index)]
            if settings.flip:
                flipped = (torch.rand(len(images), generator=generator) < settings.flip).to(self.device)
                images = torch.where(flipped[:, None, None, None], images.flip(3), images)
            drawn.append(images)
        count, branches = settings.batch_size, settings.branches
        # Drawn on the CPU, so that a run does not depend on the device.
        styles = torch.randn((2, count, branches, settings.style), generator=generator)
        moves = draw_moves(3 * count * branches, SHIFTS, settings.augment, generator)
        both = torch.stack(drawn, dim=1)
        return Batch(
            step,
            both if branches == 2 else both[:, :1],
            both if branches == 2 else both[:, 1:],
            styles.to(self.device),
            moves.view(3, count, branches, -1).to(self.device),
        )


class CriticsTerms(nn.Module):
    """L_D of each row, for parts of a batch; its parameters are the critics'."""

    def __init__(self, critics: nn.ModuleList, settings: MunitSettings) -> None:
        super().__init__()
        self.critics, self.hinge = critics, settings.adversary == "hinge"

    def forward(self, made: Tensor, real: Tensor, moves: Tensor, real_moves: Tensor) -> Tensor:
        """float32 [n]."""
        total = made.new_zeros(len(made))
        for branch, critic in enumerate(self.critics):
            fake = judge(critic, made[:, branch], moves[:, branch])
            true = judge(critic, real[:, branch], real_moves[:, branch])
            if self.hinge:
                total = total + F.relu(1 + fake).mean(1) + F.relu(1 - true).mean(1)
            else:
                total = total + fake.square().mean(1) + (true - 1).square().mean(1)
        return total


class MakersTerms(nn.Module):
    """The terms of L_G of each row, for parts of a batch; the critics only judge."""

    def __init__(self, munit: Munit, settings: MunitSettings) -> None:
        super().__init__()
        self.makers, self.critics = munit.makers, munit.critics
        self.hinge, self.has_cycle = settings.adversary == "hinge", settings.cycle > 0
        self.sources = list_sources(settings.branches)

    def forward(self, images: Tensor, styles: Tensor, moves: Tensor) -> Tensor:
        """float32 [n, 5]: adversary, reconstruction, content, style, cycle (0 where it has no weight)."""
        found = []
        branches = range(len(self.makers))
        contents = [self.makers[branch].encode(images[:, branch]) for branch in branches]
        own = [self.makers[branch].style_of(images[:, branch]) for branch in branches]
        for branch, source in enumerate(self.sources):
            maker, other = self.makers[branch], self.makers[source]
            x, c, s = images[:, branch], contents[source], styles[:, branch]
            # One evaluation of the decoder: the image itself in its own style, then the made one.
            again, made = maker.decode(torch.cat([contents[branch], c]), torch.cat([own[branch], s])).chunk(2)
            scores = judge(self.critics[branch], made, moves[:, branch])
            fooled = -scores if self.hinge else (scores - 1).square()
            content = maker.encode(made)
            terms = [
                fooled.mean(1),
                _find_distance(again, x),
                _find_distance(content, c),
                _find_distance(maker.style_of(made), s),
            ]
            back = other.decode(content, own[source]) if self.has_cycle else images[:, source]
            terms.append(_find_distance(back, images[:, source]))
            found.append(torch.stack(terms, dim=1))
        return torch.stack(found).sum(dim=0)


def list_sources(branches: int) -> tuple[int, ...]:
    """Whose content each branch decodes: its own if it is alone, else that of the other one."""
    return tuple(reversed(range(branches)))


def make_images(makers: Makers, images: Tensor, styles: Tensor) -> Tensor:
    """Each branch's variants [n, B, C, H, W] of its source's images, in styles [n, B, style]."""
    made = [
        makers[branch].decode(makers[source].encode(images[:, source]), styles[:, branch])
        for branch, source in enumerate(list_sources(len(makers)))
    ]
    return torch.stack(made, dim=1)


def judge(critic: nn.Module, images: Tensor, moves: Tensor) -> Tensor:
    """A critic's scores [n, places] of images, moved first; bf16 would round the places to which they are moved."""
    with torch.autocast(images.device.type, enabled=False):
        moved = move(images, moves)
    scores: Tensor = critic(moved)
    return scores


def _find_distance(one: Tensor, other: Tensor) -> Tensor:
    """The mean absolute difference over the numbers of each row, float32 [n]."""
    return (one.float() - other.float()).abs().flatten(1).mean(1)
