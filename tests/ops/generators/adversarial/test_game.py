"""The losses of a game against their formulas written out, what its batches are, and what a step leaves alone."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ops.generators.adversarial.augmentation import change
from ops.generators.adversarial.game import CRITICS, MAKERS, REAL, Game
from ops.generators.adversarial.given import Given
from ops.generators.adversarial.losses import find_sameness
from ops.generators.dcgan.design import Dcgan
from ops.machine.parallel import start_threads, use_threads
from ops.recipe.dcgan import DcganSettings
from ops.training import microbatches

NAMES = ["a", "b", "c"]
HALVES = slice(0, 8), slice(8, 16)


@pytest.fixture(autouse=True)
def cut_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """The batches of these tests are smaller than the least part of a batch."""
    monkeypatch.setattr(Game, "group", 4)


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    with use_threads(2), start_threads() as found:
        yield found


def make_toys() -> tuple[Tensor, Tensor]:
    """Three classes of 6, 3 and 1 random images."""
    images = torch.randint(0, 256, (10, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    return images, torch.tensor([0] * 6 + [1] * 3 + [2])


def make_game(pool: ThreadPoolExecutor, **changes: Any) -> Game:
    settings = DcganSettings(**{"width": 8, "batch_size": 16, "latent": 5, "mode_seeking": 0.0, **changes})
    torch.manual_seed(0)
    config = {"channels": 1, "height": 8, "width": 8, "class_names": NAMES, "base": 8, "latent": 5}
    pair = Dcgan().build_pair(config, settings)
    return Dcgan().make_game(pair, settings, Given(*make_toys(), seed=3, pool=pool, precision="fp32"))


def make_by_halves(game: Game, z: Tensor, labels: Tensor) -> Tensor:
    """The maker normalises over each of the two parts of so small a batch."""
    return torch.cat([game.pair.maker(z[rows], labels[rows]) for rows in HALVES])


@pytest.mark.parametrize("augment", [(), ("translation", "cutout")])
def test_the_losses_are_the_logarithms_of_the_critics_odds(augment: tuple[str, ...], pool: ThreadPoolExecutor) -> None:
    game = make_game(pool, augment=augment)
    critic_loss = game.find_critic_loss(4)
    batch = game.find_batch(4)
    made = make_by_halves(game, batch.latents[0], batch.labels[CRITICS])
    fake = game.pair.critic(change(made, batch.changes[CRITICS], augment), batch.labels[CRITICS])
    true = game.pair.critic(change(batch.real, batch.changes[REAL], augment), batch.labels[REAL])
    expected = -F.logsigmoid(true).mean() - torch.log1p(-torch.sigmoid(fake)).mean()
    torch.testing.assert_close(critic_loss, expected, rtol=1e-4, atol=1e-5)

    made = make_by_halves(game, batch.latents[1], batch.labels[MAKERS])
    fooled = game.pair.critic(change(made, batch.changes[MAKERS], augment), batch.labels[MAKERS])
    torch.testing.assert_close(game.find_maker_loss(4), -F.logsigmoid(fooled).mean(), rtol=1e-4, atol=1e-5)


def test_mode_seeking_adds_how_far_latents_differ_relative_to_the_images_of_pairs(pool: ThreadPoolExecutor) -> None:
    plain, seeking = (make_game(pool, mode_seeking=weight, augment=()) for weight in (1e-9, 0.3))
    batch = seeking.find_batch(2)
    z, labels = batch.latents[1], batch.labels[MAKERS]
    assert torch.equal(labels[::2], labels[1::2]) and sorted(labels.bincount().tolist()) == [4, 6, 6]
    assert not torch.equal(z[::2], z[1::2])
    made = make_by_halves(seeking, z, labels)
    found = torch.stack([find_sameness(made[half], z[half], labels[half]) for half in HALVES])
    expected = plain.find_maker_loss(2) + 0.3 * found.mean()
    torch.testing.assert_close(seeking.find_maker_loss(2), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("side", [28, 64])
@pytest.mark.parametrize("size", [8, 16, 32, 48, 64, 100])
def test_batch_norms_see_32_images_or_the_whole_batch(
    size: int, side: int, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    game = make_game(pool)
    game.images = torch.zeros(10, 3, side, side)
    assert min(rows.stop - rows.start for rows in game.cut(size)) >= min(size, 32)


@pytest.mark.parametrize("spectral", [True, False])
def test_both_steps_are_cut_alike_by_the_size_of_the_image(
    spectral: bool, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A critic with batch norm judges as many images at once in the maker's step as in its own."""
    monkeypatch.setattr(microbatches, "NUMBERS", 4 * 64)  # sixteen images of 8 x 8 become four parts
    game = make_game(pool, spectral_norm=spectral)
    seen: list[int] = []
    for network in game.pair.children():
        network.register_forward_pre_hook(lambda module, given: seen.append(len(given[0])))
    game.find_critic_loss(0)
    assert seen == [4] * 12, "four parts of made images, which the critic judges beside as many real ones"
    seen.clear()
    game.find_maker_loss(0)
    assert seen == [4] * 8


def test_sameness_is_a_quotient_of_mean_distances_over_neighbours_of_one_label() -> None:
    z, labels = torch.tensor([[0.0, 2.0], [4.0, 4.0], [9.0, 9.0]]), torch.tensor([1, 1, 0])
    made = torch.tensor([0.0, 0.5, 7.0])[:, None, None, None].expand(-1, 1, 2, 2)
    assert float(find_sameness(made, z, labels)) == pytest.approx(3 / 0.5, rel=1e-3)
    assert float(find_sameness(made, z, torch.tensor([0, 1, 2]))) == 0
    assert float(find_sameness(torch.zeros(3, 1, 2, 2), z, labels)) == pytest.approx(1e5)


def test_each_loss_moves_its_own_network_alone(pool: ThreadPoolExecutor) -> None:
    game = make_game(pool)
    game.find_critic_loss(0).backward()
    assert all(p.grad is None for p in game.pair.maker.parameters())
    assert all(p.grad is not None for p in game.pair.critic.parameters())
    game.pair.zero_grad(set_to_none=True)
    game.find_maker_loss(0).backward()
    assert all(p.grad is None and p.requires_grad for p in game.pair.critic.parameters())
    assert all(p.grad is not None for p in game.pair.maker.parameters())


def test_a_batch_has_every_class_equally_often_in_each_stream_and_follows_from_seed_and_step(
    pool: ThreadPoolExecutor,
) -> None:
    game = make_game(pool, batch_size=12)
    batch = game.find_batch(7)
    assert [row.bincount(minlength=3).tolist() for row in batch.labels] == [[4, 4, 4]] * 3
    images, labels = make_toys()
    scaled = images.float() / 127.5 - 1
    for image, label in zip(batch.real, batch.labels[REAL], strict=True):
        assert any(torch.equal(image, other) for other in scaled[labels == label])
    assert not torch.equal(batch.latents[0], batch.latents[1])
    game.prepare(7)
    other = make_game(pool, batch_size=12)
    other.prepare(7)
    again = other.find_batch(7)
    for name in ("real", "labels", "latents", "changes"):
        assert torch.equal(getattr(batch, name), getattr(again, name)), name
    assert not torch.equal(other.find_batch(8).latents, again.latents)


def test_unbalanced_batches_have_the_classes_as_they_occur(pool: ThreadPoolExecutor) -> None:
    game = make_game(pool, class_balanced=False, batch_size=400)
    shares = torch.stack([row.bincount(minlength=3) / 400 for row in game.find_batch(0).labels])
    torch.testing.assert_close(shares, torch.tensor([[0.6, 0.3, 0.1]] * 3), rtol=0, atol=0.08)


def test_parts_are_cut_alike_where_no_threads_compute_them(pool: ThreadPoolExecutor) -> None:
    """As on a GPU, where a whole batch at once would be normalised by other statistics."""
    game = make_game(pool)
    batch = game.find_batch(0)
    terms = game.find_maker_terms(batch.latents[1], batch.labels[MAKERS], batch.changes[MAKERS])
    elsewhere = Given(*make_toys(), seed=3, pool=pool, precision="fp32", device="meta")
    game.given = elsewhere
    network = game.find_maker_terms.network  # type: ignore[attr-defined]
    in_turn = game.compute_in_parts(network)(batch.latents[1], batch.labels[MAKERS], batch.changes[MAKERS])
    torch.testing.assert_close(in_turn, terms)
